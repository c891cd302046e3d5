//! `rowcast tail`: prints events as they are committed.
//!
//! Guarantees that each is printed once, also where the database was away in between. Where what came meanwhile can't be told, that
//! is said, and it goes on from the present.

use std::io::{Write as _, stdout};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::sleep;

use super::find_database::on_database;
use crate::backoff::Backoff;
use crate::config::{Config, Since, TailArgs};
use crate::db::{Onlooker, Tail, TailFrom};
use crate::event::{Event, Room};
use crate::offset::{DatabaseState, Offset, ReadRange};
use crate::one_line::one_line;

/// Between two looks that found all there was.
const PAUSE: Duration = Duration::from_millis(250);

/// Prints the events of a room, or of all, until it is interrupted or nobody reads what it prints.
///
/// # Errors
/// The room is none, the offset can't be gone on from, or the database can't be reached at the start.
pub(crate) async fn tail(config: &Config, args: &TailArgs) -> anyhow::Result<()> {
    let room = match &args.room {
        Some(name) => Some(Room::named(name).with_context(|| format!("ROOM {name:?}"))?),
        None => None,
    };
    on_database(config, async |database| {
        let name = database.describe();
        let mut tail = Tail::new(database, room.clone(), config.max_payload_bytes);
        let mut printer = Printer::new(args, room);
        tokio::select! {
            done = follow(&mut tail, &mut printer, &name) => done,
            interrupted = tokio::signal::ctrl_c() => interrupted.context("the interrupt"),
        }
    })
    .await
}

async fn follow(tail: &mut Tail, printer: &mut Printer<'_>, database: &str) -> anyhow::Result<()> {
    let mut backoff = Backoff::new(PAUSE, Duration::from_secs(5));
    let mut is_away = false;
    loop {
        let looked = tail.look(&printer.from(), printer).await;
        match printer.stop.take() {
            Some(Stop::NobodyReads) => return Ok(()),
            Some(Stop::Refused(why)) => bail!("{why}"),
            Some(Stop::Lost(why)) => {
                say(&format!(
                    "what came meanwhile can't be told: {why}; it goes on from the present"
                ));
                continue;
            }
            None => {}
        }
        match looked {
            Ok(_) => {
                backoff.reset();
                printer.finish_look();
                if std::mem::take(&mut is_away) {
                    say(&format!("{database} is there again"));
                }
                sleep(PAUSE).await;
            }
            Err(error) if printer.here.is_none() => bail!("{database} can't be read: {error}"),
            Err(error) => {
                if !std::mem::replace(&mut is_away, true) {
                    say(&format!(
                        "{database} can't be read, it is tried again and again: {error}"
                    ));
                }
                sleep(backoff.next()).await;
            }
        }
    }
}

/// For the eyes beside the events.
#[expect(clippy::print_stderr, reason = "what is no event")]
fn say(what: &str) {
    eprintln!("rowcast: {what}");
}

/// An event as JSON.
#[derive(Serialize)]
struct Line<'a> {
    at: &'a str,
    room: &'a str,
    event: &'a str,
    data: &'a RawValue,
    /// Where to go on; null in what is printed of the past by its age.
    offset: Option<String>,
}

/// Why a look was stopped.
enum Stop {
    /// Whoever read the lines has gone.
    NobodyReads,
    /// The offset that was given can't be gone on from.
    Refused(String),
    /// What came since the last look can't be told.
    Lost(String),
}

/// Prints what looks find, and knows how far they came.
struct Printer<'a> {
    args: &'a TailArgs,
    room: Option<Room>,
    /// Everything up to here was printed. `None` until the first look is over.
    here: Option<Offset>,
    /// What the look that is under way reads, and of which database. `None` while it reads the past by its age.
    range: Option<(ReadRange, Offset)>,
    /// Where the first look began.
    present: Option<Offset>,
    stop: Option<Stop>,
}

impl<'a> Printer<'a> {
    fn new(args: &'a TailArgs, room: Option<Room>) -> Self {
        Self {
            args,
            room,
            here: None,
            range: None,
            present: None,
            stop: None,
        }
    }

    /// From where on the next look is.
    fn from(&self) -> TailFrom {
        match (&self.here, &self.args.since) {
            (Some(here), _) => TailFrom::Seen(here.seen.clone()),
            (None, Some(Since::Ago(past))) => TailFrom::Ago(*past),
            (None, _) => TailFrom::Now,
        }
    }

    /// The offset that was given, if it can be gone on from.
    fn given(&self, text: &str, state: &DatabaseState) -> Result<Offset, String> {
        let refused =
            |why: &dyn std::fmt::Display| format!("--since {text:?} can't be gone on from: {why}");
        let given = Offset::unpack(text, state.epoch.value).map_err(|why| refused(&why))?;
        let seen = match &self.room {
            Some(room) => given.seen_in(room).clone(),
            None => given.seen.clone(),
        };
        given
            .check_continuity(&seen, state)
            .map_err(|why| refused(&why))?;
        Ok(Offset {
            seen,
            joining_room: None,
            ..given
        })
    }

    /// All that the look was to read was printed.
    fn finish_look(&mut self) {
        if let Some((range, present)) = self.range.take() {
            self.here = Some(Offset {
                seen: range.seen_at_end(),
                ..present
            });
        } else if self.here.is_none() {
            self.here = self.present.take();
        }
    }

    fn print(&mut self, event: &Event, offset: Option<String>) -> std::io::Result<()> {
        let at = UNIX_EPOCH + Duration::from_micros(event.at_us.try_into().unwrap_or_default());
        let at = humantime::format_rfc3339_micros(at).to_string();
        let (room, name, data) = (event.room.as_str(), &*event.name, &*event.payload);
        let mut out = stdout().lock();
        if !self.args.json {
            let line = format!("{at}  {room}  {name}  {}", data.get());
            return writeln!(out, "{}", one_line(&line, |_| false));
        }
        let line = Line {
            at: &at,
            room,
            event: name,
            data,
            offset,
        };
        let line = serde_json::to_string(&line).expect("its parts are JSON");
        writeln!(out, "{line}")
    }
}

impl Onlooker for Printer<'_> {
    fn at(&mut self, state: DatabaseState, durable: bool) -> bool {
        let present = Offset::all(state.epoch, durable, state.snapshot.clone());
        match (&self.here, &self.args.since) {
            (Some(here), _) => {
                let unknown = if here.epoch.value == state.epoch.value {
                    here.check_continuity(&here.seen, &state)
                        .err()
                        .map(|why| why.to_string())
                } else {
                    Some("it is another database".to_owned())
                };
                if let Some(why) = unknown {
                    (self.here, self.stop) = (Some(present), Some(Stop::Lost(why)));
                    return false;
                }
                let range = ReadRange::following(&here.seen, &state.snapshot);
                self.range = Some((range, present));
            }
            (None, Some(Since::Offset(text))) => match self.given(text, &state) {
                Ok(given) => self.present = Some(given),
                Err(why) => {
                    self.stop = Some(Stop::Refused(why));
                    return false;
                }
            },
            (None, _) => self.present = Some(present),
        }
        true
    }

    fn event(&mut self, event: Event) -> bool {
        let place = self.range.as_ref().map(|(range, present)| Offset {
            seen: range.seen_upto(event.id),
            ..present.clone()
        });
        if self
            .print(&event, place.as_ref().map(Offset::pack))
            .is_err()
        {
            self.stop = Some(Stop::NobodyReads);
            return false;
        }
        if place.is_some() {
            self.here = place;
        }
        true
    }
}
