//! Has the crate rebuilt when a page was, whose files under `demo/dist` and `inspector/dist` are embedded (see `src/demo` and
//! `src/inspector`), and when a migration was added: `sqlx::migrate!` itself only watches those that it knows.
//!
//! A folder that does not exist would count as changed at every build, so its parent is watched until it does.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=migrations");
    for [dist, parent] in [["demo/dist", "demo"], ["inspector/dist", "inspector"]] {
        let folder = [dist, parent]
            .into_iter()
            .find(|folder| Path::new(folder).is_dir());
        if let Some(folder) = folder {
            println!("cargo::rerun-if-changed={folder}");
        }
    }
}
