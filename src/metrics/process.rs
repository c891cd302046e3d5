//! What the process itself takes, and what it is: measured when somebody reads the metrics.
//!
//! Memory and open files are read from `/proc`, so they are there on Linux alone, and 0 elsewhere. Small reads, whatever the number of
//! connections is.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::EncodeLabelSet;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::Metrics;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct BuildLabels {
    version: &'static str,
}

impl Metrics {
    /// Says what cannot change while the process runs.
    pub(super) fn tell_build(&self) {
        let labels = BuildLabels {
            version: env!("CARGO_PKG_VERSION"),
        };
        self.build.get_or_create(&labels).set(1);
        let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.process_start
            .set(began.unwrap_or_default().as_secs_f64());
    }

    /// Measures the process.
    pub(crate) fn measure_process(&self) {
        let used = clock_gettime(ClockId::ProcessCPUTime);
        let used = Duration::try_from(used).unwrap_or_default().as_secs_f64();
        self.process_cpu
            .inner()
            .store(used.to_bits(), Ordering::Relaxed);
        self.process_memory
            .set(resident_bytes().unwrap_or_default());
        self.process_fds.set(open_files().unwrap_or_default());
        let most = getrlimit(Resource::Nofile).current;
        let most = most.and_then(|most| i64::try_from(most).ok());
        self.process_max_fds.set(most.unwrap_or(i64::MAX));
    }
}

/// `VmRSS` of proc(5).
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn open_files() -> Option<i64> {
    const FILES: &str = "/proc/self/fd";
    // Since Linux 6.2 the folder's size is their number. Before, each is counted.
    let size = std::fs::metadata(FILES).ok()?.len();
    let count = match size {
        0 => std::fs::read_dir(FILES).ok()?.count() as u64,
        size => size,
    };
    i64::try_from(count).ok()
}
