//! What comes off the wire, at the code that reads it first.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use bytes::Bytes;
use engineioxide_core::payload;
use engineioxide_core::{Packet, ProtocolVersion};
use futures_util::{FutureExt as _, StreamExt as _};
use socketioxide_core::parser::{Parse as _, ParseConfig, ParserState};
use socketioxide_parser_common::CommonParser;
use tokio::time::Instant;

use super::client_packet::ClientPackets;
use super::incoming::{Incoming, Message};
use super::query::query_value;
use super::{frame, handshake, opening};
use crate::fuzz::{self, Answer, answer};
use crate::metrics::Metrics;

const MAX_BYTES: usize = 20_000;
const WORDS: &[&str] = &[
    "42[\"join:conversation\",\"1\"]",
    "451-[\"a\",{\"_placeholder\":true,\"num\":0}]",
    "40",
    "41",
    "40/x,",
    "43",
    "461-1[]",
    "\\u003a",
    "2probe",
    "5",
    "3",
    "bAAAA",
    "\u{1e}",
    "\"",
    "[",
    "]",
    "{\"a\":1}",
    "\u{81}\u{84}",
];

/// Hands a packet to the engine and to socketioxide's parser, as they get it. Returns how they read it.
fn engine_reads(state: &ParserState, packet: &str) -> Answer {
    let config = ParseConfig {
        max_incoming_binaries: 0,
        max_incoming_binary_buf_size: 0,
        ..ParseConfig::default()
    };
    let read = match Packet::parse(ProtocolVersion::V4, packet.to_owned()) {
        Ok(Packet::Message(message)) => {
            let parsed = CommonParser.decode_str(&config, state, message);
            let kind = parsed
                .as_ref()
                .map(|packet| std::mem::discriminant(&packet.inner));
            answer((1, kind.ok()))
        }
        Ok(other) => answer((2, std::mem::discriminant(&other))),
        Err(_) => 3,
    };
    let partial = state
        .partial_bin_packet
        .lock()
        .expect("no panic while locked");
    assert!(partial.is_none(), "no attachment is ever waited for");
    read
}

#[test]
fn no_bytes_on_a_websocket_panic() {
    let metrics = Metrics::new().0;
    fuzz::run(
        "websocket",
        include_str!("../fuzz/corpus/websocket.txt"),
        WORDS,
        |input| {
            let state = ParserState::default();
            let mut incoming = Incoming::new(MAX_BYTES, ClientPackets::new(20), metrics.clone());
            let mut read = Vec::new();
            // In pieces, as a network would.
            for piece in input.chunks(1 + input.len() % 700) {
                incoming.push(piece);
                loop {
                    match incoming
                        .next()
                        .and_then(|next| next.map(|message| incoming.pass(message)).transpose())
                    {
                        Ok(None) => break,
                        Ok(Some(None)) => read.push(4),
                        Ok(Some(Some(message))) => {
                            if let Message::Text(text) = &message {
                                assert!(text.len() <= MAX_BYTES + 100);
                                let text = std::str::from_utf8(text).expect("it was checked");
                                read.push(engine_reads(&state, text));
                            }
                            assert!(!matches!(message, Message::Binary(_)), "none gets through");
                            assert_same_to_the_engine(&message, &metrics);
                        }
                        Err(code) => return answer((read, code as u16)),
                    }
                }
            }
            answer(read)
        },
    );
}

/// Cut into short frames, a message is what it was.
fn assert_same_to_the_engine(message: &Message, metrics: &Metrics) {
    let mut engine = Incoming::new(2 * MAX_BYTES, ClientPackets::new(20), metrics.clone());
    engine.push(&message.to_client_frames());
    let again = engine.next().expect("well-formed").expect("whole");
    assert_eq!(&again, message);
}

#[test]
fn no_text_of_a_packet_or_a_post_panics() {
    fuzz::run(
        "post",
        include_str!("../fuzz/corpus/packets.txt"),
        WORDS,
        |input| {
            let Ok(text) = std::str::from_utf8(input) else {
                return 0;
            };
            let (mut packets, now) = (ClientPackets::new(20), Instant::now());
            let mut read = Vec::new();
            let body = match packets.body(text, now) {
                Ok(body) => body,
                Err(code) => return answer(code as u16),
            };
            let (state, bytes) = (
                ParserState::default(),
                Bytes::from(body.clone().into_owned()),
            );
            let decoded = payload::decoder(
                http_body_util::Full::new(bytes),
                None,
                ProtocolVersion::V4,
                u64::MAX,
            );
            let decoded = decoded
                .collect::<Vec<_>>()
                .now_or_never()
                .expect("all of the body is here");
            for packet in decoded {
                match packet {
                    Ok(Packet::Message(message)) => {
                        read.push(engine_reads(&state, &format!("4{message}")));
                    }
                    Ok(Packet::Binary(_)) => panic!("none gets through"),
                    Ok(_) => read.push(1),
                    Err(_) => read.push(2),
                }
            }
            // What was changed needs no change any more.
            let again = ClientPackets::new(u32::MAX)
                .body(&body, now)
                .map(Cow::into_owned);
            assert_eq!(again.as_deref(), Ok(&*body));
            answer(read)
        },
    );
}

#[test]
fn no_head_of_a_request_panics() {
    let words = &[
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\n",
        "upgrade: websocket\n",
        "connection: upgrade\n",
        "sec-websocket-version: 13\n",
        "sec-websocket-protocol: a, b\n",
        "cookie: a=b; c=d\n",
        "origin: http://a\n",
        "host: a:1\n",
        "&sid=",
        "?EIO=4",
        ",",
        "%00",
    ];
    fuzz::run(
        "head",
        include_str!("../fuzz/corpus/heads.txt"),
        words,
        |input| {
            let mut lines = input.split(|byte| *byte == b'\n');
            let Ok(uri) = Uri::try_from(lines.next().unwrap_or_default()) else {
                return 0;
            };
            let mut headers = HeaderMap::new();
            for line in lines {
                let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                    continue;
                };
                let (name, value) = (
                    HeaderName::from_bytes(&line[..colon]),
                    HeaderValue::from_bytes(&line[colon + 1..]),
                );
                if let (Ok(name), Ok(value)) = (name, value) {
                    headers.append(name, value);
                }
            }
            let values =
                ["sid", "transport", "EIO"].map(|name| query_value(&uri, name).map(str::len));
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = uri;
            *request.headers_mut() = headers;
            let accepted = match handshake::accept(&request) {
                Ok(answer) => answer.status(),
                Err(refusal) => refusal.status(),
            };
            opening::shrink(&mut request);
            answer((values, accepted, request.headers().len()))
        },
    );
}

#[test]
fn no_bytes_that_the_engine_writes_panic() {
    fuzz::run(
        "frames",
        include_str!("../fuzz/corpus/frames.txt"),
        &["40{\"sid\":\"x\"}", "0{\"maxPayload\":1}", "\u{7f}"],
        |input| {
            answer((
                frame::with_pid(input, "p").map(|frames| frames.len()),
                frame::with_max_payload(input, 5).is_some(),
                frame::holds_closing(input),
            ))
        },
    );
}
