use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use super::*;
use crate::metrics::Metrics;
use crate::transport::client_packet::ClientPackets;
use crate::transport::frame;
use crate::transport::incoming::{Incoming, Message};
use crate::transport::stream::ConnectionStream;

pub(super) const CONNECT: &[u8] = br#"40{"sid":"x"}"#;
pub(super) const GREETED: &[u8] = br#"40{"sid":"x","pid":"p"}"#;

/// A connection, its stream, and the client at the other end.
pub(super) async fn connected() -> (Arc<Connection>, ConnectionStream, TcpStream) {
    // Small buffers, or the kernel would take megabytes for a client that reads nothing.
    let small = || {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .set_send_buffer_size(16 * 1024)
            .expect("a smaller buffer");
        socket
            .set_recv_buffer_size(16 * 1024)
            .expect("a smaller buffer");
        socket
    };
    let listening = small();
    listening.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let listener = listening.listen(1).expect("it listens");
    let address = listener.local_addr().expect("an address");
    let (client, accepted) = tokio::join!(small().connect(address), listener.accept());
    let connection = Connection::new(accepted.expect("accepted").0, None);
    let stream = ConnectionStream::new(connection.clone());
    (connection, stream, client.expect("connected"))
}

async fn read(client: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut read = vec![0; bytes];
    client.read_exact(&mut read).await.expect("the bytes");
    read
}

/// What a client reads while the task that reads from it drives what waits; the client sends nothing until it has everything.
async fn drained(stream: &mut ConnectionStream, client: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let driver = async {
        let mut one = [0];
        stream.read_exact(&mut one).await.map(|_| ())
    };
    let peer = async {
        let got = read(client, bytes).await;
        client.write_all(b"x").await.expect("written");
        got
    };
    let (driven, got) = tokio::join!(driver, peer);
    driven.expect("the client's byte");
    got
}

#[tokio::test]
async fn nothing_of_ours_overtakes_connect() {
    let (connection, mut stream, mut client) = connected().await;
    assert_eq!(
        connection.send(frame::text(&[b"early"])),
        SendOutcome::Closed,
        "HTTP still"
    );
    connection.open("p");
    let (ready, connect) = (frame::text(&[b"42[ready]"]), frame::text(&[CONNECT]));
    assert_eq!(connection.send(ready.clone()), SendOutcome::Sent);
    stream.write_all(&connect).await.expect("written");
    let expected = [&frame::text(&[GREETED])[..], &ready].concat();
    assert_eq!(read(&mut client, expected.len()).await, expected);
}

/// A connection whose CONNECT has passed.
async fn open() -> (Arc<Connection>, ConnectionStream, TcpStream) {
    let (connection, mut stream, mut client) = connected().await;
    connection.open("p");
    let connect = frame::text(&[CONNECT]);
    stream.write_all(&connect).await.expect("written");
    read(&mut client, frame::text(&[GREETED]).len()).await;
    (connection, stream, client)
}

#[tokio::test]
async fn what_waits_for_a_slow_client_arrives_whole_and_in_order() {
    let (connection, mut stream, mut client) = open().await;
    let frames: Vec<Bytes> = (0..450_u32)
        .map(|n| frame::text(&[n.to_string().as_bytes(), &[b'x'; 2_000]]))
        .collect();
    for (n, frame) in frames.iter().enumerate() {
        assert_eq!(connection.send(frame.clone()), SendOutcome::Sent);
        // The engine's own frames come between ours, never inside one.
        if n == 200 {
            stream
                .write_all(&frame::text(&[b"2"]))
                .await
                .expect("written");
        }
    }
    assert!(connection.meter().0 > 0, "the kernel can't have taken all");
    let ping = frame::text(&[b"2"]);
    let mut expected: Vec<u8> = frames[..=200].concat();
    expected.extend_from_slice(&ping);
    expected.extend(frames[201..].concat());
    let got = drained(&mut stream, &mut client, expected.len()).await;
    assert!(got == expected, "altered or out of order");
    assert_eq!(connection.meter().0, 0);
}

#[tokio::test]
async fn frames_that_are_sent_together_arrive_whole_and_in_order() {
    let (connection, mut stream, mut client) = connected().await;
    let numbered = |n: u32| frame::text(&[n.to_string().as_bytes(), &[b'x'; 2_000]]);
    let frames: Vec<Bytes> = (0..1_000).map(numbered).collect();
    let send = |frames: &[Bytes]| connection.send_together(frames.iter().cloned());
    assert_eq!(send(&frames), (0, SendOutcome::Closed), "HTTP still");
    connection.open("p");
    assert_eq!(send(&frames[..10]), (10, SendOutcome::Sent));
    stream
        .write_all(&frame::text(&[CONNECT]))
        .await
        .expect("written");
    assert_eq!(send(&frames[10..300]), (290, SendOutcome::Sent));
    let (taken, outcome) = send(&frames[300..]);
    assert_eq!(outcome, SendOutcome::Full);
    assert!(taken > 0 && connection.meter().0 <= MAX_BACKLOG_BYTES);
    let greeted = frame::text(&[GREETED]);
    let expected = [&greeted[..], &frames[..300 + taken].concat()].concat();
    let got = drained(&mut stream, &mut client, expected.len()).await;
    assert!(got == expected, "altered or out of order");
    connection.cut();
    assert_eq!(send(&frames), (0, SendOutcome::Closed));
}

#[tokio::test]
async fn for_a_client_that_takes_nothing_a_bounded_amount_waits() {
    let (connection, mut stream, _client) = open().await;
    let frame = frame::text(&[&[b'x'; 100_000]]);
    let mut last = SendOutcome::Sent;
    for _ in 0..200 {
        last = connection.send(frame.clone());
        assert!(connection.meter().0 <= MAX_BACKLOG_BYTES);
        if last != SendOutcome::Sent {
            break;
        }
    }
    assert_eq!(last, SendOutcome::Full);
    assert!(connection.meter().0 > 0, "what was taken still waits");
    connection.cut();
    assert_eq!(connection.send(frame), SendOutcome::Closed);
    let end = stream.read(&mut [0; 1]).await.expect("no error");
    assert_eq!(end, 0, "the engine sees the end");
}

#[tokio::test]
async fn a_cut_wakes_whoever_reads() {
    let (connection, mut stream, _client) = open().await;
    let reader = async { stream.read(&mut [0; 1]).await.expect("no error") };
    let cut = async { connection.cut() };
    assert_eq!(tokio::join!(reader, cut).0, 0);
}

/// A text frame as a client sends it.
fn from_client(text: &'static str) -> Bytes {
    Message::Text(Bytes::from_static(text.as_bytes())).to_client_frames()
}

#[tokio::test]
async fn what_came_with_the_handshake_is_read_first() {
    let (_wire, mut stream, mut client) = open().await;
    let mut incoming = Incoming::new(100, ClientPackets::new(100), Metrics::new().0);
    incoming.push(&from_client("early"));
    stream.begin_websocket(incoming, b"first");
    client
        .write_all(&from_client("late"))
        .await
        .expect("written");
    let expected = [&b"first"[..], &from_client("early"), &from_client("late")].concat();
    let mut got = vec![0; expected.len()];
    stream.read_exact(&mut got).await.expect("all of it");
    assert_eq!(got, expected);
}

#[tokio::test]
async fn what_a_client_may_not_send_is_told_by_a_code_and_read_no_further() {
    let (connection, mut stream, mut client) = open().await;
    stream.begin_websocket(
        Incoming::new(100, ClientPackets::new(100), Metrics::new().0),
        b"",
    );
    let long: &'static str = "x".repeat(101).leak();
    let sent = [
        &from_client("fine")[..],
        &from_client(long),
        &from_client("late"),
    ]
    .concat();
    client.write_all(&sent).await.expect("written");
    let mut fine = vec![0; from_client("fine").len()];
    stream.read_exact(&mut fine).await.expect("the first");
    let reader = async { stream.read(&mut [0; 1]).await.expect("no error") };
    let peer = async {
        assert_eq!(read(&mut client, 4).await, &frame::close(1009)[..]);
        assert!(connection.is_cut());
        assert_eq!(connection.send(frame::text(&[b"no"])), SendOutcome::Closed);
        client.shutdown().await.expect("its side is closed");
    };
    assert_eq!(tokio::join!(reader, peer).0, 0, "the engine sees the end");
}

#[tokio::test]
async fn the_engine_hears_of_an_upgrade_as_if_it_came_now() {
    let (connection, mut stream, mut client) = connected().await;
    connection.push_pid("p");
    stream.begin_websocket(
        Incoming::new(100, ClientPackets::new(100), Metrics::new().0),
        b"2probe",
    );
    stream.swallow_probe_answer();
    connection.cut();
    let mut probe = [0; 6];
    stream
        .read_exact(&mut probe)
        .await
        .expect("also of one that is gone");
    stream
        .write_all(&frame::probe_answer())
        .await
        .expect("swallowed");
    assert!(stream.write_all(&frame::probe_answer()).await.is_err());
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.expect("the end");
    assert!(got.is_empty());
}

#[tokio::test]
async fn each_connect_gets_its_pid_and_open_the_limit() {
    let (connection, mut stream, mut client) = connected().await;
    connection.announce(64_000);
    connection.push_pid("p");
    connection.push_pid("q");
    let open = frame::text(&[br#"0{"maxPayload":1,"sid":"x"}"#]);
    let connect = frame::text(&[CONNECT]);
    stream.write_all(&open).await.expect("written");
    stream
        .write_all(&[&connect[..], &connect].concat())
        .await
        .expect("written");
    let expected = [
        &frame::text(&[br#"0{"maxPayload":64000,"sid":"x"}"#])[..],
        &frame::text(&[GREETED]),
        &frame::text(&[br#"40{"sid":"x","pid":"q"}"#]),
    ]
    .concat();
    assert_eq!(read(&mut client, expected.len()).await, expected);
}

#[tokio::test]
async fn a_newcomer_is_not_told_for_good_that_there_is_nothing_here() {
    let (connection, mut stream, mut client) = connected().await;
    let open = frame::text(&[br#"0{"sid":"x"}"#]);
    stream.write_all(&open).await.expect("written");
    let refused = stream.write_all(&frame::text(&[frame::CLOSING])).await;
    assert!(refused.is_err() && connection.is_cut());
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.expect("the end");
    assert_eq!(got, open);
}
