//! Rights: what tokens and the policy in the database add to a join, and to a storm of clients with many rooms.
//!
//! Owns the tokens, the joins that are timed one by one, and the storm: the server is killed, started again on the same port, and
//! each client comes back with its session. Both are measured with `ROWCAST_AUTH=none` and with `jwt` and the shipped
//! `rowcast.may_join`, in turns.
//! Guarantees that a client counts as back only with its own session, of which the server restores all rooms or none; and that each
//! answers pings from its first moment on, however long the others take to join.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{self, Socket};
use crate::cluster::Cluster;
use crate::database::Database;
use crate::figures::Latency;
use crate::process;
use crate::report::{Combine, Figure};
use crate::server::{Contender, Programs};
use crate::session::Session;
use crate::table::Goal;

const CLIENTS: u32 = 2_000;
/// What each of them joins, of so many rooms.
const ROOMS_EACH: u32 = 20;
const ROOMS: u32 = 400;
/// Joins that are timed, one after the other.
const JOINS: u32 = 500;
/// Clients that join their rooms at a time.
const JOINING: usize = 50;
const JOINED_WITHIN: Duration = Duration::from_secs(300);
const DOWN: Duration = Duration::from_secs(1);
/// Postgres publishes its counters a second late.
const COUNTED_AFTER: Duration = Duration::from_secs(2);
const SECRET: &str = "a secret for the benchmark alone, of 32 bytes and more";
const TRANSACTIONS: &str =
    "select xact_commit from pg_stat_database where datname = current_database()";

/// One measurement.
pub(crate) struct Outcome {
    is_guarded: bool,
    join: Latency,
    from_ready_s: f64,
    anew: u64,
    transactions: u64,
    postgres_cpu_s: f64,
}

pub(crate) async fn measure(
    cluster: &Cluster,
    programs: &Programs,
    is_guarded: bool,
) -> Result<Outcome> {
    let database = cluster.create().await?;
    programs.prepare(Contender::Rowcast, &database).await?;
    let rights = [("ROWCAST_AUTH", "jwt"), ("ROWCAST_JWT_SECRET", SECRET)];
    let freely = [("ROWCAST_MAX_EVENT_RATE", "1000")];
    let variables = if is_guarded {
        [&rights[..], &freely].concat()
    } else {
        freely.to_vec()
    };
    let token = is_guarded.then_some(token as fn(u32) -> String);
    let server = programs
        .start_at(Contender::Rowcast, &database, 0, &variables)
        .await?;
    let address = server.address;

    let mut alone = Session::crowd(address, 1, ROOMS, token).await?;
    let (_session, socket) = alone.first_mut().expect("it was let in");
    let mut joins = Vec::new();
    for number in 0..JOINS {
        let room = 1 + number % (ROOMS_EACH - 1);
        let began = Instant::now();
        client::join_room(socket, room).await?;
        joins.push(began.elapsed());
        client::leave_room(socket, room).await?;
    }
    drop(alone);

    let crowd = Crowd::join(address, token).await?;
    server.kill().await?;
    sleep(DOWN).await;
    let cpu_before = process::cpu_with_children(cluster.pid())?;
    let server = programs
        .start_at(Contender::Rowcast, &database, address.port(), &variables)
        .await?;
    let ready = Instant::now();
    let transactions = count(&database).await?;
    let back = crowd.back().await?;
    let last = back.iter().filter_map(|(session, _)| session.back.last());
    let last = last.max().copied().unwrap_or(ready);
    sleep(COUNTED_AFTER).await;
    let outcome = Outcome {
        is_guarded,
        join: Latency::of(joins),
        from_ready_s: last.saturating_duration_since(ready).as_secs_f64(),
        anew: back
            .iter()
            .map(|(session, _)| u64::from(session.anew))
            .sum(),
        transactions: count(&database).await? - transactions,
        postgres_cpu_s: (process::cpu_with_children(cluster.pid())? - cpu_before).as_secs_f64(),
    };
    ensure!(back.len() == CLIENTS as usize, "{} are back", back.len());
    drop(back);
    server.stop().await?;
    cluster.remove(database).await?;
    Ok(outcome)
}

/// The clients of the storm, each of which is a task.
struct Crowd(JoinSet<Result<(Session, Socket)>>);

impl Crowd {
    /// Connects them all, and returns when each is in its rooms.
    async fn join(address: SocketAddr, token: Option<fn(u32) -> String>) -> Result<Self> {
        let (turns, joined) = (
            Arc::new(Semaphore::new(JOINING)),
            Arc::<AtomicU32>::default(),
        );
        let mut clients = JoinSet::new();
        for (session, socket) in Session::crowd(address, CLIENTS, ROOMS, token).await? {
            let (turns, joined) = (turns.clone(), joined.clone());
            clients.spawn(endure(session, socket, address, turns, joined));
        }
        let deadline = Instant::now() + JOINED_WITHIN;
        while joined.load(Ordering::Relaxed) < CLIENTS {
            if let Some(ended) = clients.try_join_next() {
                ended??;
                bail!("a client left before the server was killed");
            }
            if Instant::now() > deadline {
                bail!(
                    "{} clients are in their rooms",
                    joined.load(Ordering::Relaxed)
                );
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Self(clients))
    }

    /// Returns when all are back.
    async fn back(self) -> Result<Vec<(Session, Socket)>> {
        self.0.join_all().await.into_iter().collect()
    }
}

/// One client: joins its rooms in its turn, listens until the server dies, and comes back.
async fn endure(
    mut session: Session,
    mut socket: Socket,
    address: SocketAddr,
    turns: Arc<Semaphore>,
    joined: Arc<AtomicU32>,
) -> Result<(Session, Socket)> {
    let turn = tokio::select! {
        turn = turns.acquire_owned() => turn?,
        ended = session.listen(&mut socket, usize::MAX) => bail!("cut off before it joined: {ended:?}"),
    };
    for other in 1..ROOMS_EACH {
        client::join_room(&mut socket, (session.room + other) % ROOMS).await?;
    }
    drop(turn);
    joined.fetch_add(1, Ordering::Relaxed);
    let _killed = session.listen(&mut socket, usize::MAX).await;
    drop(socket);
    let socket = session.come_back(address).await;
    Ok((session, socket))
}

async fn count(database: &Database) -> Result<u64> {
    database.count(TRANSACTIONS).await
}

/// A token of an hour that names the client's rooms, as the shipped policy reads them.
fn token(client: u32) -> String {
    let rooms: Vec<String> = (0..ROOMS_EACH)
        .map(|other| ((client % ROOMS + other) % ROOMS).to_string())
        .collect();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let claims = serde_json::json!({
        "sub": format!("client-{client}"),
        "exp": now.as_secs() + 3600,
        "conversations": rooms,
    });
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length will do");
    mac.update(signed.as_bytes());
    let tag = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("{signed}.{tag}")
}

impl Outcome {
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let with = if self.is_guarded {
            "with tokens and the policy"
        } else {
            "without"
        };
        let median = |what: &str, value, decimals| {
            Figure::new(
                format!("rights, {with}: {what}"),
                value,
                decimals,
                Combine::Median,
            )
        };
        let mut from_ready = median(
            "2,000 clients with 20 rooms back, s after ready",
            self.from_ready_s,
            2,
        );
        if self.is_guarded {
            from_ready = from_ready.goal(Goal::AtMost(3.0));
        }
        vec![
            median("a join p50, ms", self.join.p50_ms, 2),
            median("a join p99, ms", self.join.p99_ms, 2),
            from_ready,
            median(
                "transactions in Postgres meanwhile",
                self.transactions as f64,
                0,
            ),
            median("Postgres CPU from the start on, s", self.postgres_cpu_s, 2),
            Figure::new(
                format!("rights, {with}: clients that had to begin anew"),
                self.anew as f64,
                0,
                Combine::Sum,
            )
            .goal(Goal::AtMost(0.0)),
        ]
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: a join {:.2}/{:.2} ms; all back {:.2} s after ready, {} anew; {} transactions, Postgres {:.2} s",
            if self.is_guarded { "guarded" } else { "open" },
            self.join.p50_ms,
            self.join.p99_ms,
            self.from_ready_s,
            self.anew,
            self.transactions,
            self.postgres_cpu_s,
        )
    }
}
