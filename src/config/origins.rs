//! Who may connect from a browser: `FRONTEND_URL`.
//!
//! Guarantees that an origin is held as a browser writes it in the `Origin` header
//! (RFC 6454 section 6.2: lower case, default port left out), so that comparing is comparing bytes.
//! Refuses what could never match: a path, a wildcard, a missing scheme.

use url::Url;

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
            Self::List(list) => list.iter().any(|allowed| allowed.as_str() == origin),
        }
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
            such as https://app.example.com,http://localhost:3000, or * alone",
    )
}

/// `scheme://host` or `scheme://host:port`, as a browser writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin(String);

impl Origin {
    /// The value an `Origin` header has.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Err("stands beside other origins");
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
        if host.contains('*') {
            return Err("has a wildcard");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has a user");
        }
        // A lone slash is what people copy from the address bar.
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("has a path");
        }
        let scheme = url.scheme();
        Ok(Self(match url.port() {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        match Origins::parse(text).expect(text) {
            Origins::Any => panic!("{text} is a list"),
            Origins::List(list) => list.into_iter().map(|origin| origin.0).collect(),
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
            ("https://*.example.com", "has a wildcard"),
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
