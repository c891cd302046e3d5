//! Whose pages may connect: those that the operator named, and this server's own.
//!
//! An origin is our own if it is the host and port that the request asked (RFC 6454, section 4): a page that we served has it, and
//! so has a native client, of which many send the address that they connect to, as `ws://` or as `http://`. A stranger's name for
//! this machine would be alike in both headers, too (DNS rebinding); `host_policy` has refused that before.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use url::Url;

use crate::config::Origins;
use crate::quota::Sampled;

/// Of an origin in the log.
const MAX_SHOWN_BYTES: usize = 100;

/// Which pages of a browser may connect, and write.
#[derive(Clone, Debug)]
pub(crate) struct OriginPolicy {
    named: Origins,
    /// This server speaks TLS, so a page of its own came by https.
    speaks_tls: bool,
    /// A page that may not connect tries again and again.
    refusals: Arc<Sampled>,
}

impl OriginPolicy {
    /// Those that the operator `named`, and our own ones: by https alone, where we speak TLS.
    pub(crate) fn new(named: Origins, speaks_tls: bool) -> Self {
        Self {
            named,
            speaks_tls,
            refusals: Arc::default(),
        }
    }

    /// May the page that sent these headers connect? Only browsers send an origin, and only they need the check.
    pub(crate) fn may_connect(&self, headers: &HeaderMap) -> bool {
        self.allows(headers, |origin| self.named.allows(origin))
    }

    /// May it write? That everybody may read, `*`, is not meant for this.
    pub(crate) fn may_write(&self, headers: &HeaderMap) -> bool {
        self.allows(headers, |origin| match &self.named {
            Origins::Any => false,
            named @ Origins::List(_) => named.allows(origin),
        })
    }

    fn allows(&self, headers: &HeaderMap, is_named: impl Fn(&str) -> bool) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return true;
        };
        let allowed = origin
            .to_str()
            .is_ok_and(|origin| is_named(origin) || is_own(origin, headers, self.speaks_tls));
        if !allowed {
            self.complain(origin);
        }
        allowed
    }

    /// Says which page was refused, and where it would be allowed. Sampled.
    fn complain(&self, origin: &HeaderValue) {
        let Some(count) = self.refusals.due() else {
            return;
        };
        // The header is a stranger's: what is not plain text in it is written as escapes, and its length is bounded.
        let shown = &origin.as_bytes()[..origin.len().min(MAX_SHOWN_BYTES)];
        let shown = shown.escape_ascii().to_string();
        tracing::warn!(
            count,
            origin = shown,
            "refused the page of {shown}: if it is yours, add it to FRONTEND_URL"
        );
    }
}

fn is_own(origin: &str, headers: &HeaderMap, speaks_tls: bool) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let (Some(host), Ok(origin)) = (host, Url::parse(origin)) else {
        return false;
    };
    // The scheme is the page's: where a proxy ends TLS, it is not ours. Where we end it, no page of ours comes without.
    let scheme = origin.scheme();
    let asked = Url::parse(&format!("{scheme}://{host}"));
    let is_ours = match scheme {
        "https" | "wss" => true,
        "http" | "ws" => !speaks_tls,
        _ => false,
    };
    is_ours && asked.is_ok_and(|asked| asked == origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origin: Option<&str>, host: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().expect("a host"));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().expect("an origin"));
        }
        headers
    }

    fn named(origins: &Origins, origin: &str, host: &str) -> (bool, bool) {
        let policy = OriginPolicy::new(origins.clone(), false);
        let headers = headers(Some(origin), host);
        (policy.may_connect(&headers), policy.may_write(&headers))
    }

    fn own(origin: &str, host: &str) -> bool {
        let (connects, writes) = named(&Origins::List(Vec::new()), origin, host);
        assert_eq!(connects, writes);
        connects
    }

    #[test]
    fn an_origin_is_our_own_if_it_asked_its_own_host() {
        for (origin, host) in [
            ("http://127.0.0.1:3001", "127.0.0.1:3001"),
            ("http://localhost:3001", "localhost:3001"),
            ("http://localhost:3001", "LOCALHOST:3001"),
            ("http://chat.localhost", "chat.localhost"),
            ("http://[::1]:3001", "[::1]:3001"),
            ("http://10.0.0.9", "10.0.0.9:80"),
            ("https://10.0.0.9", "10.0.0.9"),
            ("https://chat.example", "chat.example"),
            ("https://chat.example", "chat.example:443"),
            ("wss://chat.example", "chat.example"),
            ("ws://10.0.0.9:3001", "10.0.0.9:3001"),
        ] {
            assert!(own(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("http://127.0.0.1:3000", "127.0.0.1:3001"),
            ("http://localhost:3001", "127.0.0.1:3001"),
            ("http://127.0.0.1", "127.0.0.1:3001"),
            ("http://chat.example", "chat.example:443"),
            ("https://evil.example", "chat.example"),
            ("null", "127.0.0.1:3001"),
            ("null", "null"),
            ("", ""),
            ("file://", ""),
            ("capacitor://localhost", "localhost"),
            ("http://127.0.0.1:3001", "x@127.0.0.1:3001"),
            ("http://127.0.0.1:3001", "127.0.0.1:3001/x"),
        ] {
            assert!(!own(origin, host), "{origin} {host}");
        }
    }

    #[test]
    fn with_tls_no_origin_of_our_own_is_without() {
        let policy = OriginPolicy::new(Origins::List(Vec::new()), true);
        let own = |origin| policy.may_connect(&headers(Some(origin), "10.0.0.9:3001"));
        assert!(own("https://10.0.0.9:3001") && own("wss://10.0.0.9:3001"));
        assert!(!own("http://10.0.0.9:3001") && !own("ws://10.0.0.9:3001"));
    }

    #[test]
    fn a_client_without_an_origin_is_no_page() {
        let policy = OriginPolicy::new(Origins::List(Vec::new()), false);
        assert!(policy.may_connect(&headers(None, "127.0.0.1:3001")));
    }

    #[test]
    fn a_star_lets_everybody_connect_and_nobody_write() {
        let there = ("https://evil.example.com", "127.0.0.1:3001");
        assert_eq!(named(&Origins::Any, there.0, there.1), (true, false));
    }
}
