use axum::http::HeaderValue;

use super::*;

fn policy(refuse_forwarded: bool) -> HostPolicy {
    let names = HostNames {
        origins: Origins::of("https://app.example"),
        allowed: AllowedHosts::of("chat.example"),
        own: "Rowcast.internal".to_owned(),
    };
    HostPolicy::new(names, refuse_forwarded)
}

fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in all {
        headers.append(*name, HeaderValue::from_str(value).expect("a value"));
    }
    headers
}

fn check(uri: &str, all: &[(&'static str, &str)]) -> Result<(), Unwelcome> {
    policy(false).check(&uri.parse().expect("a URI"), &headers(all))
}

const ENGLISH: (&str, &str) = ("accept-language", "en");

#[test]
fn a_browser_may_use_an_address_localhost_and_the_names_that_were_given() {
    for host in [
        "127.0.0.1",
        "127.0.0.1:3001",
        "203.0.113.7:3001",
        "[::1]",
        "[2001:db8::1]:3001",
        "localhost",
        "LOCALHOST:3001",
        "localhost.:3001",
        "chat.localhost:3001",
        "app.example",
        "app.example:8443",
        "chat.example",
        "CHAT.example.:443",
        "rowcast.internal:3001",
    ] {
        assert_eq!(check("/", &[ENGLISH, ("host", host)]), Ok(()), "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:3001",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evillocalhost",
        "x.app.example",
        "127.1",
        "2130706433",
        "[::1].evil.example",
        "[evil.example]",
        "::1",
        "127.0.0.1:80@evil.example",
        "evil.example@127.0.0.1",
        "127.0.0.1:x",
        "",
        ".",
        ":3001",
    ] {
        let refused = check("/", &[ENGLISH, ("host", host)]);
        assert_eq!(refused, Err(Unwelcome::Host), "{host}");
    }
}

#[test]
fn all_that_names_a_host_must_name_ours() {
    let good = ("host", "localhost");
    assert_eq!(check("/", &[ENGLISH]), Err(Unwelcome::Host));
    let twice = [ENGLISH, good, ("host", "evil.example")];
    assert_eq!(check("/", &twice), Err(Unwelcome::Host));
    assert_eq!(
        check("http://evil.example/", &[ENGLISH, good]),
        Err(Unwelcome::Host)
    );
    assert_eq!(check("http://localhost/", &[ENGLISH, good]), Ok(()));
}

#[test]
fn whatever_a_browser_cannot_leave_out_tells_it() {
    let evil = ("host", "evil.example:3001");
    for browser in [
        // A page's own GET over plain HTTP, with what it may set set to anything.
        &[("accept-language", "*"), ("user-agent", "curl/8")][..],
        &[("accept-language", "")],
        &[("user-agent", "Mozilla/5.0 (X11; Linux x86_64)")],
        &[("origin", "http://evil.example:3001")],
        &[("origin", "null")],
        &[("referer", "http://evil.example:3001/")],
        &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
    ] {
        let refused = check("/", &[&[evil], browser].concat());
        assert_eq!(refused, Err(Unwelcome::Host), "{browser:?}");
    }
    for other in [
        &[][..],
        &[("user-agent", "kube-probe/1.31"), ("accept", "*/*")],
        &[
            ("user-agent", "Prometheus/3.1.0"),
            ("accept-encoding", "gzip"),
        ],
        // Node's fetch.
        &[
            ("user-agent", "node"),
            ("accept-language", "*"),
            ("sec-fetch-mode", "cors"),
        ],
    ] {
        assert_eq!(check("/", &[&[evil], other].concat()), Ok(()), "{other:?}");
    }
}

#[test]
fn what_a_proxy_forwarded_is_refused_where_nobody_said_who_may_come() {
    let uri = Uri::from_static("/");
    for name in [
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-ssl",
    ] {
        let headers = headers(&[("host", "localhost"), (name, "x")]);
        let refused = policy(true).check(&uri, &headers);
        assert_eq!(refused, Err(Unwelcome::Forwarded), "{name}");
        assert_eq!(policy(false).check(&uri, &headers), Ok(()), "{name}");
    }
    let plain = headers(&[("host", "localhost")]);
    assert_eq!(policy(true).check(&uri, &plain), Ok(()));
}

#[test]
fn the_log_names_what_was_refused() {
    let shown = |uri: &str, host: &str| {
        let (uri, headers) = (uri.parse().expect("a URI"), headers(&[("host", host)]));
        policy(false).0.names.shown(&uri, &headers)
    };
    assert_eq!(shown("/", "evil.example"), "evil.example");
    assert_eq!(shown("http://app.example/", "evil.example"), "evil.example");
    // Absolute, as to a proxy: the header alone would do.
    assert_eq!(shown("http://evil.example/", "127.0.0.1"), "evil.example");
    assert_eq!(shown("/", &"x".repeat(500)).len(), MAX_SHOWN_BYTES);
}
