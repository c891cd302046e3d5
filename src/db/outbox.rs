//! The outbox: `rowcast.events`, and the epoch that offsets of it belong to.
//!
//! - `follow`: the reader's own connection, which reads what was committed since a snapshot
//! - `replay_page`: reads what some rooms got since a snapshot; `shared_reads`: the same for many clients by few statements;
//!   `long_ranges`: the same of rooms that got very many events
//! - `prune`: removes what is older than the retention
//! - `tail`: what somebody who looks on is shown; `last`: the last events of a room, and one event
//! - `row`: a row as an event; `epoch`: which life of the database this is, and whether it crashed

mod epoch;
mod follow;
mod last;
mod long_ranges;
mod prune;
mod replay_page;
mod row;
mod sendable;
mod shared_reads;
mod tail;

pub(super) use epoch::{database_state, database_state_columns};
pub(crate) use follow::{Follow, FollowError, Head, LogPosition, ReadPart};
pub(crate) use last::{last_events, one_event};
pub(crate) use prune::Pruner;
pub(crate) use replay_page::replay_page;
pub(crate) use shared_reads::SharedReads;
pub(crate) use tail::{Onlooker, Tail, TailFrom};
