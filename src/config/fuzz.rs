//! The header by which a trusted proxy says who a client is.

use std::net::IpAddr;

use super::trusted_proxies::TrustedProxies;
use crate::fuzz::{self, answer};

#[test]
fn no_forwarded_for_panics_or_is_believed_of_a_stranger() {
    const WORDS: &[&str] = &[
        "127.0.0.1",
        "10.1.2.3",
        "203.0.113.7:4711",
        "[2001:db8::1]:443",
        "::ffff:127.0.0.1",
        "unknown",
        "_hidden",
        "for=192.0.2.60",
        ", ",
        ",",
        "\n",
        "fe80::1%eth0",
    ];
    let proxies = TrustedProxies::parse("loopback,private").expect("networks");
    let none = TrustedProxies::parse("none").expect("no network");
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    let (proxy, stranger) = (address("127.0.0.1"), address("203.0.113.9"));
    fuzz::run(
        "x-forwarded-for",
        include_str!("../fuzz/corpus/forwarded_for.txt"),
        WORDS,
        |input| {
            // As the listener reads it: what is no text is empty.
            let lines: Vec<&str> = input
                .split(|byte| *byte == b'\n')
                .map(|line| std::str::from_utf8(line).unwrap_or_default())
                .collect();
            let client = |proxies: &TrustedProxies, peer, more: &[&'static str]| {
                let lines = lines.iter().chain(more).copied();
                proxies.client(peer, lines)
            };
            assert_eq!(client(&proxies, stranger, &[]), stranger, "it is no proxy");
            assert_eq!(client(&none, proxy, &[]), proxy, "nobody is trusted");
            // Nothing that a client invents counts before what the proxy saw, in a line of its own or behind a comma.
            let seen = address("198.51.100.4");
            assert_eq!(client(&proxies, proxy, &["198.51.100.4"]), seen);
            let joined = format!("{}, 198.51.100.4:99", lines.join(","));
            assert_eq!(proxies.client(proxy, [&*joined].into_iter()), seen);
            let who = client(&proxies, proxy, &[]);
            answer((
                who.is_ipv4(),
                proxies.trusts(who),
                who == proxy,
                lines.len().min(5),
            ))
        },
    );
}
