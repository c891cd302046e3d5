//! Everything breaks at random while several conversations are written to; in the end the pages show what is true.
//!
//! Prints its seed first: `CHAOS_SEED=<seed>` gives the same faults in the same order, though never at the same moments.
//! What is broken stays so while other things break, until its turn comes again.

mod writer;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{Stage, View};
use crate::harness::proxy::Websockets;
use writer::Writer;

const CONTACTS: [&str; 4] = ["ana", "berta", "carla", "diana"];
const WRITING: Duration = Duration::from_secs(30);

/// All that can break, and who must not notice. Fields end in this order.
struct Chaos {
    random: StdRng,
    /// Goes from one conversation to another, and is reloaded.
    rover: View,
    /// The rover's page could not be loaded.
    lost: bool,
    /// Never leaves the first conversation.
    sitter: View,
    hidden: bool,
    offline: bool,
    /// No server is there.
    down: bool,
    stage: Stage,
}

#[tokio::test]
async fn whatever_breaks_the_pages_show_what_is_true() {
    let seed = seed();
    eprintln!("seed {seed}");
    let stage = Stage::new().await;
    let mut chaos = Chaos {
        random: StdRng::seed_from_u64(seed),
        rover: stage.open(CONTACTS[1]).await,
        lost: false,
        sitter: stage.open(CONTACTS[0]).await,
        hidden: false,
        offline: false,
        down: false,
        stage,
    };
    let deadline = Instant::now() + WRITING;
    let writer = Writer::new(seed, &chaos.stage.database, deadline);
    let faults = async {
        let mut faults = 0;
        while Instant::now() < deadline {
            chaos.fault(&writer).await;
            let pause = chaos.random.random_range(1..15);
            writer.more(pause).await;
            faults += 1;
        }
        faults
    };
    let (faults, deleted) = tokio::join!(faults, writer.write());
    chaos.judge(&deleted).await;
    eprintln!("seed {seed}: {faults} faults, {} writes", writer.written());
}

impl Chaos {
    /// Breaks something, or mends it.
    async fn fault(&mut self, writer: &Writer) {
        match self.random.random_range(0..12) {
            0 => self.stage.network.cut(),
            1 | 2 => {
                let all = [Websockets::Refused, Websockets::Silent, Websockets::Carried];
                let next = all[self.random.random_range(0..all.len())];
                self.stage.network.websockets(next);
            }
            3 | 4 => self.restart().await,
            5 if !self.down => {
                let last = self.stage.replace().await;
                writer.more(3).await;
                last.stop().await;
            }
            5..8 => self.reload().await,
            8 => {
                self.hidden = !self.hidden;
                self.sitter.page.hide(self.hidden).await;
            }
            9 => {
                self.offline = !self.offline;
                self.rover.page.offline(self.offline).await;
            }
            10 => {
                self.stage.browser.sleep(true);
                writer.more(10).await;
                self.stage.network.cut();
                self.stage.browser.sleep(false);
            }
            _ => self.roam().await,
        }
    }

    /// Kills the server, or starts another.
    async fn restart(&mut self) {
        if self.down {
            self.stage.replace().await;
        } else {
            self.stage.server.crash().await;
        }
        self.down = !self.down;
    }

    /// There may be nothing to load it from.
    async fn reload(&mut self) {
        if self.down || self.offline {
            self.lost |= !self.rover.page.try_reload().await;
        } else if self.lost {
            let contact = CONTACTS[self.random.random_range(0..CONTACTS.len())];
            self.rover.page.goto(&self.stage.url(contact)).await;
            self.lost = false;
        } else {
            self.rover.page.reload().await;
        }
    }

    /// Goes from one conversation to the next, faster than any answer.
    async fn roam(&mut self) {
        for _ in 0..self.random.random_range(1..10) {
            let contact = self.random.random_range(0..CONTACTS.len());
            if !self.lost {
                self.rover.visit(CONTACTS[contact]).await;
            }
        }
    }

    /// Exactly the database's rows, in order, with their last statuses, and nothing odd on the way.
    async fn judge(&mut self, deleted: &[String]) {
        self.stage.network.websockets(Websockets::Carried);
        if self.down {
            self.restart().await;
        }
        self.sitter.page.hide(false).await;
        self.rover.page.offline(false).await;
        self.offline = false;
        if self.lost {
            self.reload().await;
        }
        let Self {
            stage,
            rover,
            sitter,
            ..
        } = self;
        sitter.badge("connected").await;
        sitter
            .settles_to_the_oldest(&stage.database, CONTACTS[0])
            .await;
        for contact in CONTACTS {
            rover.visit(contact).await;
            rover.badge("connected").await;
            rover.settles_to_the_oldest(&stage.database, contact).await;
        }
        sitter.clean_without(deleted).await;
        rover.clean_without(deleted).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a setting of this test's own")]
fn seed() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    std::env::var("CHAOS_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| u64::from(now.subsec_nanos()))
}
