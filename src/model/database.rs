//! A database as the core sees it: transactions with snapshots, a log that is flushed late, crashes that undo, pruning.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::random::Random;
use crate::db::{Head, LogPosition, ReadPart};
use crate::event::{Event, Room};
use crate::offset::{
    DatabaseState, Epoch, EpochKey, Offset, ReplayPage, RoomRange, Seen, Snapshot,
};
use crate::revocations::Revocation;

/// An event that was committed. It stays here when it is undone or pruned.
#[derive(Clone, Debug)]
pub(super) struct Committed {
    /// Its own for ever, while ids and transaction ids are handed out again after a crash. It is the payload.
    pub(super) uid: u64,
    pub(super) id: i64,
    pub(super) xid: u64,
    pub(super) room: Room,
    /// Moments, in the order of all that happens.
    pub(super) written_at: u64,
    pub(super) committed_at: u64,
    /// How many crashes came before it.
    pub(super) era: usize,
    pub(super) undone: bool,
    sync: bool,
    pruned: bool,
    log: i64,
    revocation: Option<Revocation>,
    reload: Option<&'static Reload>,
}

/// What an event has reloaded: patterns, and the rooms that they mean.
#[derive(Debug)]
struct Reload {
    patterns: &'static [&'static str],
    rooms: &'static [&'static str],
}

static RELOADS: [Reload; 6] = [
    Reload {
        patterns: &["m:%"],
        rooms: &["m:0", "m:1", "m:2"],
    },
    Reload {
        patterns: &["m:0"],
        rooms: &["m:0"],
    },
    Reload {
        patterns: &["m:1", "m:2"],
        rooms: &["m:1", "m:2"],
    },
    Reload {
        patterns: &["x:%0", "%:1"],
        rooms: &["m:1"],
    },
    Reload {
        patterns: &["n:%", "m:%:0"],
        rooms: &[],
    },
    Reload {
        patterns: &["%"],
        rooms: &["m:0", "m:1", "m:2"],
    },
];

struct Write {
    id: i64,
    room: Room,
    written_at: u64,
    reload: Option<&'static Reload>,
}

struct Transaction {
    xid: u64,
    writes: Vec<Write>,
    /// What its last write is the event of.
    revocation: Option<Revocation>,
}

pub(super) struct Database {
    epoch: Epoch,
    recovered: Vec<u64>,
    next_xid: u64,
    /// The transactions that have ended, one way or the other, with their places in the log.
    ended: Vec<(i64, u64)>,
    next_id: i64,
    next_uid: u64,
    open: Vec<Transaction>,
    committed: Vec<Committed>,
    log: LogPosition,
    pruned: Option<Arc<Snapshot>>,
    /// The moment.
    pub(super) clock: u64,
    /// Whether most writers do not wait until what they commit is on disk.
    pub(super) is_lazy: bool,
    /// Whether some events have rooms reloaded.
    pub(super) has_reloads: bool,
}

impl Database {
    pub(super) fn new() -> Self {
        Self {
            epoch: Epoch {
                value: EpochKey::of(7),
                crashes: 0,
            },
            recovered: Vec::new(),
            next_xid: 100,
            ended: Vec::new(),
            next_id: 1,
            next_uid: 1,
            open: Vec::new(),
            committed: Vec::new(),
            log: LogPosition::default(),
            pruned: None,
            clock: 0,
            is_lazy: false,
            has_reloads: false,
        }
    }

    /// Some writer does something.
    pub(super) fn write(&mut self, random: &mut Random, rooms: &[Room]) {
        self.clock += 1;
        match random.below(6) {
            0 if self.open.len() < 3 => self.begin(),
            _ if self.open.is_empty() => self.begin(),
            0..=2 => {
                let (index, room) = (random.below(self.open.len()), random.below(rooms.len()));
                if self.has_reloads && random.one_in(3) {
                    self.add_reload(index, random);
                } else {
                    self.add(index, rooms[room].clone(), None);
                }
            }
            3 | 4 => {
                let index = random.below(self.open.len());
                let waits = random.one_in(4) || !(self.is_lazy || random.one_in(4));
                self.commit(index, waits);
            }
            _ if random.one_in(4) => {
                if let Some(rolled_back) = self.open.pop() {
                    self.end(rolled_back.xid);
                }
            }
            _ => self.flush(),
        }
    }

    fn begin(&mut self) {
        self.open.push(Transaction {
            xid: self.next_xid,
            writes: Vec::new(),
            revocation: None,
        });
        self.next_xid += 1;
    }

    fn add(&mut self, index: usize, room: Room, reload: Option<&'static Reload>) {
        self.open[index].writes.push(Write {
            id: self.next_id,
            room,
            written_at: self.clock,
            reload,
        });
        self.next_id += 1;
    }

    fn add_reload(&mut self, index: usize, random: &mut Random) {
        let reload = &RELOADS[random.below(RELOADS.len())];
        self.add(index, Room::of_reloads(), Some(reload));
    }

    /// Somebody has rooms reloaded, and somebody else writes at the same time and does not wait for the disk.
    pub(super) fn reload(&mut self, random: &mut Random, room: &Room) {
        self.clock += 1;
        self.begin();
        let index = self.open.len() - 1;
        self.add_reload(index, random);
        self.commit(index, true);
        self.begin();
        let index = self.open.len() - 1;
        self.add(index, room.clone(), None);
        self.commit(index, false);
    }

    /// All that was committed is on disk.
    pub(super) fn flush(&mut self) {
        self.log.flushed = self.log.written;
    }

    /// Somebody revokes a right, and commits it at once or later.
    pub(super) fn revoke(&mut self, revocation: Revocation, at_once: bool) {
        self.clock += 1;
        self.begin();
        let index = self.open.len() - 1;
        self.add(index, Room::of_revocations(), None);
        self.open[index].revocation = Some(revocation);
        if at_once {
            self.commit(index, true);
        }
    }

    /// The table of revocations.
    pub(super) fn revocations(&self) -> Vec<Revocation> {
        let revocations = self.committed.iter();
        revocations
            .filter_map(|event| event.revocation.clone())
            .collect()
    }

    fn end(&mut self, xid: u64) {
        self.log.written += 1;
        self.ended.push((self.log.written, xid));
    }

    /// The highest transaction id that has ended.
    fn completed_xid(&self) -> u64 {
        let ended = self.ended.iter().map(|(_, xid)| *xid);
        ended.max().unwrap_or(99)
    }

    fn commit(&mut self, index: usize, sync: bool) {
        let mut transaction = self.open.remove(index);
        // Whoever revokes waits for the disk, and whoever has rooms reloaded.
        let reloads = transaction
            .writes
            .iter()
            .any(|write| write.reload.is_some());
        let sync = sync || reloads || transaction.revocation.is_some();
        self.clock += 1;
        self.end(transaction.xid);
        for write in transaction.writes {
            let Write {
                id,
                room,
                written_at,
                reload,
            } = write;
            self.committed.push(Committed {
                uid: self.next_uid,
                id,
                xid: transaction.xid,
                revocation: transaction.revocation.take_if(|_| room.is_of_revocations()),
                room,
                written_at,
                committed_at: self.clock,
                era: self.epoch.crashes,
                undone: false,
                sync,
                pruned: false,
                log: self.log.written,
                reload,
            });
            self.next_uid += 1;
        }
        if sync {
            self.log.flushed = self.log.written;
        }
    }

    /// Everybody who writes is done, and all of it is on disk.
    pub(super) fn finish(&mut self) {
        while !self.open.is_empty() {
            self.commit(0, true);
        }
        self.log.flushed = self.log.written;
    }

    /// What was not on disk is gone, and its ids are handed out again.
    pub(super) fn crash(&mut self) {
        self.open.clear();
        for event in &mut self.committed {
            event.undone |= event.log > self.log.flushed;
        }
        self.log.written = self.log.flushed;
        self.ended.retain(|(log, _)| *log <= self.log.flushed);
        let left = self.committed.iter().filter(|event| !event.undone);
        self.next_id = left.map(|event| event.id + 1).max().unwrap_or(1);
        self.next_xid = self.completed_xid() + 1;
        self.epoch.crashes += 1;
        self.recovered.push(self.next_xid);
    }

    pub(super) fn has_crashed(&self) -> bool {
        self.epoch.crashes > 0
    }

    /// Removes what a snapshot sees. Whoever removes waits for the disk.
    pub(super) fn prune(&mut self, seen: &Arc<Snapshot>) {
        self.flush();
        if self
            .pruned
            .as_ref()
            .is_none_or(|pruned| seen.covers(pruned))
        {
            for event in &mut self.committed {
                event.pruned |= !event.undone && seen.sees(event.xid);
            }
            self.pruned = Some(seen.clone());
        }
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        // As Postgres has it: what began after the last one that has ended is above, and not in the list.
        let xmax = self.completed_xid() + 1;
        let open = self.open.iter().map(|open| open.xid);
        let mut xip: Vec<u64> = open.filter(|xid| *xid < xmax).collect();
        xip.sort_unstable();
        let list: Vec<String> = xip.iter().map(u64::to_string).collect();
        let xmin = xip.first().unwrap_or(&xmax);
        let text = format!("{xmin}:{xmax}:{}", list.join(","));
        Arc::new(text.parse().expect("a snapshot"))
    }

    pub(super) fn state(&self) -> DatabaseState {
        DatabaseState {
            epoch: self.epoch,
            snapshot: self.snapshot(),
            pruned: self.pruned.clone(),
            recovered: self.recovered.clone(),
        }
    }

    /// The offset of whoever reads the history now.
    pub(super) fn history_offset(&self) -> Offset {
        Offset::all(self.epoch, self.log.is_flushed(), self.snapshot())
    }

    /// What a reader finds that connects. It waits until all that it sees is on disk.
    pub(super) fn head(&mut self) -> Head {
        let head = Head {
            epoch: self.epoch,
            recovered: self.recovered.clone().into(),
            snapshot: self.snapshot(),
            log_written: self.log.written,
        };
        self.log.flushed = self.log.written;
        head
    }

    pub(super) fn committed(&self) -> impl Iterator<Item = &Committed> + Clone {
        self.committed.iter()
    }

    pub(super) fn event(&self, uid: u64) -> &Committed {
        &self.committed[uid as usize - 1]
    }

    fn visible(&self) -> impl Iterator<Item = &Committed> {
        self.committed
            .iter()
            .filter(|event| !event.undone && !event.pruned)
    }

    /// A read of the reader's, in parts. One that `may_be_large` is, if it has more than a few events.
    pub(super) fn read(
        &self,
        from: &Seen,
        may_be_large: bool,
        random: &mut Random,
    ) -> Vec<ReadPart> {
        let snapshot = match from {
            Seen::All(_) => self.snapshot(),
            Seen::Part { batch, .. } => batch.clone(),
        };
        let mut found: Vec<_> = self
            .visible()
            .filter(|event| snapshot.sees(event.xid) && from.misses(event.xid, event.id))
            .collect();
        found.sort_by_key(|event| event.id);
        let is_large = may_be_large && found.len() > random.below(8);
        if is_large {
            found.clear();
        }
        let mut parts = Vec::new();
        loop {
            let rest = found.split_off(found.len().min(1 + random.below(3)));
            parts.push(ReadPart {
                snapshot: snapshot.clone(),
                log: self.log,
                pruned: self.pruned.as_deref().cloned(),
                synced: found.iter().all(|event| event.sync),
                events: found.into_iter().map(Committed::to_event).collect(),
                complete: rest.is_empty(),
                is_large,
            });
            if rest.is_empty() {
                return parts;
            }
            found = rest;
        }
    }

    /// Puts everything on disk, and says which rooms have an event that `before` does not see, or are
    /// reloaded by one.
    pub(super) fn flush_and_find_rooms(&mut self, before: &Snapshot, rooms: &[Room]) -> Vec<Room> {
        self.log.flushed = self.log.written;
        let has_event = |room: &&Room| {
            let mut visible = self.visible();
            visible.any(|event| {
                (event.room == **room || event.reloads(room)) && !before.sees(event.xid)
            })
        };
        rooms.iter().filter(has_event).cloned().collect()
    }

    /// A read of a replay's.
    pub(super) fn page(&self, ranges: &[RoomRange], limit: usize) -> ReplayPage {
        let mut found: Vec<_> = self
            .visible()
            .filter(|event| ranges.iter().any(|range| holds(range, event)))
            .collect();
        found.sort_by_key(|event| event.id);
        let upto = (found.len() > limit).then(|| found[limit - 1].id);
        found.truncate(limit);
        ReplayPage {
            state: self.state(),
            durable: self.log.is_flushed(),
            events: found.into_iter().map(Committed::to_event).collect(),
            upto,
        }
    }
}

fn holds(range: &RoomRange, event: &Committed) -> bool {
    event.room == range.room
        && !range.before.sees(event.xid)
        && range
            .batch
            .as_ref()
            .is_none_or(|batch| batch.sees(event.xid))
        && event.id > range.after
        && event.id <= range.upto
}

impl Committed {
    /// Whether it has a room reloaded.
    pub(super) fn reloads(&self, room: &Room) -> bool {
        self.reload
            .is_some_and(|reload| reload.rooms.contains(&room.as_str()))
    }

    fn payload(&self) -> String {
        match (&self.revocation, self.reload) {
            (None, None) => self.uid.to_string(),
            (None, Some(reload)) => {
                serde_json::json!({ "rooms": reload.patterns, "source": "public.m", "reason": "truncate" })
                    .to_string()
            }
            (Some(revocation), _) => serde_json::json!({
                "subject": revocation.subject,
                "issuer": revocation.issuer,
                "room": revocation.room,
                "at": revocation.at,
                "reason": null,
            })
            .to_string(),
        }
    }

    fn to_event(&self) -> Arc<Event> {
        Arc::new(Event {
            id: self.id,
            xid: self.xid,
            room: self.room.clone(),
            name: "e".into(),
            payload: RawValue::from_string(self.payload()).expect("JSON"),
            at_us: self.uid.cast_signed(),
            age: Duration::ZERO,
            traceparent: None,
        })
    }
}
