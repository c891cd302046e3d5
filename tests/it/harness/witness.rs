//! A client that records every event of its rooms, over all its connections, and does what a dashboard should.
//!
//! It joins, comes back by itself, joins again what was not restored with the offset it had, and where it is told
//! `resync` it leaves, reloads the history over HTTP and joins with the history's offset. It drops no event and takes
//! none twice: what it holds in the end is the server's doing, and is judged by `tally`.

mod actor;
mod history;
mod pass;
mod room;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::line::{Kind, Line};
use super::stock::Stock;
use actor::{Actor, Order};
pub(crate) use pass::Pass;
pub(crate) use room::{Phase, Room};

/// How long it may take to come back, to join, or to get a page.
const PATIENCE: Duration = Duration::from_secs(60);

/// One client and what it has seen.
pub(crate) struct Witness {
    pub(crate) kind: Kind,
    pub(crate) pass: Option<Pass>,
    view: Arc<Mutex<View>>,
    orders: UnboundedSender<Order>,
    _task: JoinSet<()>,
}

/// Everything that it has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) rooms: BTreeMap<String, Room>,
    /// Whether it is connected, as far as it knows.
    pub(crate) connected: bool,
    /// Connections, the first included.
    pub(crate) connects: u64,
    /// Connections that were recovered.
    pub(crate) resumed: u64,
    /// Connections after the first that were not.
    pub(crate) fresh: u64,
    /// Connections that it lost.
    pub(crate) lost: u64,
    /// How often it was told that continuity can't be proved.
    pub(crate) resyncs: u64,
    /// The reasons that came with it.
    pub(crate) reasons: Vec<String>,
    /// Messages and statuses that came.
    pub(crate) events: u64,
    /// Pages of history that came.
    pub(crate) pages: Arc<AtomicU64>,
    /// What happened to it, for who has to find out why something was lost.
    pub(crate) journal: Journal,
    /// What no server should do.
    pub(crate) odd: Vec<String>,
}

impl View {
    /// A connection is there. Returns the rooms to enter, each with whether it is entered for the first time.
    fn connected(&mut self, recovered: bool) -> Vec<(String, bool)> {
        self.connected = true;
        self.connects += 1;
        self.resumed += u64::from(recovered);
        self.fresh += u64::from(!recovered && self.connects > 1);
        self.note(if recovered {
            "resumed"
        } else {
            "connected anew"
        });
        // A room that was left stays out, even where the server did not get the leave.
        let missing =
            |room: &Room| room.phase != Phase::Out && (!recovered || room.phase != Phase::In);
        let rooms = self.rooms.iter().filter(|(_, room)| missing(room));
        rooms
            .map(|(contact, room)| (contact.clone(), self.connects == 1 && !room.reload))
            .collect()
    }

    /// A turn, with how much it has of each room.
    fn note(&mut self, turn: &str) {
        let rooms = self.rooms.iter();
        let has = rooms.map(|(contact, room)| format!(" {contact}:{}", room.arrivals.len()));
        let turn = format!("{turn}, having{}", has.collect::<String>());
        self.journal.note(turn);
    }
}

/// The last turns of a witness.
#[derive(Clone, Default)]
pub(crate) struct Journal(VecDeque<(Instant, String)>);

impl Journal {
    fn note(&mut self, turn: String) {
        if self.0.len() == 200 {
            self.0.pop_front();
        }
        self.0.push_back((Instant::now(), turn));
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, turn) in &self.0 {
            write!(f, "\n    {:.3}s ago {turn}", at.elapsed().as_secs_f64())?;
        }
        Ok(())
    }
}

impl Witness {
    /// A connected client in these rooms.
    pub(crate) async fn open(stock: &Stock, address: &str, kind: Kind, contacts: &[&str]) -> Self {
        let witness = Self::begin(stock, address, kind, contacts);
        witness.settled().await;
        witness
    }

    /// A connected client that shows its pass.
    pub(crate) async fn admitted(
        stock: &Stock,
        address: &str,
        kind: Kind,
        contacts: &[&str],
        pass: Pass,
    ) -> Self {
        let rooms = contacts
            .iter()
            .map(|contact| ((*contact).to_owned(), Room::default()));
        let witness = Self::with(stock, address, kind, rooms.collect(), Some(pass));
        witness.settled().await;
        witness
    }

    /// The same without a pass, not waited for.
    pub(crate) fn begin(stock: &Stock, address: &str, kind: Kind, contacts: &[&str]) -> Self {
        let rooms = contacts
            .iter()
            .map(|contact| ((*contact).to_owned(), Room::default()));
        Self::with(stock, address, kind, rooms.collect(), None)
    }

    /// A new client that has what this one had, its offsets among it: a page that was loaded anew and remembers.
    pub(crate) fn reborn(self, stock: &Stock, address: &str, kind: Kind) -> Self {
        let mut rooms = self.view().rooms;
        for room in rooms.values_mut() {
            room.phase = Phase::Outside;
        }
        Self::with(stock, address, kind, rooms, self.pass)
    }

    fn with(
        stock: &Stock,
        address: &str,
        kind: Kind,
        rooms: BTreeMap<String, Room>,
        pass: Option<Pass>,
    ) -> Self {
        let view = Arc::new(Mutex::new(View {
            rooms,
            ..View::default()
        }));
        let (orders, inbox) = mpsc::unbounded_channel();
        let line = Line::open(stock, address, kind, pass.as_ref());
        let actor = Actor::new(line, address, Arc::clone(&view), pass.clone());
        let mut task = JoinSet::new();
        task.spawn(actor.run(inbox));
        Self {
            kind,
            pass,
            view,
            orders,
            _task: task,
        }
    }

    /// What it has seen so far.
    pub(crate) fn view(&self) -> View {
        self.read(View::clone)
    }

    /// A part of that.
    pub(crate) fn read<T>(&self, part: impl FnOnce(&View) -> T) -> T {
        part(&self.view.lock().expect("its task did not panic"))
    }

    /// Closes its transport, as a lost network does.
    pub(crate) fn cut(&self) {
        self.order(Order::Cut);
    }

    /// Leaves a room and stays out of it.
    pub(crate) fn leave(&self, contact: &str) {
        self.order(Order::Leave(contact.to_owned()));
    }

    /// Leaves a room if it is in it, and joins it after the last event that it has of it.
    pub(crate) fn rejoin(&self, contact: &str) {
        self.order(Order::Join(contact.to_owned()));
    }

    /// Throws away what it has of a room, as a page that is loaded anew does, and starts from the history.
    pub(crate) fn reload(&self, contact: &str) {
        self.order(Order::Reload(contact.to_owned()));
    }

    /// Waits until it is connected and in every room that it wants to be in.
    pub(crate) async fn settled(&self) {
        self.until("to be in its rooms", |view| {
            let phases = view.rooms.values().map(|room| room.phase);
            view.connected
                && phases
                    .into_iter()
                    .all(|phase| matches!(phase, Phase::In | Phase::Out))
        })
        .await;
    }

    /// Waits until it has seen as much. A long history takes its time: what is bounded is how long no page of one comes.
    pub(crate) async fn until(&self, what: &str, seen: impl Fn(&View) -> bool) {
        let mut deadline = Instant::now() + PATIENCE;
        let mut pages = 0;
        while !self.read(&seen) {
            let now = self.read(|view| view.pages.load(Ordering::Relaxed));
            if now > pages {
                (pages, deadline) = (now, Instant::now() + PATIENCE);
            }
            assert!(
                Instant::now() < deadline,
                "waited {PATIENCE:?} for the {:?} client {what}: {:?}",
                self.kind,
                self.view()
            );
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn order(&self, order: Order) {
        let sent = self.orders.send(order);
        assert!(
            sent.is_ok(),
            "the task of the {:?} client has ended",
            self.kind
        );
    }
}
