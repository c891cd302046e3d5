//! The core as a whole, against a model of what every client must have had.
//!
//! Random histories of commits, crashes, reads, joins, leaves, replays, slow and lost connections, takeovers and restarts run
//! against the real [`feed`](crate::feed) hand-over, [`delivery`](crate::delivery) and resume logic, in one thread and in small
//! steps, so that anything may happen between any two of them. There is no socket, no database and no time.
//! At the end of each history everything settles, and then each client must have had each event of its rooms exactly once
//! and in order since it joined, or must have been told to reload. Of an event that has its room reloaded it must have been told
//! once, unless it joined later; and what came after that event it must have had once.
//!
//! A history that fails prints its seed: `MODEL_SEED=<seed> cargo test --lib model` runs it alone, and tells what happens.

mod client;
mod database;
mod random;
mod server;
mod view;
mod world;

use std::sync::LazyLock;

pub(crate) use random::Random;
use world::World;

const HISTORIES: u64 = 3_000;
const STEPS: usize = 400;

/// The one history that is to be run, and told.
fn seed_to_tell() -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "which history to look into is no setting"
    )]
    let seed = std::env::var("MODEL_SEED").ok()?;
    Some(seed.parse().expect("a number"))
}

/// Tells what happens, where one history alone is run.
#[expect(clippy::print_stderr, reason = "for whoever looks into a history")]
fn trace(what: impl Fn() -> String) {
    static TELLS: LazyLock<bool> = LazyLock::new(|| seed_to_tell().is_some());
    if *TELLS {
        eprintln!("{}", what());
    }
}

fn run(seed: u64) {
    let mut world = World::new(Random::new(seed));
    while world.steps_left > 0 {
        world.step();
    }
    world.settle();
}

#[test]
fn every_client_has_every_event_once_in_order_or_is_told_to_reload() {
    if let Some(seed) = seed_to_tell() {
        return run(seed);
    }
    for seed in 0..HISTORIES {
        let failed = std::panic::catch_unwind(|| run(seed)).is_err();
        assert!(
            !failed,
            "the history of MODEL_SEED={seed} failed, see above"
        );
    }
}
