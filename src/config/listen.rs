//! Where the listeners bind: `HOST`, `PORT` and `ROWCAST_ADMIN`, or a socket that was passed.
//!
//! Guarantees that a host is an address or a name, without scheme, port or brackets, and knows
//! whether other machines can reach it. Names are resolved when binding, not here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::problem::Refusal;

/// The public listener's host and port, as `(host, port)` for a socket's bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    /// An IP address, IPv6 without brackets, or a host name.
    pub host: String,
    /// The port; 0 asks the system for a free one.
    pub port: u16,
    /// Where the socket listens that was passed: then nothing is bound, and host and port are only what the server is called by.
    pub passed: Option<SocketAddr>,
}

impl Listen {
    /// Can only this machine connect? A name other than `localhost` may mean anything, so: no.
    #[must_use]
    pub(crate) fn is_loopback(&self) -> bool {
        if let Some(passed) = self.passed {
            return passed.ip().to_canonical().is_loopback();
        }
        match self.host.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }

    /// The host by which this machine itself reaches the listener: where that listens on every
    /// address, the loopback one.
    #[must_use]
    pub(crate) fn local_host(&self) -> String {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
            Ok(IpAddr::V6(ip)) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.to_string(),
            _ => self.host.clone(),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, self.port).fmt(f),
            Err(_) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

pub(super) fn host(text: &str) -> Result<String, Refusal> {
    let accepted = "an IP address or a host name, such as 127.0.0.1, ::1, 0.0.0.0 or localhost; \
        the port has a variable of its own, PORT";
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(ip.to_string());
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if text.len() <= 253 && text.split('.').all(is_label) {
        Ok(text.to_owned())
    } else {
        Err(Refusal::accepts(accepted))
    }
}

pub(super) fn port(text: &str) -> Result<u16, Refusal> {
    text.parse()
        .map_err(|_| Refusal::accepts("a port from 0 to 65535 (0 picks a free one)"))
}

pub(super) fn admin(text: &str) -> Result<SocketAddr, Refusal> {
    text.parse().map_err(|_| {
        Refusal::accepts(
            "an IP address with a port, such as 127.0.0.1:3002 or [::1]:3002, or nothing to turn it off",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(text: &str) -> Listen {
        Listen {
            host: host(text).expect(text),
            port: 3001,
            passed: None,
        }
    }

    #[test]
    fn hosts_are_addresses_or_names() {
        for good in [
            "127.0.0.1",
            "::1",
            "[::1]",
            "0.0.0.0",
            "localhost",
            "db-1.example.com",
        ] {
            assert!(host(good).is_ok(), "{good}");
        }
        for bad in [
            "127.0.0.1:80",
            "http://localhost",
            "a b",
            "a..b",
            "[localhost]",
            "/tmp",
        ] {
            assert!(host(bad).is_err(), "{bad}");
        }
        assert_eq!(listen("[::1]").host, "::1");
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for near in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "LocalHost",
            "::ffff:127.0.0.1",
        ] {
            assert!(listen(near).is_loopback(), "{near}");
        }
        for far in [
            "0.0.0.0",
            "::",
            "192.168.1.2",
            "localhost.example.com",
            "127.1",
        ] {
            assert!(!listen(far).is_loopback(), "{far}");
        }
    }

    #[test]
    fn a_socket_that_was_passed_says_who_reaches_it() {
        let passed = |address: &str| Listen {
            passed: address.parse().ok(),
            ..listen("127.0.0.1")
        };
        assert!(passed("[::1]:80").is_loopback());
        assert!(!passed("0.0.0.0:80").is_loopback());
    }

    #[test]
    fn a_listener_on_every_address_is_reached_by_loopback() {
        assert_eq!(listen("0.0.0.0").local_host(), "127.0.0.1");
        assert_eq!(listen("::").local_host(), "::1");
        assert_eq!(listen("10.0.0.1").local_host(), "10.0.0.1");
        assert_eq!(listen("localhost").local_host(), "localhost");
    }

    #[test]
    fn display_puts_brackets_around_ipv6() {
        assert_eq!(listen("::1").to_string(), "[::1]:3001");
        assert_eq!(listen("127.0.0.1").to_string(), "127.0.0.1:3001");
        assert_eq!(listen("localhost").to_string(), "localhost:3001");
    }
}
