//! Whose pages may connect: those that the operator named and, with the demo, this server's own.
//!
//! A page is our own if its origin is the host and port that it asked (RFC 6454, section 4), and that is an address or
//! localhost. Any other name may have been made to point here by a stranger, whose page then has both headers alike (DNS
//! rebinding): a name must be in `FRONTEND_URL`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use tokio::time::Instant;
use url::{Host, Url};

use crate::config::Origins;

/// Of an origin in the log.
const MAX_SHOWN_BYTES: usize = 100;
/// Between two lines of the log about pages that were refused.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(10);

/// Which pages of a browser may connect, and write.
#[derive(Clone, Debug)]
pub(crate) struct OriginPolicy {
    named: Origins,
    own: bool,
    refusals: Arc<Mutex<Refusals>>,
}

/// Pages that were refused. A page that may not connect tries again and again.
#[derive(Debug, Default)]
struct Refusals {
    told: Option<Instant>,
    untold: u64,
}

impl OriginPolicy {
    /// Those that the operator `named`, and `own` ones or not.
    pub(crate) fn new(named: Origins, own: bool) -> Self {
        Self {
            named,
            own,
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
            .is_ok_and(|origin| is_named(origin) || (self.own && is_own(origin, headers)));
        if !allowed {
            self.complain(origin);
        }
        allowed
    }

    /// Says which page was refused, and where it would be allowed. Sampled.
    fn complain(&self, origin: &HeaderValue) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.untold += 1;
        if refusals
            .told
            .is_some_and(|told| told.elapsed() < COMPLAINT_PAUSE)
        {
            return;
        }
        refusals.told = Some(Instant::now());
        let count = std::mem::take(&mut refusals.untold);
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

fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let (Some(host), Ok(origin)) = (host, Url::parse(origin)) else {
        return false;
    };
    // The scheme is the page's: where a proxy ends TLS, it is not ours.
    let asked = Url::parse(&format!("{}://{host}", origin.scheme()));
    let local = match origin.host() {
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    };
    local && asked.is_ok_and(|asked| asked == origin)
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

    fn named(origins: Origins, own: bool, origin: &str, host: &str) -> (bool, bool) {
        let policy = OriginPolicy::new(origins, own);
        let headers = headers(Some(origin), host);
        (policy.may_connect(&headers), policy.may_write(&headers))
    }

    fn own(origin: &str, host: &str) -> bool {
        let (connects, writes) = named(Origins::List(Vec::new()), true, origin, host);
        assert_eq!(connects, writes);
        connects
    }

    #[test]
    fn a_page_is_our_own_if_it_asked_its_own_host() {
        for (origin, host) in [
            ("http://127.0.0.1:3001", "127.0.0.1:3001"),
            ("http://localhost:3001", "localhost:3001"),
            ("http://localhost:3001", "LOCALHOST:3001"),
            ("http://chat.localhost", "chat.localhost"),
            ("http://[::1]:3001", "[::1]:3001"),
            ("http://10.0.0.9", "10.0.0.9:80"),
            ("https://10.0.0.9", "10.0.0.9"),
        ] {
            assert!(own(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("http://127.0.0.1:3000", "127.0.0.1:3001"),
            ("http://localhost:3001", "127.0.0.1:3001"),
            ("http://127.0.0.1", "127.0.0.1:3001"),
            ("null", "127.0.0.1:3001"),
            ("", ""),
            ("http://127.0.0.1:3001", "x@127.0.0.1:3001"),
            ("http://127.0.0.1:3001", "127.0.0.1:3001/x"),
        ] {
            assert!(!own(origin, host), "{origin} {host}");
        }
    }

    #[test]
    fn a_strangers_name_for_this_machine_is_not_our_own() {
        for name in [
            "evil.example.com:3001",
            "evil-localhost:3001",
            "127.0.0.1.evil.example",
        ] {
            assert!(!own(&format!("http://{name}"), name), "{name}");
        }
    }

    #[test]
    fn without_the_demo_only_what_was_named_may() {
        let here = ("http://127.0.0.1:3001", "127.0.0.1:3001");
        let none = Origins::List(Vec::new());
        assert_eq!(named(none.clone(), false, here.0, here.1), (false, false));
        assert!(OriginPolicy::new(none, false).may_connect(&headers(None, here.1)));
    }

    #[test]
    fn a_star_lets_everybody_connect_and_nobody_write() {
        let there = ("https://evil.example.com", "127.0.0.1:3001");
        assert_eq!(named(Origins::Any, true, there.0, there.1), (true, false));
    }
}
