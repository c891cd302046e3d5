//! Every SQL statement of the server.
//!
//! Owns the text of the queries and the shape of their rows. No other module has SQL, and this one knows nothing of sockets,
//! of who is in a room, or of HTTP. Relies on the schema that `migrations/` make.
//!
//! - `outbox`: what the reader follows, what replays and HTTP read, and what is pruned
//! - `sessions`: the resume sessions; `history`: the messages of a room, read from the attached tables
//! - `listen`: LISTEN; `notify_queue`: the notification by which a server probes itself, and how full the queue of all is
//! - `pools`: the connections, by what they are for; `query_batcher`: many questions in one statement
//! - `retry`: which errors pass by themselves; `read_error`: why a read failed
//! - `prepare`, `migrate`: waiting for the database, and its schema
//! - `rights`: what a server's role needs; `self_check`: whether it has it; `fault`: what Postgres said, for a person
//! - `doctor`: everything that can be wrong, for `rowcast doctor`; `grants`: the rights of a role, as statements
//! - `sources`: the attached tables and their problems; `stats`: the figures for the metrics; `chat`: the demo's tables

use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
/// Some connections of the database.
pub(crate) use sqlx::postgres::PgPool as Pool;

mod chat;
mod doctor;
mod fault;
mod grants;
mod history;
mod listen;
mod migrate;
mod notify_queue;
mod numbers;
mod outbox;
mod pools;
mod prepare;
mod query_batcher;
mod read_error;
mod retry;
mod rights;
mod self_check;
mod sessions;
mod sources;
mod stats;

pub(crate) use chat::{Chat, ChatError, Conversation, Report};
pub(crate) use doctor::{Doctor, Finding, Level, list_sources};
pub(crate) use fault::{cause_of, is_refused};
pub(crate) use grants::{Wanted, apply_grants, grants_for};
pub(crate) use history::{HistoryError, history};
pub(crate) use listen::{Heard, Listen, ListenError};
pub(crate) use migrate::{ChatTables, Schema};
pub(crate) use notify_queue::{notify_queue_holder, send_probe};
pub(crate) use outbox::{
    Follow, FollowError, Head, LogPosition, Pruner, ReadPart, SharedReads, replay_page,
};
pub(crate) use pools::Pools;
pub(crate) use prepare::prepare;
pub(crate) use read_error::log_wait;
pub(crate) use retry::is_transient;
pub(crate) use self_check::SelfCheck;
pub(crate) use sessions::{
    PidHash, ResumeSession, SessionProgress, Sessions, StoredSession, Takeover, parse_takeovers,
};
pub(crate) use sources::{Source, sources};
pub(crate) use stats::stats;

/// How long a connection attempt may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Where the database is: what every connection of ours starts from.
#[derive(Clone)]
pub(crate) struct Database {
    options: PgConnectOptions,
    /// Transactions are read only unless we say otherwise: that is the database's, or the role's, own setting.
    is_read_only_by_default: bool,
}

impl Database {
    /// Takes the options as they come from the URL.
    pub(crate) fn new(options: PgConnectOptions) -> Self {
        Self {
            options,
            is_read_only_by_default: false,
        }
    }

    /// The options for a connection whose `application_name` says what it is for.
    fn named(&self, name: &str) -> PgConnectOptions {
        // A slow statement's text says nothing that its caller does not say better.
        self.options
            .clone()
            .application_name(name)
            .disable_statement_logging()
    }

    /// Makes every connection from here on one that may write, whatever is set for the database or for the role. False: that was
    /// done before. It is a startup parameter, which some poolers refuse, so it is sent only where it is needed.
    fn make_writable(&mut self) -> bool {
        if self.is_read_only_by_default {
            return false;
        }
        self.is_read_only_by_default = true;
        let options = self.options.clone();
        self.options = options.options([("default_transaction_read_only", "off")]);
        true
    }

    /// Whether it is reached by a Unix socket.
    fn is_socket(&self) -> bool {
        self.options.get_socket().is_some() || self.options.get_host().starts_with('/')
    }

    /// `host:port/database`, for the log. Never the user's password.
    pub(crate) fn describe(&self) -> String {
        let database = self
            .options
            .get_database()
            .unwrap_or(self.options.get_username());
        match self.options.get_socket() {
            Some(socket) => format!("{}/{database}", socket.display()),
            None => format!(
                "{}:{}/{database}",
                self.options.get_host(),
                self.options.get_port()
            ),
        }
    }
}
