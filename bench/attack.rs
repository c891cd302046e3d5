//! Attack: what two hundred healthy clients notice of strangers who want to take the server down, and what it holds for them.
//!
//! Owns the strangers: ten thousand that connect and say nothing, ten thousand that open an engine session and nothing more, a thousand
//! that send as many events as they may. Each comes back when it is sent away, and they come from many addresses.
//! Guarantees that one server is measured in turn without them and with each kind, in one run. The strangers share the machine with
//! it, so what they cost themselves is in the figures, too.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::client::{self, Crowd};
use crate::cluster::Cluster;
use crate::delivery::latencies;
use crate::figures::Latency;
use crate::insert;
use crate::process;
use crate::report::{Combine, Figure};
use crate::server::{Contender, Programs};
use crate::tally::Tally;

const CLIENTS: u32 = 200;
const ROOMS: u32 = 20;
/// Inserts a second.
const RATE: u32 = 100;
const LAST_WITHIN: Duration = Duration::from_secs(10);
/// Events a second of each that floods: the default limit.
const FLOOD_RATE: u32 = 50;
/// Addresses that the strangers come from. One has not enough ports for all that come back.
const ADDRESSES: u32 = 100;
/// How many may be connecting at once.
const CONNECTING: usize = 200;
const UP_WITHIN: Duration = Duration::from_secs(60);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Attack {
    None,
    HalfOpen,
    EngineOnly,
    Flood,
}

struct Measured {
    attack: Attack,
    from_insert: Latency,
    rss_mb: f64,
    strangers: u32,
    server_cpu_s: f64,
}

/// All kinds in turn, on one server.
pub(crate) struct Outcome {
    measured: Vec<Measured>,
    cut_off: u64,
    tally: Tally,
}

pub(crate) async fn measure(
    cluster: &Cluster,
    programs: &Programs,
    seconds: u32,
) -> Result<Outcome> {
    const ATTACKS: [Attack; 4] = [
        Attack::None,
        Attack::HalfOpen,
        Attack::EngineOnly,
        Attack::Flood,
    ];
    let database = cluster.create().await?;
    programs.prepare(Contender::Rowcast, &database).await?;
    let pool = database.pool(insert::WRITERS).await?;
    let server = programs.start(Contender::Rowcast, &database).await?;
    let crowd = Crowd::join(server.address, CLIENTS, ROOMS).await?;
    let per_row = u64::from(CLIENTS / ROOMS);
    let (mut rows, mut parts) = (0, Vec::new());
    for attack in ATTACKS {
        let strangers = attack.begin(server.address).await?;
        let cpu = process::cpu(server.pid)?;
        let upto = rows + seconds * RATE;
        let written = insert::paced(&pool, rows..upto, RATE, ROOMS).await?;
        crowd.received(u64::from(upto) * per_row, LAST_WITHIN).await;
        let server_cpu_s = (process::cpu(server.pid)? - cpu).as_secs_f64();
        let rss_mb = process::memory(server.pid)?.rss as f64 / 1e6;
        parts.push((
            attack,
            rows,
            written,
            rss_mb,
            strangers.count(),
            server_cpu_s,
        ));
        strangers.end().await;
        eprintln!("attack: {} is over", attack.name());
        rows = upto;
    }
    let heard = crowd.leave().await;
    server.stop().await?;
    pool.close().await;
    cluster.remove(database).await?;

    let tally = Tally::of(&heard, ROOMS, rows);
    let measured =
        parts
            .into_iter()
            .map(
                |(attack, from, written, rss_mb, strangers, server_cpu_s)| Measured {
                    attack,
                    from_insert: Latency::of(latencies(&heard, &written, from).0),
                    rss_mb,
                    strangers,
                    server_cpu_s,
                },
            );
    Ok(Outcome {
        measured: measured.collect(),
        cut_off: heard
            .iter()
            .filter(|client| client.cut_off.is_some())
            .count() as u64,
        tally,
    })
}

/// Those that are at it.
struct Strangers {
    tasks: JoinSet<()>,
    connected: Arc<AtomicU32>,
}

impl Strangers {
    fn count(&self) -> u32 {
        self.connected.load(Ordering::Relaxed)
    }

    async fn end(mut self) {
        self.tasks.shutdown().await;
    }
}

impl Attack {
    fn name(self) -> &'static str {
        match self {
            Self::None => "nobody else",
            Self::HalfOpen => "10,000 that say nothing",
            Self::EngineOnly => "10,000 that only open the engine",
            Self::Flood => "1,000 that flood at the limit",
        }
    }

    fn strangers(self) -> u32 {
        match self {
            Self::None => 0,
            Self::HalfOpen | Self::EngineOnly => 10_000,
            Self::Flood => 1_000,
        }
    }

    /// Begins, and returns when most of the strangers are there.
    async fn begin(self, address: SocketAddr) -> Result<Strangers> {
        let (connected, places) = (
            Arc::<AtomicU32>::default(),
            Arc::new(Semaphore::new(CONNECTING)),
        );
        let mut tasks = JoinSet::new();
        for stranger in 0..self.strangers() {
            let (connected, places) = (connected.clone(), places.clone());
            tasks.spawn(async move {
                loop {
                    let _sent_away = self.be(stranger, address, &connected, &places).await;
                    sleep(PAUSE).await;
                }
            });
        }
        let strangers = Strangers { tasks, connected };
        let deadline = Instant::now() + UP_WITHIN;
        while strangers.count() < self.strangers() * 9 / 10 {
            if Instant::now() > deadline {
                bail!("{}: {} came in", self.name(), strangers.count());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(strangers)
    }

    /// One stranger, until it is sent away.
    async fn be(
        self,
        stranger: u32,
        address: SocketAddr,
        connected: &Arc<AtomicU32>,
        places: &Semaphore,
    ) -> Result<()> {
        let place = places.acquire().await?;
        let mut tcp = timeout(CONNECT_WITHIN, connect(stranger, address)).await??;
        match self {
            Self::None | Self::HalfOpen => {
                drop(place);
                let _counted = Counted::new(connected);
                while tcp.read(&mut [0; 64]).await? > 0 {}
            }
            Self::EngineOnly => {
                let mut socket = timeout(CONNECT_WITHIN, client::open(tcp)).await??;
                drop(place);
                let _counted = Counted::new(connected);
                while socket.next().await.is_some_and(|read| read.is_ok()) {}
            }
            Self::Flood => {
                let mut socket = timeout(CONNECT_WITHIN, client::connect(tcp)).await??;
                drop(place);
                let _counted = Counted::new(connected);
                let mut pace = interval(Duration::from_secs(1) / FLOOD_RATE);
                pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
                loop {
                    tokio::select! {
                        _ = pace.tick() => {
                            let event = r#"42["leave:conversation","nobody"]"#;
                            socket.send(Message::text(event)).await?;
                        }
                        read = socket.next() => match read {
                            Some(Ok(Message::Text(text))) if text == "2" => {
                                socket.send(Message::text("3")).await?;
                            }
                            Some(Ok(_)) => {}
                            Some(Err(_)) | None => break,
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// A stranger that is in, until it is dropped.
struct Counted(Arc<AtomicU32>);

impl Counted {
    fn new(connected: &Arc<AtomicU32>) -> Self {
        connected.fetch_add(1, Ordering::Relaxed);
        Self(connected.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connect(stranger: u32, address: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let from = Ipv4Addr::from_bits(Ipv4Addr::new(127, 0, 1, 1).to_bits() + stranger % ADDRESSES);
    socket.bind((from, 0).into())?;
    Ok(socket.connect(address).await?)
}

impl Outcome {
    fn alone(&self) -> Option<&Measured> {
        self.measured.first()
    }

    pub(crate) fn figures(&self) -> Vec<Figure> {
        let Some(alone) = self.alone() else {
            return Vec::new();
        };
        let mut figures = Vec::new();
        for measured in &self.measured {
            let name = format!("200 clients beside {}", measured.attack.name());
            let mut median = |what: &str, value, decimals| {
                let what = format!("{name}: {what}");
                figures.push(Figure::new(what, value, decimals, Combine::Median));
            };
            median("insert to client p50, ms", measured.from_insert.p50_ms, 2);
            median("insert to client p99, ms", measured.from_insert.p99_ms, 2);
            let times = measured.from_insert.p99_ms / alone.from_insert.p99_ms;
            median("p99, times that without them", times, 2);
            median("the server's memory, MB", measured.rss_mb, 0);
        }
        figures.extend(self.tally.figures("attacks"));
        figures.push(Figure::none("attacks: clients cut off", self.cut_off));
        figures
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for measured in &self.measured {
            write!(
                f,
                "{} ({} are in): insert to client {:.2}/{:.2} ms, the server has {:.0} MB and used {:.1} s of processor; ",
                measured.attack.name(),
                measured.strangers,
                measured.from_insert.p50_ms,
                measured.from_insert.p99_ms,
                measured.rss_mb,
                measured.server_cpu_s,
            )?;
        }
        write!(f, "clients cut off {}, {}", self.cut_off, self.tally)
    }
}
