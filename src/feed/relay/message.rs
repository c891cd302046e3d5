//! What a leader says of the outbox, and its bytes on the wire. No I/O.
//!
//! A [`Statement`] is a fact that stays true as long as the database does not crash: these events, and no others, are seen by the
//! snapshot `after` and not by the snapshot `before`. So it can be lost, come twice, late, in another order or from two leaders, and
//! whoever heeds it heeds the truth.
//! Guarantees that what is opened was sealed by a server of the same database, and refuses everything else ([`Seal`]).

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::seal::Seal;
use crate::db::LogPosition;
use crate::event::{Event, Room};
use crate::offset::Snapshot;

/// The first byte. A server of another version is heeded by nobody, and reads by itself.
const VERSION: u8 = 1;
const ANNOUNCED: u8 = 1;
const SYNCED: u8 = 2;
const FAREWELL: u8 = 4;

/// What the outbox got between two snapshots.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// How many crashes of the database the leader knows of.
    pub(super) crashes: usize,
    /// Payloads above so many bytes were reduced to their ids.
    pub(super) max_payload: u64,
    /// When the leader began to lead, as a transaction id: a later leader has a higher one.
    pub(super) term: u64,
    /// Counts what the leader says in its term.
    pub(super) number: u64,
    /// The leader stops to lead.
    pub(super) is_farewell: bool,
    pub(super) before: Arc<Snapshot>,
    pub(super) after: Arc<Snapshot>,
    /// Where Postgres's log was when `after` was taken.
    pub(super) log: LogPosition,
    /// Whether each event was on disk when it became visible.
    pub(super) synced: bool,
    /// By id; `None` where they are too many for a message.
    pub(super) events: Option<Vec<Arc<Event>>>,
}

/// Everything of a statement but its events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heading {
    pub(super) crashes: usize,
    pub(super) max_payload: u64,
    pub(super) term: u64,
    pub(super) number: u64,
    pub(super) is_farewell: bool,
}

/// Events of a read as they are written down one after another; nothing of them is kept once they are too many.
#[derive(Debug)]
pub(super) struct EventBytes {
    count: u32,
    bytes: Vec<u8>,
    most: usize,
    is_over: bool,
}

impl EventBytes {
    /// None yet, of at most so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self {
            count: 0,
            bytes: Vec::new(),
            most,
            is_over: false,
        }
    }

    pub(super) fn push(&mut self, event: &Event) {
        if self.is_over {
            return;
        }
        let out = &mut self.bytes;
        out.extend(event.id.to_be_bytes());
        out.extend(event.xid.to_be_bytes());
        out.extend(event.at_us.to_be_bytes());
        let age_us = u64::try_from(event.age.as_micros()).unwrap_or(u64::MAX);
        out.extend(age_us.to_be_bytes());
        let trace = event.traceparent.as_deref().unwrap_or_default();
        for text in [event.room.as_str(), &event.name, trace, event.payload.get()] {
            push_text(out, text);
        }
        self.count += 1;
        if self.bytes.len() > self.most {
            self.give_up();
        }
    }

    /// They are too many, whatever else comes.
    pub(super) fn give_up(&mut self) {
        (self.is_over, self.bytes) = (true, Vec::new());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0 && !self.is_over
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
}

/// The bytes of a statement, sealed.
pub(super) fn pack(
    heading: Heading,
    (before, after): (&Snapshot, &Snapshot),
    log: LogPosition,
    synced: bool,
    events: &EventBytes,
    seal: &Seal,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(events.bytes.len() + 256);
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    out.push(VERSION);
    out.push(
        flag(events.is_over, ANNOUNCED)
            | flag(synced, SYNCED)
            | flag(heading.is_farewell, FAREWELL),
    );
    for number in [
        heading.crashes as u64,
        heading.max_payload,
        heading.term,
        heading.number,
        log.written.cast_unsigned(),
        log.flushed.cast_unsigned(),
    ] {
        out.extend(number.to_be_bytes());
    }
    push_text(&mut out, &before.to_string());
    push_text(&mut out, &after.to_string());
    out.extend(events.count.to_be_bytes());
    out.extend(&events.bytes);
    let tag = seal.tag(&out);
    out.extend(tag.as_ref());
    out
}

/// Reads what [`pack`] wrote under the same seal; `None` for everything else.
pub(super) fn open(bytes: &[u8], seal: &Seal) -> Option<Statement> {
    let mut rest = Rest(seal.open(bytes)?);
    if rest.byte()? != VERSION {
        return None;
    }
    let flags = rest.byte()?;
    let mut numbers = [0; 6];
    for number in &mut numbers {
        *number = rest.number()?;
    }
    let [crashes, max_payload, term, number, written, flushed] = numbers;
    let before = rest.text()?.parse().ok()?;
    let after = rest.text()?.parse().ok()?;
    let count = u32::from_be_bytes(rest.array()?);
    let events = if flags & ANNOUNCED == 0 {
        let events: Option<Vec<_>> = (0..count).map(|_| rest.event().map(Arc::new)).collect();
        Some(events?)
    } else {
        None
    };
    rest.0.is_empty().then_some(Statement {
        crashes: crashes.try_into().ok()?,
        max_payload,
        term,
        number,
        is_farewell: flags & FAREWELL != 0,
        before: Arc::new(before),
        after: Arc::new(after),
        log: LogPosition {
            written: written.cast_signed(),
            flushed: flushed.cast_signed(),
        },
        synced: flags & SYNCED != 0,
        events,
    })
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    let len = u32::try_from(text.len()).expect("far below what a message may have");
    out.extend(len.to_be_bytes());
    out.extend(text.as_bytes());
}

/// What of a message is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = u32::from_be_bytes(self.array()?) as usize;
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn event(&mut self) -> Option<Event> {
        let [id, xid, at_us, age_us] = [
            self.number()?,
            self.number()?,
            self.number()?,
            self.number()?,
        ];
        let [room, name, trace, payload] = [self.text()?, self.text()?, self.text()?, self.text()?];
        Some(Event {
            id: id.cast_signed(),
            xid,
            room: Room::from(room),
            name: name.into(),
            payload: RawValue::from_string(payload.to_owned()).ok()?,
            at_us: at_us.cast_signed(),
            age: Duration::from_micros(age_us),
            traceparent: (!trace.is_empty()).then(|| trace.into()),
        })
    }
}
