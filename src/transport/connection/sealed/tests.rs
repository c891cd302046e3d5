//! What waits, and what is counted, where a connection speaks TLS: as without it.

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::tests::{CONNECT, GREETED, connected};
use super::*;
use crate::delivery::SendOutcome;
use crate::transport::connection::MAX_BACKLOG_BYTES;
use crate::transport::frame;
use crate::transport::stream::ConnectionStream;

/// How a server and a client speak TLS that trust nobody else.
fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=a -keyout - -out - \
                     -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:a.example";
    let made = Command::new("openssl")
        .args(arguments.split_whitespace())
        .output();
    let pem = made.expect("openssl is installed").stdout;
    let certificate = CertificateDer::from_pem_slice(&pem).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(&pem).expect("a key");
    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a pair");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// A connection over TLS whose CONNECT has passed, its stream, and the client at the other end.
async fn open() -> (Arc<Connection>, ConnectionStream, TlsStream<TcpStream>) {
    let (connection, mut stream, tcp) = connected().await;
    let (server, client) = configs();
    connection.begin_tls(server).expect("a session");
    assert!(connection.is_shaking_hands());
    let name = ServerName::try_from("a.example").expect("a name");
    let shaking = async {
        let mut client = TlsConnector::from(client)
            .connect(name, tcp)
            .await
            .expect("TLS");
        client.write_all(b"!").await.expect("written");
        client
    };
    let mut first = [0];
    let (read, mut client) = tokio::join!(stream.read_exact(&mut first), shaking);
    read.expect("the client's byte");
    assert!(!connection.is_shaking_hands());
    connection.open("p");
    stream
        .write_all(&frame::text(&[CONNECT]))
        .await
        .expect("written");
    read_some(&mut client, frame::text(&[GREETED]).len()).await;
    (connection, stream, client)
}

async fn read_some(client: &mut TlsStream<TcpStream>, bytes: usize) -> Vec<u8> {
    let mut read = vec![0; bytes];
    client.read_exact(&mut read).await.expect("the bytes");
    read
}

#[tokio::test]
async fn what_waits_for_a_slow_client_arrives_whole_in_order_and_is_counted_as_it_is() {
    let (connection, mut stream, mut client) = open().await;
    let before = connection.meter().1;
    // Small ones of which many make a record, and large ones of which each makes several.
    let frames: Vec<Bytes> = (0..450_usize)
        .map(|n| {
            frame::text(&[
                n.to_string().as_bytes(),
                &vec![b'x'; if n % 50 == 0 { 40_000 } else { 1_000 }],
            ])
        })
        .collect();
    for frame in &frames {
        assert_eq!(connection.send(frame.clone()), SendOutcome::Sent);
    }
    let expected = frames.concat();
    let (waiting, taken) = connection.meter();
    assert!(waiting > 0, "the kernel can't have taken all");
    assert_eq!(waiting as u64 + taken - before, expected.len() as u64);
    // The task that reads drives what waits; the client sends nothing until it has everything.
    let driver = async {
        let mut one = [0];
        stream.read_exact(&mut one).await.map(|_| ())
    };
    let peer = async {
        let got = read_some(&mut client, expected.len()).await;
        client.write_all(b"x").await.expect("written");
        got
    };
    let both = async { tokio::join!(driver, peer) };
    let both = timeout(Duration::from_secs(10), both).await;
    let (driven, got) = both.expect("all of it within 10 s");
    driven.expect("the client's byte");
    assert!(got == expected, "altered or out of order");
    assert_eq!(connection.meter(), (0, before + expected.len() as u64));
    drop(stream);
    assert_eq!(
        client
            .read(&mut [0])
            .await
            .expect("it is told that this is the end"),
        0
    );
}

#[tokio::test]
async fn for_a_client_that_takes_nothing_a_bounded_amount_waits_and_a_cut_drops_it() {
    let (connection, mut stream, _client) = open().await;
    let frame = frame::text(&[&[b'x'; 100_000]]);
    let mut last = SendOutcome::Sent;
    for _ in 0..200 {
        last = connection.send(frame.clone());
        assert!(connection.meter().0 <= MAX_BACKLOG_BYTES + PIECE_BYTES);
        if last != SendOutcome::Sent {
            break;
        }
    }
    assert_eq!(last, SendOutcome::Full);
    connection.cut();
    assert_eq!(connection.meter().0, 0);
    assert_eq!(connection.send(frame), SendOutcome::Closed);
    let end = stream.read(&mut [0; 1]).await.expect("no error");
    assert_eq!(end, 0, "the engine sees the end");
}
