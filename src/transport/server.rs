//! Accepts connections and serves HTTP on them.
//!
//! Owns the listening socket. Each request carries as extensions its client's address and its connection; the broadcast writes
//! to a connection that became a WebSocket. A connection beyond the limits is refused before anything of it is read. The time that
//! a request's head may take is bounded, and so are its size, the time between two requests, and the time that a client takes to
//! read an answer.
//! The routes may be replaced while it serves: a request is answered by those that there are when it comes.
//! On stop it closes the listening socket first, then lets the answers under way finish. A connection that the kernel had taken by then,
//! but for those that wait in a socket of others too, is served like those before: it may bring one more request.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::answer::Answer;
use super::connection::Connection;
use super::last_request;
use super::listening_socket::ListeningSocket;
use super::reading::{Patience, Reading};
use super::refusal;
use super::rules::ConnectionRules;
use super::stream::ConnectionStream;
use super::upgrade_task::UpgradeTask;
use crate::metrics::{Limit, Metrics};

/// After a failed accept: the process is out of file descriptors, mostly, and a tight loop would not mend it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long sent data may remain unacknowledged, or a full window closed, in milliseconds.
#[cfg(target_os = "linux")]
const UNTAKEN_MS: u32 = 20_000;

/// The longest head of a request, which carries cookies and tokens. A longer one is answered by 431.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// How long a client that was sent away may take to read why.
const LINGER: Duration = Duration::from_secs(1);

/// Serves `routes` on a socket until `stop`, then until the answers under way are out.
pub(crate) async fn serve(
    socket: ListeningSocket,
    routes: watch::Receiver<Router>,
    rules: ConnectionRules,
    stop: CancellationToken,
) {
    socket.raise_queue();
    let mut served = Served {
        connections: JoinSet::new(),
        refusals: JoinSet::new(),
        routes,
        rules,
        stop: stop.clone(),
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = served.connections.join_next() => {}
            Some(_) = served.refusals.join_next() => {}
            accepted = socket.listener.accept() => match accepted {
                Ok((tcp, peer)) => served.begin(tcp, peer.ip()),
                Err(error) => {
                    tracing::warn!("a connection could not be accepted: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    for (tcp, peer) in socket.close() {
        served.begin(tcp, peer);
    }
    while served.connections.join_next().await.is_some() {}
}

/// The connections of one listener, and what each is given.
struct Served {
    connections: JoinSet<()>,
    refusals: JoinSet<()>,
    routes: watch::Receiver<Router>,
    rules: ConnectionRules,
    stop: CancellationToken,
}

impl Served {
    fn begin(&mut self, tcp: TcpStream, peer: IpAddr) {
        let peer = peer.to_canonical();
        match self.rules.take_place(peer) {
            Ok(place) => {
                let connection = Connection::new(tcp, place);
                let (routes, rules) = (self.routes.clone(), self.rules.clone());
                let served = serve_connection(connection, peer, routes, rules, self.stop.clone());
                self.connections.spawn(served);
            }
            // Who speaks TLS would not understand the answer, and a handshake is what a full server can't pay.
            Err(_) if self.rules.tls.is_some() => {}
            Err(full) if self.refusals.len() < refusal::MAX_WAITED_FOR => {
                self.refusals.spawn(refusal::refuse(tcp, full));
            }
            Err(_) => {}
        }
    }
}

async fn serve_connection(
    connection: Arc<Connection>,
    peer: IpAddr,
    routes: watch::Receiver<Router>,
    rules: ConnectionRules,
    stop: CancellationToken,
) {
    if prepare(&connection.tcp).is_err() {
        return;
    }
    // A connection on which nobody speaks takes little: hyper reserves a buffer before it looks.
    let mut first = [0];
    let begun = tokio::select! {
        // Not `readable`, which takes a new connection for ready until it has been tried.
        begun = timeout(rules.patience.head, connection.tcp.peek(&mut first)) => matches!(begun, Ok(Ok(1))),
        () = last_request::overdue(&stop) => false,
    };
    if !begun {
        return;
    }
    if let Some(config) = &rules.tls {
        if refusal::is_plain_http(first[0]) {
            return refusal::refuse_plain(&connection.tcp).await;
        }
        if let Err(error) = connection.begin_tls(config.clone()) {
            return tracing::error!("TLS can't be spoken: {error}");
        }
    }
    Box::pin(serve_http(connection, peer, routes, rules, stop)).await;
}

async fn serve_http(
    connection: Arc<Connection>,
    peer: IpAddr,
    routes: watch::Receiver<Router>,
    rules: ConnectionRules,
    stop: CancellationToken,
) {
    let stream = ConnectionStream::new(connection.clone());
    let upgrade_task = UpgradeTask::default();
    let offered = upgrade_task.clone();
    let (patience, metrics) = (rules.patience, rules.metrics.clone());
    let read = connection.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        connection.set_reading(Reading::Nothing);
        let mut request = request.map(Body::new);
        let client = rules.client(peer, request.headers());
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(connection.clone());
        request.extensions_mut().insert(offered.clone());
        let router = routes.borrow().clone();
        let connection = connection.clone();
        async move {
            let answered = router.oneshot(request).await;
            connection.set_reading(Reading::Answer(Instant::now()));
            let answered = answered.unwrap_or_else(|never| match never {});
            Ok::<_, Infallible>(answered.map(|body| Answer::new(body, connection)))
        }
    });
    let http = http1::Builder::new()
        // It would count the time between two requests, too.
        .header_read_timeout(None)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(http);
    let ended = tokio::select! {
        ended = &mut http => ended,
        () = overdue(&read, patience) => return give_up(&read, &metrics, peer),
        () = last_request::is_through(&stop, &read) => {
            http.as_mut().graceful_shutdown();
            http.await
        }
    };
    count_handshake(&read, &metrics);
    match ended {
        Ok(()) => {
            drop(read);
            upgrade_task.run().await;
        }
        Err(error) => {
            tracing::debug!("a connection ended: {error}");
            if error.is_parse_too_large() {
                let _either_way = timeout(LINGER, refusal::read_to_end(&read.tcp)).await;
            }
        }
    }
}

/// Counts a connection that ends before its TLS handshake has.
fn count_handshake(connection: &Connection, metrics: &Metrics) {
    if connection.is_shaking_hands() {
        metrics.tls_handshake_failures.inc();
    }
}

/// A connection has kept the server waiting. If it does not read an answer, the kernel resets it when it is closed, and keeps
/// nothing of what was not taken.
fn give_up(connection: &Connection, metrics: &Metrics, peer: IpAddr) {
    count_handshake(connection, metrics);
    if let Reading::Answer(_) = connection.reading() {
        metrics.limits_by(Limit::AnswerTime, peer);
        let reset = rustix::net::sockopt::set_socket_linger(&connection.tcp, Some(Duration::ZERO));
        if let Err(error) = reset {
            tracing::debug!("the kernel keeps what a client does not take: {error}");
        }
    }
}

/// Returns when something has been waited for too long: the head of a request, the next request, or that an answer is taken.
async fn overdue(connection: &Connection, patience: Patience) {
    loop {
        let now = Instant::now();
        let due = connection.reading().due(patience);
        if due.is_some_and(|due| due <= now) {
            return;
        }
        // What begins meanwhile is due later than this.
        let soon = now + patience.least();
        sleep_until(due.map_or(soon, |due| due.min(soon))).await;
    }
}

fn prepare(tcp: &TcpStream) -> std::io::Result<()> {
    // An event is one small write: it must not wait for the acknowledgement of the one before.
    tcp.set_nodelay(true)?;
    // Nothing above TCP ends a connection whose peer takes no data, or is gone, while data waits for it.
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_user_timeout(tcp, UNTAKEN_MS)?;
    Ok(())
}
