//! Networks in CIDR notation.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

use super::as_text;

/// A network, or an address with the length of its network's prefix: host bits are kept as written.
///
/// Whatever compares or enumerates does so with the network, without the host bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr(IpNet);

impl Cidr {
    /// A network from an address and a prefix length.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        IpNet::new(address, prefix).ok().map(Self)
    }

    /// Whether it is an IPv4 network.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        self.0.addr().is_ipv4()
    }

    /// The length of the prefix.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.0.prefix_len()
    }

    /// The address as written.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.0.addr()
    }

    /// The first address.
    #[must_use]
    pub fn network(&self) -> IpAddr {
        self.0.network()
    }

    /// The last address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        self.0.broadcast()
    }

    /// Whether no host bits are set.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        self.0.addr() == self.0.network()
    }

    /// The same network without host bits.
    #[must_use]
    pub fn canonical(&self) -> Self {
        Self(self.0.trunc())
    }

    /// Whether the two share an address; networks of different families never do.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// Whether all addresses of the other are in this.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.prefix() <= other.prefix() && self.contains_ip(other.network())
    }

    /// Whether an address is in this network.
    #[must_use]
    pub fn contains_ip(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// How many addresses it has, at most `u128::MAX`.
    #[must_use]
    pub fn size(&self) -> u128 {
        1_u128.checked_shl(u32::from(self.0.max_prefix_len() - self.prefix())).unwrap_or(u128::MAX)
    }

    /// The address a number of steps from the network's first; `None` beyond its last.
    #[must_use]
    pub fn host(&self, n: u128) -> Option<IpAddr> {
        let address = match self.network() {
            IpAddr::V4(first) => {
                let sum = u128::from(u32::from(first)).checked_add(n)?;
                IpAddr::V4(Ipv4Addr::from(u32::try_from(sum).ok()?))
            }
            IpAddr::V6(first) => IpAddr::V6(Ipv6Addr::from(u128::from(first).checked_add(n)?)),
        };
        self.contains_ip(address).then_some(address)
    }

    /// The networks of a longer prefix that it is made of, in order; `None` if the prefix is shorter or too long.
    #[must_use]
    pub fn split(&self, prefix: u8) -> Option<impl Iterator<Item = Self> + use<>> {
        self.0.trunc().subnets(prefix).ok().map(|subnets| subnets.map(Self))
    }

    /// The first network of a prefix length within this one that overlaps none of those in use.
    #[must_use]
    pub fn find_free(&self, prefix: u8, used: &[Self]) -> Option<Self> {
        if prefix < self.prefix() {
            return None;
        }
        let mut next = self.network();
        loop {
            let candidate = Self::new(next, prefix)?.canonical();
            if !self.contains(&candidate) {
                return None;
            }
            let Some(taken) = used.iter().filter(|taken| taken.overlaps(&candidate)).max_by_key(|taken| taken.last()) else {
                return Some(candidate);
            };
            // Beyond the larger of the two, so that every round leaves one used network behind.
            next = after(taken.last().max(candidate.last()))?;
        }
    }
}

fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => u32::from(address).checked_add(1).map(|n| IpAddr::V4(Ipv4Addr::from(n))),
        IpAddr::V6(address) => u128::from(address).checked_add(1).map(|n| IpAddr::V6(Ipv6Addr::from(n))),
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("invalid CIDR address: {text}");
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        // Neither octets nor lengths have leading zeros: some readers take those for octal.
        let canonical = length == "0" || (!length.starts_with('0') && length.bytes().all(|b| b.is_ascii_digit()));
        if !canonical {
            return Err(wrong());
        }
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        length.parse().ok().and_then(|length| Self::new(address, length)).ok_or_else(wrong)
    }
}

as_text!(Cidr, "Cidr", "A network in CIDR notation, such as 10.0.0.0/16.");
