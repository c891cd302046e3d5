//! The Postgres that the tests share.
//!
//! `TEST_DATABASE_URL` if it is set; else `tests/cluster.sh` starts one with durability off, which lives for as long as
//! some test process holds a shared lock on `<folder>/lock`. That script's header has the protocol. A killed test drops
//! its lock like any other.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A running Postgres cluster on which tests may create databases and roles.
pub(crate) struct Cluster {
    url: String,
    /// Keeps the shared cluster up until this process ends.
    _lock: Option<File>,
}

impl Cluster {
    /// The cluster of this run, started if nobody did yet. Blocks meanwhile.
    #[expect(
        clippy::disallowed_methods,
        reason = "the suite's one setting of its own"
    )]
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("TEST_DATABASE_URL") {
            Ok(url) if !url.is_empty() => Self { url, _lock: None },
            _ => Self::guarded(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("cluster")),
        })
    }

    fn guarded(folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("the cluster's folder can be made");
        let lock = lock_file(&folder.join("lock"));
        lock.lock_shared().expect("flock on `lock`");
        let start = lock_file(&folder.join("start"));
        start.lock().expect("flock on `start`");

        let ready = folder.join("url");
        if lock_file(&folder.join("guard")).try_lock().is_ok() {
            // Nobody guards, so a URL that is there is of a guard that was killed.
            let _there_may_be_none = fs::remove_file(&ready);
            spawn_guard(folder);
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        let url = loop {
            match fs::read_to_string(&ready) {
                Ok(url) if !url.trim().is_empty() => break url.trim().to_owned(),
                _ => assert!(
                    Instant::now() < deadline,
                    "waited 60s for tests/cluster.sh: {}",
                    fs::read_to_string(folder.join("log")).unwrap_or_default()
                ),
            }
            sleep(Duration::from_millis(10));
        };
        Self {
            url,
            _lock: Some(lock),
        }
    }

    /// The URL of a database of this cluster.
    pub(crate) fn url_of(&self, database: &str) -> String {
        with_database(&self.url, database)
    }
}

/// The same URL with another database name in its path.
pub(crate) fn with_database(url: &str, database: &str) -> String {
    let (base, query) = url
        .split_once('?')
        .map_or((url, None), |(base, query)| (base, Some(query)));
    let authority = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority..]
        .find('/')
        .map_or(base.len(), |at| authority + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{database}{query}", &base[..end])
}

fn lock_file(path: &Path) -> File {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .expect("a lock file can be made")
}

/// Where the tests keep what they throw away.
pub(crate) fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    match rustix::fs::statvfs(memory) {
        Ok(disk) if disk.f_bavail * disk.f_frsize > 1 << 30 => memory.to_owned(),
        _ => std::env::temp_dir(),
    }
}

/// A short hash for names; not for secrets.
pub(crate) fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

fn spawn_guard(folder: &Path) {
    let mut guard = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster.sh"))
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // It outlives this process, and a Ctrl-C that ends the tests must not stop it half way.
        .process_group(0)
        .spawn()
        .expect("tests/cluster.sh starts");
    // Reaped if it ends before we do.
    std::thread::spawn(move || guard.wait());
}
