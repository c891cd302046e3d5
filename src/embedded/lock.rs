//! One Rowcast per folder.
//!
//! Owns the file `lock`, which holds the process id of who has it.
//! Refuses to wait: a second run is told who is there.
//! Guarantees that the lock goes with the process, however that ends; the number in the file means nothing then.
//! Relies on a file system with `flock`.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, bail};
use rustix::fs::OFlags;

use super::datadir::CHOOSE;

/// Takes the lock of the folder `root`, held until the file is closed.
pub(super) fn take(root: &Path) -> anyhow::Result<File> {
    let path = root.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        // A link could lead to a file of somebody else's, which would be emptied.
        .custom_flags(OFlags::NOFOLLOW.bits() as i32)
        .open(&path)
        .with_context(|| format!("can't write {}: {CHOOSE}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The holder may not have written yet; its number is a help, not needed.
            let _ = file.read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "unknown",
                holder => holder,
            };
            bail!(
                "the embedded Postgres in {} is in use by another Rowcast (process {holder}): stop that one, or set \
                 ROWCAST_DATA_DIR to another folder, or DATABASE_URL to share a database",
                root.display()
            )
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("can't lock {}", path.display()));
        }
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_is_first() {
        let root = std::env::temp_dir().join(format!("rowcast-lock-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let first = take(&root).unwrap();
        let error = take(&root).unwrap_err().to_string();
        assert!(
            error.contains(&format!("(process {})", std::process::id())),
            "{error}"
        );
        drop(first);
        take(&root).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
    }
}
