//! Who may connect from a browser: `FRONTEND_URL`.
//!
//! Guarantees that an origin is held as a browser writes it in the `Origin` header
//! (RFC 6454 section 6.2: lower case, default port left out), so that comparing is comparing bytes.
//! Takes what pages and apps send: web origins, those of Capacitor and Tauri (`capacitor://localhost`), `file://` of some web
//! views, and `null`, which is what a browser sends for a page of a file and for a sandboxed frame.
//! Refuses what could never match: a path, a missing scheme; and a wildcard that is not the first label of a host.

use url::Url;

use super::allowed_hosts::is_below;
use super::problem::{Refusal, quote};

/// The origins that may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origins {
    /// Every origin; answers then allow no credentials.
    Any,
    /// These; answers allow credentials.
    List(Vec<Origin>),
}

impl Origins {
    /// May a page of `origin` (an `Origin` header's value) connect?
    #[must_use]
    pub(crate) fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::List(list) => list.iter().any(|allowed| allowed.matches(origin)),
        }
    }

    /// Is `host`, in lower case and without a port, the host of one of these?
    pub(crate) fn have_host(&self, host: &str) -> bool {
        match self {
            Self::Any => false,
            Self::List(list) => {
                !host.is_empty() && list.iter().any(|allowed| allowed.has_host(host))
            }
        }
    }

    /// Do they let in pages that have no origin of their own, and so those of everybody?
    pub(super) fn allow_null(&self) -> bool {
        matches!(self, Self::List(_)) && self.allows(NULL)
    }

    /// Those of this text, which must be good.
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self::parse(text).expect("origins")
    }

    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let mut list: Vec<Origin> = Vec::new();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let origin =
                Origin::parse(part).map_err(|why| refusal(&format!("{} {why}", quote(part))))?;
            if !list.contains(&origin) {
                list.push(origin);
            }
        }
        if list.is_empty() {
            return Err(refusal("no origin is named"));
        }
        Ok(Self::List(list))
    }
}

fn refusal(reason: &str) -> Refusal {
    Refusal::because(
        reason,
        "origins as scheme://host or scheme://host:port, comma separated, \
            such as https://app.example.com,https://*.preview.example,http://localhost:3000, or * alone",
    )
}

/// What a browser sends for a page that has no origin (RFC 6454, section 7.3).
const NULL: &str = "null";
/// What some web views send for a page of a file.
const FILE: &str = "file://";

/// `scheme://host` or `scheme://host:port`, as a browser writes it; or all origins of that scheme and port whose host is below a
/// name.
/// Or, without a host: [`NULL`] or [`FILE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// With the `://`; all of one that has no host.
    scheme: String,
    /// Begins with a dot where it stands for all hosts below it.
    host: String,
    /// With its colon, or nothing.
    port: String,
}

impl Origin {
    /// One that has no host.
    fn bare(text: &str) -> Self {
        Self {
            scheme: text.to_owned(),
            host: String::new(),
            port: String::new(),
        }
    }

    fn matches(&self, origin: &str) -> bool {
        let rest = origin.strip_prefix(&self.scheme);
        let host = rest.and_then(|rest| rest.strip_suffix(&self.port));
        host.is_some_and(|host| self.has_host(host))
    }

    fn has_host(&self, host: &str) -> bool {
        if self.host.starts_with('.') {
            is_below(host, &self.host)
        } else {
            self.host == host
        }
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "*" => return Err("stands beside other origins"),
            NULL => return Ok(Self::bare(NULL)),
            "file://" | "file:///" => return Ok(Self::bare(FILE)),
            _ => {}
        }
        if !text.contains("://") {
            return Err("has no scheme");
        }
        let url = Url::parse(text).map_err(|_| "is no origin")?;
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or("has no host")?;
        if matches!(url.scheme(), "ws" | "wss" | "ftp" | "file") {
            return Err("has a scheme that no page has");
        }
        let host = match host.strip_prefix("*.") {
            None => host.to_owned(),
            // Everybody can have a name below a single label.
            Some(end) if end.contains('.') || end == "localhost" => format!(".{end}"),
            Some(_) => return Err("has a wildcard for more than the names below a domain"),
        };
        if host.contains('*') {
            return Err("has a wildcard that is not the first label of its host");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has a user");
        }
        // A lone slash is what people copy from the address bar.
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("has a path");
        }
        Ok(Self {
            scheme: format!("{}://", url.scheme()),
            host,
            port: url
                .port()
                .map(|port| format!(":{port}"))
                .unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        match Origins::parse(text).expect(text) {
            Origins::Any => panic!("{text} is a list"),
            Origins::List(list) => list
                .into_iter()
                .map(|Origin { scheme, host, port }| format!("{scheme}{host}{port}"))
                .collect(),
        }
    }

    #[test]
    fn origins_are_held_as_browsers_write_them() {
        assert_eq!(list("http://localhost:3000"), ["http://localhost:3000"]);
        assert_eq!(
            list("HTTPS://App.Example.com:443/, http://a:80,,http://a , https://a:8443"),
            ["https://app.example.com", "http://a", "https://a:8443"]
        );
        assert_eq!(list("http://[::1]:3000"), ["http://[::1]:3000"]);
        assert_eq!(
            list("https://bücher.example"),
            ["https://xn--bcher-kva.example"]
        );
        assert_eq!(list("capacitor://localhost"), ["capacitor://localhost"]);
    }

    #[test]
    fn what_could_never_match_is_refused() {
        let cases = [
            ("localhost:3000", "has no scheme"),
            ("app.example.com", "has no scheme"),
            ("https://a/app", "has a path"),
            ("https://a?x=1", "has a path"),
            ("https://u:p@a", "has a user"),
            ("https://*.com", "has a wildcard for more"),
            ("https://*", "has a wildcard that"),
            ("https://a.*.example.com", "has a wildcard that"),
            ("https://*.*.example.com", "has a wildcard that"),
            ("https://*x.example.com", "has a wildcard that"),
            ("null://x/y", "has a path"),
            ("*,https://a", "stands beside other origins"),
            ("wss://a", "has a scheme that no page has"),
            ("https://", "is no origin"),
            (",", "no origin is named"),
        ];
        for (text, reason) in cases {
            let refusal = format!("{:?}", Origins::parse(text).expect_err(text));
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
    }

    #[test]
    fn what_apps_send_is_taken_as_they_send_it() {
        let text = "https://app.example,https://*.preview.example:8443,capacitor://localhost,tauri://localhost,file://,null";
        let origins = Origins::parse(text).expect(text);
        for allowed in [
            "https://app.example",
            "https://a.preview.example:8443",
            "https://a.b.preview.example:8443",
            "capacitor://localhost",
            "tauri://localhost",
            "file://",
            "null",
        ] {
            assert!(origins.allows(allowed), "{allowed}");
        }
        for refused in [
            "https://preview.example:8443",
            "https://.preview.example:8443",
            "https://a.preview.example",
            "http://a.preview.example:8443",
            "https://evil.example/.preview.example:8443",
            "https://evil.example:80.preview.example:8443",
            "https://u@a.preview.example:8443",
            "https://a.preview.example:8443.evil.example",
            "https://evilpreview.example:8443",
            "file:///",
            "file://x",
            "nullx",
            "",
            "capacitor://evil",
            "ionic://localhost",
        ] {
            assert!(!origins.allows(refused), "{refused}");
        }
        assert!(origins.allow_null());
        assert!(!Origins::Any.allow_null());
        for host in ["app.example", "a.preview.example", "localhost"] {
            assert!(origins.have_host(host), "{host}");
        }
        for host in ["preview.example", "evil.example", "null", ""] {
            assert!(!origins.have_host(host), "{host}");
        }
    }

    #[test]
    fn a_list_allows_its_own_and_a_star_allows_all() {
        let list = Origins::parse("https://a.example").expect("a list");
        assert!(list.allows("https://a.example"));
        for other in ["https://a.example.evil", "http://a.example", "null", ""] {
            assert!(!list.allows(other), "{other}");
        }
        assert!(
            Origins::parse("*")
                .expect("a star")
                .allows("https://b.example")
        );
    }
}
