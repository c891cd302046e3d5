//! Restarts that no client is refused by: the next server gets the socket, or listens beside the one that it replaces.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::harness::crowd::Crowd;
use crate::harness::wait::{until, until_for};
use crate::harness::{Database, Launch, Server, http};

const ROOMS: usize = 20;
const ONE_MESSAGE: &str = "/api/conversations/r0/messages?limit=1";

/// So many restarts, with so many clients. `ROWCAST_TEST_RESTARTS=10x500` is for figures.
#[expect(
    clippy::disallowed_methods,
    reason = "who wants figures says so in the environment"
)]
fn extent() -> (usize, usize) {
    let said = std::env::var("ROWCAST_TEST_RESTARTS").ok();
    let extent = said.as_deref().and_then(|said| said.split_once('x'));
    let number = |text: &str| text.parse().expect("a number");
    extent.map_or((3, 120), |(restarts, clients)| {
        (number(restarts), number(clients))
    })
}

/// Writes the next number into every room, again and again.
struct Numbers {
    stop: Arc<AtomicBool>,
    last: Arc<AtomicU64>,
    task: JoinSet<()>,
}

impl Numbers {
    fn start(database: &Database, pause: Duration) -> Self {
        let (stop, last) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut task = JoinSet::new();
        let (pool, ended, written) = (database.pool.clone(), stop.clone(), last.clone());
        task.spawn(async move {
            let mut ticks = interval(pause);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for number in 1.. {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                ticks.tick().await;
                let insert = "insert into messages (contact_id, body) select 'r' || room, $1 from generate_series(0, $2) room";
                let insert = sqlx::query(insert).bind(number.to_string());
                let insert = insert.bind(ROOMS as i32 - 1).execute(&pool);
                insert.await.expect("it is written");
                written.store(number, Ordering::Relaxed);
            }
        });
        Self { stop, last, task }
    }

    /// Ends, and says which number was the last.
    async fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.join_next().await.expect("one").expect("it wrote");
        self.last.load(Ordering::Relaxed)
    }
}

/// Strangers who ask for one thing each, on a connection of their own, one after the other: as browsers do that come in that moment.
struct Strangers {
    stop: Arc<AtomicBool>,
    asking: JoinSet<u64>,
}

impl Strangers {
    fn start(address: &str) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let mut asking = JoinSet::new();
        for _ in 0..4 {
            let (address, ended) = (address.to_owned(), stop.clone());
            asking.spawn(async move {
                let mut answers = 0;
                while !ended.load(Ordering::Relaxed) {
                    let answer = http::get(&address, ONE_MESSAGE, &[]).await;
                    assert_eq!(answer.status, 200, "{answer:?}");
                    answers += 1;
                }
                answers
            });
        }
        Self { stop, asking }
    }

    /// How many answers they got. Each question got one.
    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.asking.join_all().await.iter().sum()
    }
}

/// Restarts the server again and again while all are connected and somebody writes. `restart` ends one and gives the next.
async fn assert_nobody_notices(
    database: &Database,
    mut server: Server,
    mut restart: impl AsyncFnMut(Server) -> Server,
) {
    let (restarts, clients) = extent();
    let mut crowd = Crowd::join(server.address(), clients, ROOMS).await;
    let numbers = Numbers::start(database, Duration::from_millis(100));
    let strangers = Strangers::start(server.address());
    let mut away = [Vec::new(), Vec::new()];
    for _ in 0..restarts {
        server = restart(server).await;
        let [gaps, quick] = crowd.returned(clients).await;
        assert_eq!(gaps.len() + quick.len(), clients, "each was away once");
        away[0].extend(gaps);
        away[1].extend(quick);
    }
    let answers = strangers.end().await;
    let last = numbers.end().await;
    let state = until_for(Duration::from_secs(20), "the last number", async || {
        let state = crowd.state().await;
        (state.least == last).then_some(state)
    })
    .await;
    let [(median, most), (quick_median, quick_most)] = away.map(|mut gaps| {
        gaps.sort_unstable();
        (gaps[gaps.len() / 2], gaps[gaps.len() - 1])
    });
    eprintln!(
        "{restarts} restarts, {clients} clients: away for {median} ms, {most} ms at most; who knocks at once for {quick_median} ms, \
         {quick_most} ms at most; {answers} requests of strangers were answered"
    );
    assert_eq!(state.errors, serde_json::json!({}), "nobody was refused");
    let bad = [state.lost, state.doubled, state.unrecovered, state.resyncs];
    assert_eq!(bad, [0; 4], "lost, doubled, not resumed, resynced");
    server.stop().await;
}

fn launch(database: &Database) -> Launch {
    Launch::serve()
        .database(&database.url)
        .env("ROWCAST_MAX_HANDSHAKE_RATE", "10000")
        .env("ROWCAST_MAX_SOCKETIO_RATE", "10000")
        .env("ROWCAST_MAX_HTTP_RATE", "10000")
        .env("ROWCAST_MAX_READ_RATE", "100000")
}

#[tokio::test]
async fn clients_wait_in_the_socket_that_the_next_server_gets() {
    let database = Database::chat().await;
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("its address").to_string();
    // The port that is said is another one: it is not bound.
    let start = async || {
        let socket = socket.try_clone().expect("a descriptor").into();
        let launch = launch(&database).env("PORT", "1");
        launch
            .passed(socket, "3<&0", "rowcast.socket")
            .start()
            .await
    };
    let first = start().await;
    assert_eq!(first.address(), address);
    assert_nobody_notices(&database, first, async |server| {
        server.stop().await;
        drop(server);
        start().await
    })
    .await;
}

#[tokio::test]
async fn the_next_server_listens_beside_the_one_that_it_replaces() {
    let database = Database::chat().await;
    let start = async |port: &str| {
        let launch = launch(&database).env("PORT", port);
        launch.env("ROWCAST_REUSEPORT", "on").start().await
    };
    let first = start("0").await;
    let (_, port) = first.address().rsplit_once(':').expect("a port");
    let port = port.to_owned();
    assert_nobody_notices(&database, first, async |server| {
        let next = start(&port).await;
        until("the next one to be ready by itself", async || {
            let answer = http::get(next.admin(), "/readyz", &[]).await;
            (answer.status == 200).then_some(())
        })
        .await;
        server.stop().await;
        next
    })
    .await;
}

/// It takes 0.4 s to cut so many.
const MANY: usize = 400;

/// The sockets are closed over a moment. Whoever is still there in it hears what is committed in it.
#[tokio::test]
async fn clients_hear_what_happens_until_they_are_cut() {
    let database = Database::chat().await;
    let server = launch(&database).start().await;
    let mut crowd = Crowd::join(server.address(), MANY, ROOMS).await;
    let numbers = Numbers::start(&database, Duration::from_millis(20));
    until("the first numbers", async || {
        (crowd.state().await.least > 0).then_some(())
    })
    .await;
    server.signal(Signal::TERM);
    server.ended().await;
    let state = until("all to be cut", async || {
        let state = crowd.state().await;
        (state.connected == 0).then_some(state)
    })
    .await;
    // Whoever was cut last heard more than whoever was cut first.
    assert!(state.most >= state.least + 2, "{state:?}");
    assert_eq!([state.lost, state.doubled], [0, 0]);
    numbers.end().await;
}

/// So many requests that the kernel holds while the server hangs for a moment.
async fn waiting_requests(address: &str) -> JoinSet<String> {
    let mut waiting = JoinSet::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(address)
            .await
            .expect("the kernel takes it");
        let request =
            format!("GET /livez HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("and this");
        waiting.spawn(async move {
            let mut answer = String::new();
            let read = stream.read_to_string(&mut answer).await;
            read.map_or_else(|error| error.to_string(), |_| answer)
        });
    }
    waiting
}

#[tokio::test]
async fn who_waits_in_the_queue_of_a_server_that_stops_is_answered() {
    let database = Database::chat().await;
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let passed = || {
        let socket = socket.try_clone().expect("a descriptor").into();
        launch(&database).passed(socket, "3<&0", "public")
    };
    for (is_passed, launch) in [(false, launch(&database)), (true, passed())] {
        let server = launch.start().await;
        server.freeze().await;
        let waiting = waiting_requests(server.address()).await;
        server.signal(Signal::TERM);
        server.signal(Signal::CONT);
        server.ended().await;
        // Of a socket that others hold the next server takes them.
        let _next = match is_passed {
            true => Some(passed().start().await),
            false => None,
        };
        for answer in waiting.join_all().await {
            assert!(
                answer.starts_with("HTTP/1.1 200"),
                "{is_passed}: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn sockets_that_cannot_be_served_stop_the_start() {
    let listening = || TcpListener::bind("127.0.0.1:0").expect("a port").into();
    let refuse = async |launch: Launch, words: &[&str]| {
        launch.refuse(&[&["LISTEN_FDS"], words].concat()).await
    };
    let serve = || Launch::serve().database("postgres://u@127.0.0.1:1/d");
    let three = serve().passed(listening(), "3<&0 4<&0 5<&0", "a:b:c");
    refuse(three, &["3 sockets", "two listeners"]).await;
    let twice = serve().passed(listening(), "3<&0 4<&0", "public:public");
    refuse(twice, &["public", "admin"]).await;
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let datagrams = serve().passed(datagrams.into(), "3<&0", "public");
    refuse(datagrams, &["public", "tcp"]).await;
    let file = std::fs::File::open("/dev/null").expect("a file");
    let file = serve().passed(file.into(), "3<&0", "public");
    refuse(file, &["not a socket"]).await;
    let off = serve().env("ROWCAST_ADMIN", "");
    let off = off.passed(listening(), "3<&0", "admin");
    off.refuse(&["ROWCAST_ADMIN", "empty", "passed"]).await;
    // Whoever reaches it must be asked who he is, whatever HOST says.
    let open = TcpListener::bind("0.0.0.0:0").expect("a port");
    let open = serve().passed(open.into(), "3<&0", "public");
    open.refuse(&["HOST", "ROWCAST_AUTH"]).await;
}

#[tokio::test]
async fn the_admin_listener_may_be_passed_by_its_name() {
    let database = Database::chat().await;
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("its address").to_string();
    let server = launch(&database).passed(socket.into(), "3<&0", "admin");
    let server = server.start().await;
    assert_eq!(server.admin(), address);
    assert_ne!(server.address(), address);
    assert_eq!(http::get(&address, "/livez", &[]).await.status, 200);
    assert!(
        http::get(&address, "/metrics", &[])
            .await
            .body
            .contains("rowcast_")
    );
}

/// A server that is to replace another, and can't serve, takes nobody from it; once it is alone it says what is wrong.
#[tokio::test]
async fn a_server_that_is_not_ready_takes_nobody_from_the_one_beside_it() {
    let database = Database::chat().await;
    let beside = || launch(&database).env("ROWCAST_REUSEPORT", "on");
    let server = beside().start().await;
    let (_, port) = server.address().rsplit_once(':').expect("a port");
    let nowhere = Launch::serve().database("postgres://u@127.0.0.1:1/d");
    let nowhere = nowhere.env("ROWCAST_REUSEPORT", "on").env("PORT", port);
    let next = nowhere.spawn();
    let (address, admin) = next.listening().await;
    assert_eq!(address, server.address());
    for _ in 0..50 {
        assert_eq!(server.get("/readyz").await.status, 200);
    }
    assert_eq!(http::get(&admin, "/readyz", &[]).await.status, 503);
    server.stop().await;
    until("it to listen alone", async || {
        http::attempt(&address, "GET", "/readyz", &[], "").await
    })
    .await;
    assert_eq!(http::get(&address, "/readyz", &[]).await.status, 503);
    // Without the setting the port is taken.
    let other = launch(&database).env("PORT", port);
    other.refuse(&["HOST and PORT", "can't listen", port]).await;
}
