//! Every SQL statement of the server.
//!
//! Owns the text of the queries and the shape of their rows. No other module has SQL, and this one knows nothing of sockets,
//! of who is in a room, or of HTTP. Relies on the schema that `migrations/` make.
//!
//! - `outbox`: what the reader follows, what replays and HTTP read, and what is pruned
//! - `sessions`: the resume sessions; `history`: the messages of a room, read from the attached tables
//! - `revocations`: what they end in the database itself
//! - `listen`: LISTEN; `signed`: which notifications are heeded; `notify_queue`: the notification by which a server probes itself, and how full the queue of all is
//! - `link`: whether a pooler is between us and the database, and what may be kept in a session then
//! - `backend`: a connection as statements run on it
//! - `pools`: the connections, by what they are for; `query_batcher`: many questions in one statement
//! - `retry`: which errors pass by themselves; `read_error`: why a read failed
//! - `prepare`, `migrate`: waiting for the database, and its schema
//! - `rights`: what a server's role needs; `self_check`: whether it has it; `locks`: who keeps our tables locked; `vacuum`: who keeps their dead rows; `disk`: whether it takes another page; `fault`: what Postgres said, for a person
//! - `doctor`: everything that can be wrong, for `rowcast doctor`; `grants`: the rights of a role, as statements
//! - `policy`: who may join which room, as the database says; `presence`: who is in which
//! - `preview`: what attaching a table would do, and doing it; `shapes`: the types of what is attached
//! - `sources`: the attached tables and their problems; `servers`: who else reads this database; `stats`: the figures for the metrics; `chat`: the demo's tables

use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use link::{Link, LinkState, Settings};

mod backend;
mod call;
mod chat;
mod disk;
mod doctor;
mod fault;
mod grants;
mod history;
mod inbox;
mod link;
mod listen;
mod lock_holder;
mod locks;
mod migrate;
mod notices;
mod notify_queue;
mod numbers;
mod outbox;
mod policy;
mod pools;
mod prepare;
mod presence;
mod preview;
mod query_batcher;
mod read_error;
mod reader_key;
mod retry;
mod revocations;
mod rights;
mod self_check;
mod servers;
mod sessions;
mod shapes;
mod signed;
mod sources;
mod stats;
mod vacuum;

pub(crate) use call::{Call, call};
pub(crate) use chat::{Chat, ChatError, Report};
pub(crate) use doctor::{Doctor, Finding, Level, SourceEntry, list_sources};
pub(crate) use fault::{cause_of, cause_with, is_refused, ungiven};
pub(crate) use grants::{Grant, Wanted, apply_grants, grants_for, policy_givers};
pub(crate) use history::{HistoryError, history};
pub(crate) use inbox::{settle_conversations, settle_some};
pub(crate) use listen::{Heard, Listen, ListenError};
pub(crate) use migrate::{ChatTables, Schema};
pub(crate) use notify_queue::{notify_queue_holder, send_probe};
pub(crate) use outbox::{
    Follow, FollowError, Head, LogPosition, Onlooker, Pruner, ReadPart, SharedReads, Tail,
    TailFrom, last_events, one_event, replay_page,
};
pub(crate) use policy::{Policy, Verdict};
pub(crate) use pools::{Pool, Pools};
pub(crate) use prepare::prepare;
pub(crate) use presence::{PresenceError, PresenceTables, RemoteServer};
pub(crate) use preview::{Example, Preview, WantedSource, attach_all, preview};
pub(crate) use read_error::log_wait;
pub(crate) use retry::is_transient;
pub(crate) use self_check::SelfCheck;
pub(crate) use servers::{ServerEntry, servers};
pub(crate) use sessions::{
    CountedFor, PidHash, ResumeSession, SessionProgress, Sessions, StoreError, StoredSession,
    Takeover, parse_takeovers,
};
pub(crate) use shapes::{ColumnType, Shape, shapes};
pub(crate) use sources::{Source, follow_tables, sources};
pub(crate) use stats::stats;

/// How long a connection attempt may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Where the database is: what every connection of ours starts from.
#[derive(Clone)]
pub(crate) struct Database {
    options: PgConnectOptions,
    link: Arc<LinkState>,
    /// Transactions are read only unless we say otherwise: that is the database's, or the role's, own setting.
    is_read_only_by_default: bool,
}

/// For a connection that has no setting of its own.
const PLAIN: Settings = Settings {
    local: &[],
    read_only: false,
};

impl Database {
    /// Takes the options as they come from the URL.
    pub(crate) fn new(options: PgConnectOptions) -> Self {
        Self {
            // Poolers refuse this parameter unless told otherwise, and Postgres's default says every number exactly, too.
            options: options.extra_float_digits(None),
            link: Arc::new(LinkState::new()),
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

    /// The options for a connection over this link. Where a backend may be another one each time, statements have no names.
    fn linked(&self, name: &str, link: Link, settings: Settings) -> PgConnectOptions {
        match link {
            Link::Direct => {
                let writable = self.is_read_only_by_default;
                let writable = writable.then_some(("default_transaction_read_only", "off"));
                let options = self.named(name).options(writable);
                self.link.direct(options, settings)
            }
            Link::Pooled => self.named(name).statement_cache_capacity(0),
        }
    }

    /// What is between us and the database; found out if it is not known.
    async fn link(&self) -> sqlx::Result<Link> {
        if let Some(link) = self.link.known() {
            return Ok(link);
        }
        let _turn = self.link.finding.lock().await;
        match self.link.known() {
            Some(link) => Ok(link),
            None => self.find_link().await,
        }
    }

    async fn find_link(&self) -> sqlx::Result<Link> {
        let direct = self.linked("rowcast", Link::Direct, PLAIN);
        let connected = match connect(direct).await {
            Err(error) if link::may_refuse_options(&error) => {
                // Refused again, it was not for the options.
                let plain = self.linked("rowcast", Link::Pooled, PLAIN);
                connect(plain).await.map_err(|_| error)
            }
            connected => connected,
        };
        let mut connection = connected?;
        let link = self.link.prove(&mut connection).await?;
        // Postgres notices by itself when the socket closes.
        let _ = connection.close().await;
        self.link.found(link);
        Ok(link)
    }

    /// Opens a connection outside any pool, and says over which link. Whoever opens one anew has lost one, so pools give up theirs.
    ///
    /// # Errors
    /// The database's own, or that of the network.
    async fn open(&self, name: &str, settings: Settings) -> sqlx::Result<(PgConnection, Link)> {
        let link = match self.link().await? {
            // It may be another server's address by now.
            Link::Pooled => self.find_link().await?,
            Link::Direct => Link::Direct,
        };
        let opened = connect(self.linked(name, link, settings)).await;
        let mut connection = opened.inspect_err(|_| self.link.forget())?;
        if link == Link::Direct {
            self.link.require_direct(&mut connection).await?;
        }
        Ok((connection, link))
    }

    /// Makes every connection from here on one that may write, whatever is set for the database or for the role. False: that was
    /// done before. It is sent only where it is needed; over a pooler each transaction says it by itself.
    fn make_writable(&mut self) -> bool {
        if self.is_read_only_by_default {
            return false;
        }
        self.is_read_only_by_default = true;
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

async fn connect(options: PgConnectOptions) -> sqlx::Result<PgConnection> {
    timeout(CONNECT_PATIENCE, options.connect())
        .await
        .map_err(|_| sqlx::Error::PoolTimedOut)?
}
