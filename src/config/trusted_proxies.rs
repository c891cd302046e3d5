//! Whose `X-Forwarded-For` counts: `ROWCAST_TRUSTED_PROXIES`.
//!
//! Each proxy adds the address that it was called from at the end of the header, and what stands before that may be any client's
//! invention. So the header is read from its end, for as long as the address that wrote an entry is a trusted one.
//! `Forwarded` (RFC 7239) is not read: the usual proxies pass it on as the client sent it, and whoever reads either of the two
//! believes the one that the proxy did not write.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::problem::{Refusal, quote};

/// Entries that are looked at.
const MAX_HOPS: usize = 32;

/// This machine. Whoever is on it has 16 million addresses of its own, so trusting it gives nothing away.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];
/// The networks that are nobody's on the internet (RFC 1918, RFC 4193, and the link-local ones).
const PRIVATE: [&str; 6] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
];

/// The networks of trusted proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Is this the address of a proxy that is trusted?
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client behind `peer`: of `forwarded`, the values of `X-Forwarded-For` in their order, the last address that is not
    /// trusted; and where all are, the first of them.
    pub(crate) fn client<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a str>,
    ) -> IpAddr {
        let mut client = peer.to_canonical();
        let entries = forwarded.rev().flat_map(|value| value.rsplit(','));
        for entry in entries.take(MAX_HOPS) {
            if !self.trusts(client) {
                break;
            }
            match address(entry.trim()) {
                Some(address) => client = address,
                // A proxy that hides whom it forwards for is itself the client.
                None => break,
            }
        }
        client
    }

    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        if text == "none" {
            return Ok(Self::default());
        }
        let mut networks = Vec::new();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let named: &[&str] = match part {
                "loopback" => &LOOPBACK,
                "private" => &PRIVATE,
                part => &[part],
            };
            for name in named {
                networks.push(network(name).ok_or_else(|| {
                    Refusal::because(
                        format!("{} is no network", quote(part)),
                        "networks such as 10.0.0.0/8, addresses, loopback or private, comma separated, or none",
                    )
                })?);
            }
        }
        Ok(Self(networks))
    }
}

fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
    text.parse()
        .ok()
        .or_else(|| address().map(IpNet::from))
        .map(|network: IpNet| network.trunc())
}

/// An entry of the header: an address, with a port or without.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = entry
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(entry);
    let address = bare.parse::<IpAddr>().ok();
    address
        .or_else(|| entry.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &str, peer: &str, forwarded: &[&str]) -> String {
        let proxies = TrustedProxies::parse(trusted).expect(trusted);
        let peer = peer.parse().expect(peer);
        proxies.client(peer, forwarded.iter().copied()).to_string()
    }

    /// Whom is trusted, who calls, what the header says (its lines apart by `|`), and who counts.
    const CASES: &str = "
        loopback          127.0.0.1  203.0.113.7                       203.0.113.7
        # What a client invents stands before what the proxy saw.
        loopback          127.0.0.1  1.1.1.1, 203.0.113.7              203.0.113.7
        loopback          127.0.0.1  127.0.0.9, 203.0.113.7            203.0.113.7
        loopback          127.0.0.1  1.1.1.1|203.0.113.7               203.0.113.7
        # Two proxies.
        loopback,10/8     127.0.0.1  9.9.9.9, 203.0.113.7, 10.1.2.3    203.0.113.7
        loopback          127.0.0.1  203.0.113.7, 10.1.2.3             10.1.2.3
        # All of them are trusted: the one that the chain begins with.
        loopback,10/8     127.0.0.1  10.0.0.1, 10.0.0.2                10.0.0.1
        # Nobody that is trusted says anything that can be used.
        none              127.0.0.1  203.0.113.7                       127.0.0.1
        loopback          203.0.113.9  127.0.0.1                       203.0.113.9
        loopback          127.0.0.1  203.0.113.7, unknown              127.0.0.1
        loopback          127.0.0.1  203.0.113.7, 999.1.1.1            127.0.0.1
        loopback          127.0.0.1  ,                                 127.0.0.1
        # Forms that are sent.
        loopback          127.0.0.1  203.0.113.7:4711                  203.0.113.7
        loopback          ::1        [2001:db8::1]:443                 2001:db8::1
        loopback          ::1        [2001:db8::1]                     2001:db8::1
        loopback          ::ffff:127.0.0.1  ::ffff:203.0.113.7         203.0.113.7
        private           172.18.0.1  203.0.113.7                      203.0.113.7
        203.0.113.0/24    203.0.113.200  198.51.100.1                  198.51.100.1
        2001:db8::/32     2001:db8:9::1  198.51.100.1                  198.51.100.1
    ";

    #[test]
    fn the_last_address_that_is_not_trusted_counts() {
        let cases = CASES.lines().map(str::trim);
        for case in cases.filter(|case| !case.is_empty() && !case.starts_with('#')) {
            let words: Vec<_> = case.split_whitespace().collect();
            let (expected, words) = words.split_last().expect("a case");
            let trusted = words[0].replace("10/8", "10.0.0.0/8");
            let header = words[2..].join(" ");
            let lines: Vec<_> = header.split('|').collect();
            assert_eq!(client(&trusted, words[1], &lines), *expected, "{case}");
        }
        assert_eq!(client("loopback", "127.0.0.1", &[]), "127.0.0.1");
    }

    #[test]
    fn a_long_header_is_read_to_a_bound() {
        let long = vec!["127.0.0.1"; 100_000].join(",");
        let header = format!("203.0.113.7,{long}");
        assert_eq!(client("loopback", "127.0.0.1", &[&header]), "127.0.0.1");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in [
            "10.0.0.0/33",
            "proxy.internal",
            "10.0.0",
            "all",
            "none,10.0.0.0/8",
        ] {
            assert!(TrustedProxies::parse(bad).is_err(), "{bad}");
        }
    }
}
