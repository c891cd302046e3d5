//! Who is counted: the network of an address, or an identity.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// The address that a request comes from, as limits count it: the other end of the connection, or whom a trusted proxy names.
/// An extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub IpAddr);

/// Who is counted.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub(crate) enum Holder {
    /// An IPv4 address, or a /64 of IPv6, which is what one host is given.
    Network(IpAddr),
    /// An identity, by its name.
    Identity(Arc<str>),
}

impl Holder {
    /// Whoever is at this address.
    pub(crate) fn at(address: IpAddr) -> Self {
        Self::Network(match address.to_canonical() {
            IpAddr::V6(address) => {
                let host = u128::from(u64::MAX);
                Ipv6Addr::from_bits(address.to_bits() & !host).into()
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Holder {
        Holder::at(text.parse().expect("an address"))
    }

    #[test]
    fn a_host_of_ipv6_is_its_network() {
        assert_eq!(at("2001:db8:1:2:3::4"), at("2001:db8:1:2::9"));
        assert_ne!(at("2001:db8:1:2::"), at("2001:db8:1:3::"));
        assert_eq!(at("::ffff:10.0.0.1"), at("10.0.0.1"));
        assert_ne!(at("10.0.0.1"), at("10.0.0.2"));
    }
}
