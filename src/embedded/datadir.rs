//! The folder of the embedded Postgres.
//!
//! Owns its layout: `data` (the database), `sock` (0700, the only way in), and beside them `postgres.log` and `lock`.
//! Refuses a folder whose path is too long for a socket.
//! Guarantees that `data` is complete where it exists: it is made as `data.new` and renamed.
//! Relies on its caller holding the lock for everything but a look.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use rustix::fs::{Mode, OFlags};

use super::{
    SUPERUSER, binaries::Binaries, leftovers, log::Log, process::Process, user, user::User,
};

/// What every system allows for a socket's path (Linux 107 bytes, macOS 103), less a margin.
const MAX_SOCKET_PATH_BYTES: usize = 100;
/// What to do about a folder that won't do.
pub(super) const CHOOSE: &str = "set ROWCAST_DATA_DIR to a folder that can be written";

/// The folder, found but not touched.
#[derive(Debug)]
pub(super) struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// The folder that `ROWCAST_DATA_DIR` or its default names.
    pub(super) fn locate(folder: &Path) -> anyhow::Result<Self> {
        // Postgres's processes are recognised by the real path.
        let root = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
        ensure!(
            !root.join("PG_VERSION").exists(),
            "ROWCAST_DATA_DIR is {}, itself the data folder of a Postgres: {CHOOSE} and is empty, or start that Postgres \
             and set DATABASE_URL",
            root.display()
        );
        let found = Self { root };
        let bytes = found.sockets().as_os_str().len() + "/.s.PGSQL.5432".len();
        ensure!(
            bytes <= MAX_SOCKET_PATH_BYTES,
            "the socket in {} would have a path of {bytes} bytes, and {MAX_SOCKET_PATH_BYTES} are possible: set \
             ROWCAST_DATA_DIR to a shorter one",
            found.root.display()
        );
        ensure!(
            found.root.to_str().is_some(),
            "the path {} is not UTF-8: set ROWCAST_DATA_DIR to one that is",
            found.root.display()
        );
        Ok(found)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(super) fn sockets(&self) -> PathBuf {
        self.root.join("sock")
    }

    /// The major of the data; `None` when there is no data.
    pub(super) fn major(&self) -> anyhow::Result<Option<u32>> {
        let data = self.data();
        let version = match fs::read_to_string(data.join("PG_VERSION")) {
            Ok(version) => version,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !data.exists() => {
                return Ok(None);
            }
            Err(error) => {
                return Err(error).with_context(|| {
                    format!(
                        "{} is not a usable Postgres data folder: remove it, or {CHOOSE}",
                        data.display()
                    )
                });
            }
        };
        match version.trim().parse() {
            Ok(major) => Ok(Some(major)),
            Err(_) => bail!(
                "{} says \"{}\", which is no major of Postgres that Rowcast runs",
                data.join("PG_VERSION").display(),
                version.trim()
            ),
        }
    }

    /// Makes the folder itself.
    pub(super) fn make(&mut self, root: bool) -> anyhow::Result<()> {
        if !self.root.exists() {
            fs::create_dir_all(&self.root)
                .with_context(|| format!("can't make {}: {CHOOSE}", self.root.display()))?;
            // As root, Postgres is another user, who must get through.
            let mode = if root { 0o755 } else { 0o700 };
            fs::set_permissions(&self.root, Permissions::from_mode(mode))?;
            self.root = fs::canonicalize(&self.root)?;
        }
        if root {
            refuse_links(&self.root)?;
        }
        Ok(())
    }

    /// Makes what Postgres needs beside its data, and clears what a crash left.
    pub(super) async fn prepare(&self, user: Option<&User>) -> anyhow::Result<()> {
        let (new, sockets) = (self.root.join("data.new"), self.sockets());
        make_private(&sockets, user)?;
        leftovers::clear(&self.data(), &sockets).await?;
        if new.exists() {
            leftovers::stop(&new).await?;
            fs::remove_dir_all(&new).with_context(|| format!("can't remove {}", new.display()))?;
        }
        Ok(())
    }

    /// Makes the data: all of it, or none.
    pub(super) async fn initdb(
        &self,
        binaries: &Binaries,
        user: Option<&User>,
    ) -> anyhow::Result<()> {
        let new = self.root.join("data.new");
        make_private(&new, user)?;
        let mut args: Vec<OsString> = vec!["-D".into(), new.clone().into()];
        args.extend(
            [
                "-U",
                SUPERUSER,
                "-E",
                "UTF8",
                "--locale=C",
                "--auth-local=trust",
                "--auth-host=reject",
            ]
            .map(OsString::from),
        );
        let log = Log::open(&self.root)?;
        let initdb = Process::start(&binaries.dir.join("initdb"), &args, user, log.file()).await?;
        let status = initdb.exited().await;
        ensure!(
            status.is_some_and(|status| status.success()),
            "initdb failed: {}",
            log.complaint()
        );
        fs::rename(&new, self.data())
            .and_then(|()| File::open(&self.root)?.sync_all())
            .with_context(|| format!("can't rename {}", new.display()))
    }
}

/// A folder that only the user may enter. It is reached without following a link: where others may write beside it, one could lead
/// anywhere, and root would give that away.
fn make_private(path: &Path, owner: Option<&User>) -> anyhow::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("can't make {}: {CHOOSE}", path.display()));
        }
        Ok(()) | Err(_) => {}
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::open(path, flags, Mode::empty()).with_context(|| {
        format!(
            "{} is no folder, or a link to one: {CHOOSE}",
            path.display()
        )
    })?;
    let folder = File::from(folder);
    user::give(&folder, path, owner)?;
    folder
        .set_permissions(Permissions::from_mode(0o700))
        .with_context(|| format!("can't close {} to others", path.display()))
}

/// Refuses, for root, what is a link among what is in the folder: what is done there is done to what it leads to.
fn refuse_links(root: &Path) -> anyhow::Result<()> {
    for name in ["data", "data.new", "sock", "lock", "postgres.log"] {
        let path = root.join(name);
        let is_link = fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
        ensure!(
            !is_link,
            "{} is a link, and as root none is followed: {CHOOSE}, or run Rowcast as a plain user",
            path.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_link_is_followed_to_a_folder() {
        let root = std::env::temp_dir().join(format!("rowcast-link-{}", std::process::id()));
        let (target, link) = (root.join("target"), root.join("sock"));
        fs::create_dir_all(&target).unwrap();
        fs::set_permissions(&target, Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let error = make_private(&link, None).unwrap_err().to_string();
        assert!(error.contains("a link"), "{error}");
        let mode = fs::metadata(&target).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755, "it is as it was");
        let error = refuse_links(&root).unwrap_err().to_string();
        assert!(error.contains("sock is a link"), "{error}");
        make_private(&root.join("data.new"), None).unwrap();
        make_private(&root.join("data.new"), None).unwrap();
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_long_path_is_an_error_that_names_the_variable() {
        let long = PathBuf::from(format!("/{}", "x".repeat(90)));
        let error = DataDir::locate(&long).unwrap_err().to_string();
        assert!(error.contains("ROWCAST_DATA_DIR"), "{error}");
    }
}
