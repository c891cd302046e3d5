//! The commands, and their own arguments.
//!
//! Owns what `rowcast --help` says of each. Settings are no arguments of a command: they hold for all.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::attach::AttachArgs;
use super::quantity;

const EXAMPLES_OF_ATTACH: &str = "\
Examples:
  rowcast attach wa_messages --room 'conversation:{customer_id}' --on-insert message:new \\
    --rules 'update of state: message:status' --words state=0:sent,1:delivered,2:read
  rowcast attach wa_messages --room 'conversation:{chat.jid}' --lookups chat=chats --on-insert message:new --dry-run
  rowcast attach --file rowcast.toml";

/// What the process is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Subcommand)]
pub(crate) enum Command {
    /// Broadcast the database's events to Socket.IO clients (the default)
    #[default]
    Serve,
    /// Create or update Rowcast's tables, then exit
    Migrate {
        /// Also the optional chat tables, messages and message_statuses
        #[arg(long)]
        chat: bool,
        /// How long to wait for the database and for locks, such as 30s or 5m
        #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = patience)]
        timeout: Duration,
    },
    /// Ask the server on HOST and PORT whether it is ready; exit 1 when it is not
    Healthcheck,
    /// Print every setting, its value and where it came from, and connect to nothing; exit 2 when one is bad
    Check,
    /// Look at everything that can be wrong with the database, and say how to mend it
    ///
    /// Changes nothing, ends within a minute or two whatever hangs, and may run beside a server. Exit 0 when all is well, 1 when
    /// the worst is a warning, 2 when something does not work.
    Doctor {
        /// One JSON object: status and findings, each with check, level, said, means, paste
        #[arg(long)]
        json: bool,
    },
    /// Print the grants by which a role may serve (nothing said), attach tables, emit events, or revoke rights
    Grant(GrantArgs),
    /// Make a token for trying, or say what the server would say of one
    ///
    /// Signs with ROWCAST_JWT_SECRET, or with the private key of --key. With --check: exit 0 when the server would let its bearer
    /// in, 1 when not, with the reason.
    Token(TokenArgs),
    /// Attach a table, so that its changes become events; or the tables of a file
    ///
    /// Each flag is the parameter of rowcast.attach of the same name (docs/sql.md), and takes the JSON that it takes, too. Attaching
    /// again replaces. A refusal names the flag, what was wrong with it, and what is accepted. Exit 0 when it is attached.
    #[command(after_help = EXAMPLES_OF_ATTACH)]
    Attach(Box<AttachArgs>),
    /// Detach a table: its triggers go, its rows stay
    Detach {
        /// The table, with its schema or without
        table: String,
    },
    /// Store an event of your own, as rowcast.emit does: every client in the room gets it
    Emit {
        /// Its room, in full, such as conversation:42
        room: String,
        /// Its name, such as message:new
        event: String,
        /// Its payload; - reads it from the standard input
        #[arg(value_name = "JSON")]
        data: String,
    },
    /// Print events as they are committed, until it is interrupted
    ///
    /// Looks four times a second, needs no server, and goes on where it was when the database was away.
    Tail(TailArgs),
    /// Print TypeScript of the events of everything that is attached, for the stock client
    ///
    /// It is of the database as it is now: the same database gives the same text. Use: Socket<ServerToClientEvents, ClientToServerEvents>.
    Types {
        /// Put it into this file; where that fails, the file is as it was
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// List the attached tables, with their rooms, events and problems
    Sources {
        /// One JSON array
        #[arg(long)]
        json: bool,
    },
    /// Write the man pages and the completions of bash, zsh and fish into a folder, for packages
    #[command(hide = true)]
    Manual {
        /// The folder, which is made where it is missing
        folder: PathBuf,
    },
}

/// The arguments of [`Command::Grant`].
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct GrantArgs {
    /// The role, as it is called in Postgres
    pub role: String,
    /// To run rowcast serve, and pg_dump; this is meant where nothing is said
    #[arg(long)]
    pub serve: bool,
    /// To call rowcast.attach and rowcast.detach for its own tables, and to dump the database
    #[arg(long)]
    pub attach: bool,
    /// To call rowcast.emit and rowcast.typing
    #[arg(long)]
    pub emit: bool,
    /// To call rowcast.revoke
    #[arg(long)]
    pub revoke: bool,
    /// Run them, as the role of DATABASE_URL; exit 1 when one is refused
    #[arg(long)]
    pub apply: bool,
}

/// The arguments of [`Command::Tail`].
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct TailArgs {
    /// One room, in full, such as conversation:42; without it all rooms
    pub room: Option<String>,
    /// Begin with what came since: an offset, or so long ago, such as 10m; without it only what comes is printed
    #[arg(long, value_name = "OFFSET|DURATION", value_parser = since)]
    pub since: Option<Since>,
    /// One JSON object a line: at, room, event, data, offset
    #[arg(long)]
    pub json: bool,
}

/// From where on a tail begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long ago.
    Ago(Duration),
    /// After an offset, as clients have it.
    Offset(String),
}

/// What begins with a digit is a duration. Offsets begin with their version, which is a letter.
fn since(text: &str) -> Result<Since, String> {
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(Since::Offset(text.to_owned()));
    }
    let bounds = quantity::TTL;
    let ago = quantity::duration(text, bounds).map_err(|refusal| refusal.to_string())?;
    Ok(Since::Ago(ago))
}

/// The arguments of [`Command::Token`].
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct TokenArgs {
    /// Whom the token is about (sub)
    #[arg(long, required_unless_present = "check", conflicts_with = "check")]
    pub sub: Option<String>,
    /// A room that its bearer may join, such as conversation:42, or a prefix that ends in *; may be given several times
    #[arg(long, value_name = "ROOM", conflicts_with = "check")]
    pub rooms: Vec<String>,
    /// For how long it is valid, such as 1h
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = ttl, conflicts_with = "check")]
    pub ttl: Duration,
    /// More claims, as one JSON object; iss and aud are set by the settings
    #[arg(long, value_name = "JSON", conflicts_with = "check")]
    pub claims: Option<String>,
    /// PEM file of the private key (PKCS #8; RS256, ES256, EdDSA) to sign with, where the server has a public key or a key set
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    pub key: Option<PathBuf>,
    /// The name of that key in the key set (kid)
    #[arg(long, value_name = "NAME", conflicts_with = "check", requires = "key")]
    pub kid: Option<String>,
    /// Say what the server would say of this token; - reads it from the standard input
    #[arg(long, value_name = "TOKEN")]
    pub check: Option<String>,
    /// With --check: one JSON object
    #[arg(long, requires = "check")]
    pub json: bool,
}

/// For how long a token may be valid.
fn ttl(text: &str) -> Result<Duration, String> {
    let bounds = quantity::TTL;
    quantity::duration(text, bounds).map_err(|refusal| refusal.to_string())
}

/// How long a command may wait.
fn patience(text: &str) -> Result<Duration, String> {
    let bounds = quantity::PATIENCE;
    quantity::duration(text, bounds).map_err(|refusal| refusal.to_string())
}
