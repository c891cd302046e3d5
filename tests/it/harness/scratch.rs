//! Folders of a test's own, gone with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::cluster::scratch;

/// A folder that is removed with everything in it.
pub(crate) struct Scratch {
    path: PathBuf,
    /// A file system of its own.
    mounted: bool,
}

impl Scratch {
    /// An empty folder that others may enter, with a path short enough for a socket in it.
    pub(crate) fn folder() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = scratch().join(format!("rowcast-{}-{number}", std::process::id()));
        fs::create_dir(&path).expect("a scratch folder can be made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .expect("permissions can be set");
        Self {
            path,
            mounted: false,
        }
    }

    /// The same with a disk of its own of that size, where we may mount one.
    pub(crate) fn disk(megabytes: u32) -> Option<Self> {
        let mut folder = Self::folder();
        let mount = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={megabytes}m,mode=755"),
                "none",
            ])
            .arg(&folder.path)
            .output();
        folder.mounted = mount.is_ok_and(|mount| mount.status.success());
        folder.mounted.then_some(folder)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.mounted {
            let _whoever_still_holds_it_lets_go = Command::new("umount")
                .arg("--lazy")
                .arg(&self.path)
                .output();
        }
        let _what_stays_is_garbage = fs::remove_dir_all(&self.path);
    }
}
