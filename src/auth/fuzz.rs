//! What says who asks, and from where: cookies, the headers of pages and of proxies, and tokens.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::hmac;
use serde_json::json;
use tokio::sync::watch;

use super::key::{KeySet, VerifyingKey};
use super::presented::{Presented, names_its_page, presented};
use super::verifier::{Keys, TokenError, TokenRules};
use super::{HostNames, HostPolicy, OriginPolicy, Unwelcome, Verifier};
use crate::config::{AllowedHosts, Origins};
use crate::fuzz::{self, answer};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

const HEADERS: &[&str] = &[
    "forwarded: for=192.0.2.60;proto=http;by=203.0.113.43\n",
    "forwarded: for=\"[2001:db8::1]:4711\";host=127.0.0.1\n",
    "x-forwarded-host: 127.0.0.1\n",
    "x-forwarded-for: 127.0.0.1\n",
    "x-forwarded-proto: https\n",
    "via: 1.1 a\n",
    "host: localhost\n",
    "origin: https://app.example\n",
    "origin: null\n",
    "sec-fetch-site: same-origin\n",
    "sec-fetch-mode: cors\n",
    "user-agent: Mozilla/5.0\n",
    "accept-language: en\n",
    "[::1]:80",
];

/// Headers, one on each line; what can be none is left out.
fn headers(input: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&line[colon + 1..])) {
            headers.append(name, value);
        }
    }
    headers
}

fn cookies<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(header::COOKIE, value);
        }
    }
    headers
}

#[test]
fn no_cookie_panics_or_takes_the_place_of_another() {
    const NEEDLE: &[u8] = b"token=good";
    fuzz::run(
        "cookie",
        include_str!("../fuzz/corpus/cookies.txt"),
        &["token", "token=", "=", ";", "; ", "\"", " ", "\t", "\n"],
        |input| {
            let lines = || input.split(|byte| *byte == b'\n');
            let headers = cookies(lines());
            let found = presented(&headers, None, Some("token"));
            assert_eq!(
                presented(&headers, None, None),
                Err(TokenError::Missing),
                "no cookie is read where none may carry a token"
            );
            let token = |headers: &HeaderMap| {
                let found = presented(headers, None, Some("token"));
                found.map(|found| found.token.to_owned())
            };
            // The first one counts, whatever comes behind it.
            let before = cookies(std::iter::once(NEEDLE).chain(lines()));
            assert_eq!(token(&before).as_deref(), Ok("good"));
            let behind = token(&cookies(lines().chain([NEEDLE])));
            match found {
                Ok(Presented { token, is_ambient }) => {
                    assert!(is_ambient, "a browser adds it, whatever page asks");
                    assert!(!token.contains([';', '\n']), "{token}");
                    assert_eq!(behind.as_deref(), Ok(token));
                }
                Err(error) => {
                    assert_eq!(error, TokenError::Missing);
                    assert_eq!(behind.as_deref(), Ok("good"));
                }
            }
            // A header says more than a cookie.
            let mut both = headers.clone();
            both.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer a"));
            assert_eq!(token(&both).as_deref(), Ok("a"));
            answer((
                token(&headers).map(|token| token.len().min(20)).ok(),
                headers.len().min(4),
            ))
        },
    );
}

/// What a server called `rowcast.internal`, or `chat.example`, lets in.
fn policy(refuse_forwarded: bool) -> HostPolicy {
    let names = HostNames {
        origins: Origins::of("https://app.example"),
        allowed: AllowedHosts::of("chat.example"),
        own: "rowcast.internal".to_owned(),
    };
    HostPolicy::new(names, refuse_forwarded)
}

#[test]
fn no_header_of_a_proxy_or_a_page_panics_or_opens_a_door() {
    let (closed, open) = (policy(true), policy(false));
    let pages = OriginPolicy::new(Origins::of("https://app.example"), false);
    let uri = Uri::from_static("/socket.io/");
    fuzz::run(
        "forwarded",
        include_str!("../fuzz/corpus/forwarded.txt"),
        HEADERS,
        |input| {
            let headers = headers(input);
            let is_forwarded = headers.keys().any(|name| {
                let name = name.as_str();
                name == "forwarded" || name == "via" || name.starts_with("x-forwarded-")
            });
            let refused = closed.check(&uri, &headers);
            assert_eq!(refused == Err(Unwelcome::Forwarded), is_forwarded);
            let welcome = open.check(&uri, &headers);
            assert_ne!(welcome, Err(Unwelcome::Forwarded));

            // Whatever else is said: a browser that was told a stranger's name, and the page of a stranger.
            let mut rebound = headers.clone();
            rebound.insert(header::HOST, HeaderValue::from_static("evil.example"));
            rebound.insert(
                header::ORIGIN,
                HeaderValue::from_static("http://evil.example"),
            );
            assert_eq!(open.check(&uri, &rebound), Err(Unwelcome::Host));
            let mut strange = headers.clone();
            strange.insert(
                header::ORIGIN,
                HeaderValue::from_static("https://evil.example"),
            );
            strange.insert(header::HOST, HeaderValue::from_static("chat.example"));
            assert!(!pages.may_connect(&strange) && !pages.may_write(&strange));
            answer((
                refused.is_ok(),
                welcome.is_ok(),
                pages.may_connect(&headers),
                names_its_page(&headers),
                headers.len().min(8),
            ))
        },
    );
}

/// A token of this head and this payload, whose signature is right.
fn signed(head: &[u8], payload: &[u8]) -> String {
    let message = format!("{}.{}", BASE64.encode(head), BASE64.encode(payload));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let signature = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", BASE64.encode(signature))
}

#[test]
fn no_token_panics_or_is_believed_without_a_signature() {
    let key = VerifyingKey::secret(SECRET).expect("a secret");
    let keys = Keys {
        set: Arc::new(KeySet(vec![key])),
        ..Keys::default()
    };
    let rules = TokenRules {
        leeway: Duration::from_secs(30),
        ..TokenRules::default()
    };
    let verifier = Verifier::new(watch::channel(keys).1, Arc::default(), &rules);
    let head = br#"{"alg":"HS256","typ":"JWT"}"#;
    let claims = json!({ "sub": "a", "exp": 4_102_444_800_u64 }).to_string();
    let good = signed(head, claims.as_bytes());
    assert!(verifier.verify(&good).is_ok());
    let words = [
        good.as_str(),
        ".",
        r#"{"alg":"none"}"#,
        r#"{"alg":"HS256"}"#,
        r#""sub":"a""#,
        r#""exp":4102444800"#,
        r#""crit":["exp"]"#,
        r#""kid":"a""#,
        "\n",
        "1e999",
        ",",
    ];
    fuzz::run(
        "token",
        include_str!("../fuzz/corpus/tokens.txt"),
        &words,
        |input| {
            // As a stranger may send it.
            let text = String::from_utf8_lossy(input);
            let unsigned = verifier.verify(&text);
            assert!(unsigned.is_err() || text == good, "{text}");
            // And with the signature that a stranger can't make: a head, and a payload behind the line's end.
            let end = input.iter().position(|byte| *byte == b'\n');
            let (head, payload) = match end {
                Some(end) => (&input[..end], &input[end + 1..]),
                None => (&head[..], input),
            };
            let read = verifier.verify(&signed(head, payload));
            if let Ok(token) = &read {
                assert!(!token.subject().is_empty() && token.expires_at() <= 253_402_300_799);
            }
            let reason = |read: Result<_, TokenError>| read.err().map(|error| error.to_string());
            answer((reason(unsigned), reason(read)))
        },
    );
}
