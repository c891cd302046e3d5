//! Stuck: what a thousand healthy clients notice of two that don't read.
//!
//! Owns the two: one never reads, one reads a kilobyte a second, both are in all rooms. Rows are written fast at first, so
//! that more waits for them than the server keeps, and then at the measured rate.
//! Guarantees that the same is measured with and without them.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{self, Crowd};
use crate::cluster::Cluster;
use crate::delivery::latencies;
use crate::figures::Latency;
use crate::insert;
use crate::report::{Combine, Figure};
use crate::server::{Contender, Programs};
use crate::tally::Tally;

const CLIENTS: u32 = 1_000;
const ROOMS: u32 = 10;
/// Inserts a second at first, and for how many seconds.
const FILL_RATE: u32 = 500;
const FILL_SECONDS: u32 = 8;
/// Inserts a second while it is measured.
const RATE: u32 = 100;
const LAST_WITHIN: Duration = Duration::from_secs(10);
/// What the kernel holds for a client that doesn't read.
const RECEIVE_BUFFER_BYTES: u32 = 4096;

/// One measurement.
pub(crate) struct Outcome {
    beside_stuck: bool,
    from_insert: Latency,
    cut_off: u64,
    tally: Tally,
}

pub(crate) async fn measure(
    cluster: &Cluster,
    programs: &Programs,
    beside_stuck: bool,
    seconds: u32,
) -> Result<Outcome> {
    let database = cluster.create().await?;
    programs.prepare(Contender::Rowcast, &database).await?;
    let pool = database.pool(insert::WRITERS).await?;
    let server = programs.start(Contender::Rowcast, &database).await?;
    let crowd = Crowd::join(server.address, CLIENTS, ROOMS).await?;
    let mut stuck = JoinSet::new();
    if beside_stuck {
        let never = in_all_rooms(server.address).await?;
        let mut slow = in_all_rooms(server.address).await?;
        stuck.spawn(async move {
            let _kept = never;
            std::future::pending::<()>().await;
        });
        stuck.spawn(async move {
            let mut bytes = [0; 1000];
            while slow.read(&mut bytes).await.is_ok_and(|read| read > 0) {
                sleep(Duration::from_secs(1)).await;
            }
        });
    }

    let measured_from = FILL_RATE * FILL_SECONDS;
    let rows = measured_from + seconds * RATE;
    let per_row = u64::from(CLIENTS / ROOMS);
    insert::paced(&pool, 0..measured_from, FILL_RATE, ROOMS).await?;
    crowd
        .received(u64::from(measured_from) * per_row, LAST_WITHIN)
        .await;
    let written = insert::paced(&pool, measured_from..rows, RATE, ROOMS).await?;
    crowd.received(u64::from(rows) * per_row, LAST_WITHIN).await;
    let heard = crowd.leave().await;
    stuck.shutdown().await;
    server.stop().await?;
    pool.close().await;
    cluster.remove(database).await?;

    let (from_insert, _) = latencies(&heard, &written, measured_from);
    let tally = Tally::of(&heard, ROOMS, rows);
    Ok(Outcome {
        beside_stuck,
        from_insert: Latency::of(from_insert),
        cut_off: heard
            .iter()
            .filter(|client| client.cut_off.is_some())
            .count() as u64,
        tally,
    })
}

/// A client in every room, for which the kernel holds little.
async fn in_all_rooms(address: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    let mut socket = client::connect(socket.connect(address).await?).await?;
    for room in 0..ROOMS {
        client::join_room(&mut socket, room).await?;
    }
    Ok(socket.into_inner())
}

impl Outcome {
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let name = if self.beside_stuck {
            "1,000 clients beside two stuck ones"
        } else {
            "1,000 clients by themselves"
        };
        let median =
            |what, value| Figure::new(format!("{name}: {what}"), value, 2, Combine::Median);
        let mut figures = vec![
            median("insert to client p50, ms", self.from_insert.p50_ms),
            median("insert to client p99, ms", self.from_insert.p99_ms),
        ];
        figures.extend(self.tally.figures(name));
        figures.push(Figure::none(
            format!("{name}: clients cut off"),
            self.cut_off,
        ));
        figures
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.beside_stuck {
            "beside stuck ones"
        } else {
            "by themselves"
        };
        write!(
            f,
            "{name}: insert to client {:.2}/{:.2} ms; clients cut off {}, {}",
            self.from_insert.p50_ms, self.from_insert.p99_ms, self.cut_off, self.tally
        )
    }
}
