//! The witness: a few clients in rooms of their own, who are written to at an even pace, and somebody who asks whether the server is ready.
//!
//! Owns a thread with a runtime of its own, so that what the witness sees is the server's doing: the thousands of clients in the
//! generator's other threads keep it waiting no more than the kernel's scheduler does.
//! Guarantees that each of its rows is counted, and that what it saw can be asked for by time.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{interval, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::client::{Crowd, Heard};
use crate::database::Database;
use crate::figures::Latency;
use crate::insert::{self, Written};
use crate::tally::Tally;

/// Rooms and rows that no measurement uses for its own.
const FIRST_ROOM: u32 = 900_000;
const FIRST_ROW: u32 = 90_000_000;
const ROOMS: u32 = 10;
const CLIENTS: u32 = 20;
/// Inserts a second.
const RATE: u32 = 50;
const LAST_WITHIN: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(50);
/// A server that has not said by then whether it is ready is not.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// One that is watching.
pub(crate) struct Witness {
    stop: DropGuard,
    thread: thread::JoinHandle<Result<Testimony>>,
}

/// What it saw.
pub(crate) struct Testimony {
    written: Vec<Written>,
    heard: Vec<Heard>,
    answers: Vec<Answer>,
}

struct Answer {
    asked: Instant,
    took: Duration,
    is_ready: bool,
}

impl Witness {
    /// Returns when its clients have joined and it has begun to write.
    pub(crate) async fn start(address: SocketAddr, database: &Database) -> Result<Self> {
        let (database, stop) = (database.clone(), CancellationToken::new());
        let (joined, is_joined) = oneshot::channel();
        let until = stop.clone();
        let thread = thread::Builder::new().name("witness".to_owned());
        let thread = thread.spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(testify(address, database, until, joined))
        })?;
        let witness = Self {
            stop: stop.drop_guard(),
            thread,
        };
        match is_joined.await {
            Ok(()) => Ok(witness),
            Err(_ended) => Err(witness
                .stop()
                .await
                .err()
                .unwrap_or_else(|| anyhow!("the witness ended at once"))),
        }
    }

    /// Writes no more, waits for what was written, and says what it saw.
    pub(crate) async fn stop(self) -> Result<Testimony> {
        drop(self.stop);
        let ended = tokio::task::spawn_blocking(|| self.thread.join()).await?;
        ended
            .map_err(|_panic| anyhow!("the witness broke"))?
            .context("the witness")
    }
}

async fn testify(
    address: SocketAddr,
    database: Database,
    stop: CancellationToken,
    joined: oneshot::Sender<()>,
) -> Result<Testimony> {
    let room_of = |row: u32| FIRST_ROOM + row % ROOMS;
    let pool = database.pool(insert::WRITERS).await?;
    let crowd = Crowd::join_each(address, (0..CLIENTS).map(room_of)).await?;
    if joined.send(()).is_err() {
        stop.cancel();
    }
    let rows = FIRST_ROW..u32::MAX;
    let (written, answers) = tokio::join!(
        insert::paced_until(&pool, rows, RATE, room_of, &stop),
        ask(address, &stop)
    );
    let written = written?;
    let expected = written.len() as u64 * u64::from(CLIENTS / ROOMS);
    crowd.received(expected, LAST_WITHIN).await;
    let heard = crowd.leave().await;
    pool.close().await;
    Ok(Testimony {
        written,
        heard,
        answers,
    })
}

async fn ask(address: SocketAddr, stop: &CancellationToken) -> Vec<Answer> {
    let (mut answers, mut every) = (Vec::new(), interval(ASK_EVERY));
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = stop.cancelled() => return answers,
        }
        let asked = Instant::now();
        let answer = timeout(ANSWER_WITHIN, is_ready(address)).await;
        answers.push(Answer {
            asked,
            took: asked.elapsed(),
            is_ready: matches!(answer, Ok(Ok(true))),
        });
    }
}

async fn is_ready(address: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.starts_with("HTTP/1.1 200 "))
}

impl Testimony {
    /// Insert to client, of the rows that were sent in that time.
    pub(crate) fn latency(&self, from: Instant, until: Instant) -> Latency {
        let deliveries = self.heard.iter().flat_map(|heard| &heard.deliveries);
        let samples = deliveries.filter_map(|delivery| {
            let place = self
                .written
                .binary_search_by_key(&delivery.row, |written| written.row);
            let written = self.written.get(place.ok()?)?;
            let sent = written.sent;
            (from..until)
                .contains(&sent)
                .then(|| delivery.at.saturating_duration_since(sent))
        });
        Latency::of(samples.collect())
    }

    /// How often the server was not ready in that time, and the longest that it took to answer, in milliseconds.
    pub(crate) fn readiness(&self, from: Instant, until: Instant) -> (u64, f64) {
        let answers = || {
            let all = self.answers.iter();
            all.filter(|answer| (from..until).contains(&answer.asked))
        };
        let unready = answers().filter(|answer| !answer.is_ready).count() as u64;
        let longest = answers().map(|answer| answer.took).max();
        (unready, longest.unwrap_or_default().as_secs_f64() * 1e3)
    }

    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        let after = self.written.last().map_or(FIRST_ROW, |last| last.row + 1);
        for client in &self.heard {
            let is_expected = |row: u32| {
                let is_written = self
                    .written
                    .binary_search_by_key(&row, |written| written.row)
                    .is_ok();
                is_written && FIRST_ROOM + row % ROOMS == client.room
            };
            tally.add_of(FIRST_ROW..after, is_expected, &client.deliveries);
        }
        tally
    }

    pub(crate) fn cut_off(&self) -> u64 {
        let cut_off = self.heard.iter().filter(|heard| heard.cut_off.is_some());
        cut_off.count() as u64
    }
}
