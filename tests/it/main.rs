//! Rowcast from the outside: the real binary, a real Postgres, the official client.
//!
//! One binary for the whole suite, so that it links once. Each test has a database of its own and all run in parallel.
//! Each is a sentence about what a user, a client or an operator can rely on.

mod harness;

mod altered;
mod capture;
mod crash;
mod crash_join;
mod crash_replay;
mod dashboard;
mod delivery;
mod demo;
mod doctor;
mod embedded;
mod events;
mod expired;
mod failing_database;
mod faults;
mod guide;
mod history;
mod history_sources;
mod history_tables;
mod hostile;
mod http;
mod join;
mod large_commits;
mod layers;
mod limits;
mod logs;
mod long_polls;
mod managed;
mod migrating;
mod migrations;
mod names;
mod no_room;
mod notify_queue;
mod offsets;
mod operating;
mod order;
mod outbox_removals;
mod payload;
mod pooler;
mod reads;
mod regenerate;
mod restored;
mod resume;
mod resume_faults;
mod retention;
mod same_text;
mod serializable;
mod settings;
mod slow;
mod soak;
mod sources;
mod start;
mod starting;
mod status;
mod stop;
mod tools;
mod typing;
mod unable;
mod wake;
mod writers;
