//! Which addresses belong to the public internet, by IANA's registries of special-purpose addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses: its first one, how many bits it fixes, and what it is.
struct Range<A>(A, u32, &'static str);

/// What is not public in IPv4.
const NOT_PUBLIC_V4: &[Range<Ipv4Addr>] = &[
    Range(Ipv4Addr::new(0, 0, 0, 0), 8, "an unspecified address"),
    Range(Ipv4Addr::new(10, 0, 0, 0), 8, "a private address"),
    Range(Ipv4Addr::new(100, 64, 0, 0), 10, "a carrier's shared address"),
    Range(Ipv4Addr::new(127, 0, 0, 0), 8, "a loopback address"),
    // Cloud metadata is at 169.254.169.254.
    Range(Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address"),
    Range(Ipv4Addr::new(172, 16, 0, 0), 12, "a private address"),
    Range(Ipv4Addr::new(192, 0, 0, 0), 24, "an address of a protocol"),
    Range(Ipv4Addr::new(192, 0, 2, 0), 24, "a documentation address"),
    Range(Ipv4Addr::new(192, 88, 99, 0), 24, "a 6to4 relay"),
    Range(Ipv4Addr::new(192, 168, 0, 0), 16, "a private address"),
    Range(Ipv4Addr::new(198, 18, 0, 0), 15, "a benchmarking address"),
    Range(Ipv4Addr::new(198, 51, 100, 0), 24, "a documentation address"),
    Range(Ipv4Addr::new(203, 0, 113, 0), 24, "a documentation address"),
    Range(Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    Range(Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved address"),
    // Public by its number, but in Azure it is the host of the virtual machine.
    Range(Ipv4Addr::new(168, 63, 129, 16), 32, "a cloud's metadata address"),
];

/// What is public in IPv6: all of this, but for what follows.
const PUBLIC_V6: Range<Ipv6Addr> = Range(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3, "");

/// What is not public within [`PUBLIC_V6`].
const NOT_PUBLIC_V6: &[Range<Ipv6Addr>] = &[
    // Teredo, which carries IPv4 addresses, is in it; so are benchmarking and ORCHID.
    Range(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "an address of a protocol"),
    Range(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "a documentation address"),
    // It carries an IPv4 address, and is not in use any more.
    Range(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "a 6to4 address"),
    Range(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "a documentation address"),
];

/// Where networks without IPv4 map it (RFC 6052). What counts is the address within.
const NAT64: Range<Ipv6Addr> = Range(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, "");

impl Range<Ipv4Addr> {
    fn has(&self, address: Ipv4Addr) -> bool {
        (address.to_bits() ^ self.0.to_bits()) >> (Ipv4Addr::BITS - self.1) == 0
    }
}

impl Range<Ipv6Addr> {
    fn has(&self, address: Ipv6Addr) -> bool {
        (address.to_bits() ^ self.0.to_bits()) >> (Ipv6Addr::BITS - self.1) == 0
    }
}

/// What an address is if it is not a public one.
pub(super) fn not_public(address: IpAddr) -> Option<&'static str> {
    match inner(address) {
        IpAddr::V4(address) => {
            let range = NOT_PUBLIC_V4.iter().find(|range| range.has(address));
            range.map(|range| range.2)
        }
        IpAddr::V6(address) if !PUBLIC_V6.has(address) => Some("not a global IPv6 address"),
        IpAddr::V6(address) => {
            let range = NOT_PUBLIC_V6.iter().find(|range| range.has(address));
            range.map(|range| range.2)
        }
    }
}

/// What an address is if it is not a loopback one.
pub(super) fn not_loopback(address: IpAddr) -> Option<&'static str> {
    match address.is_loopback() {
        true => None,
        false => Some("not a loopback address"),
    }
}

/// The IPv4 address that an IPv6 address stands for, if it does.
fn inner(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return IpAddr::V4(v4);
    }
    match NAT64.has(v6) {
        true => {
            let [.., a, b, c, d] = v6.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        false => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_known_at_both_ends_of_its_range() {
        for address in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.0.0",
            "169.254.169.254",
            "169.254.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.0",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.0",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::808:808",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2002::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
            "1fff::1",
        ] {
            assert!(not_public(address.parse().unwrap()).is_some(), "{address}");
        }
    }

    #[test]
    fn public_addresses_are_let_through_up_to_the_edges() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "168.63.129.15",
            "2000::1",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2001:db7::1",
            "2001:db9::1",
            "2003::1",
            "2606:4700:4700::1111",
            "3ffe::1",
            "3fff:1000::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert_eq!(not_public(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn loopback_is_loopback_only() {
        for address in ["127.0.0.1", "127.1.2.3", "::1"] {
            assert_eq!(not_loopback(address.parse().unwrap()), None, "{address}");
        }
        for address in
            ["128.0.0.1", "10.0.0.1", "0.0.0.0", "::", "::2", "::ffff:10.0.0.1", "8.8.8.8"]
        {
            assert!(not_loopback(address.parse().unwrap()).is_some(), "{address}");
        }
    }
}
