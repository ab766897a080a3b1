use super::*;

fn allowed(address: &str) -> bool {
    TargetPolicy::Public.allows(address.parse().unwrap())
}

/// Every range that must be refused: (range, its first, a middle and its last address, the addresses just outside).
/// A neighbour that lies in another range of the table is marked by leaving it out.
type Range = (&'static str, [&'static str; 3], &'static [&'static str]);

const V4: &[Range] = &[
    ("0/8", ["0.0.0.0", "0.1.2.3", "0.255.255.255"], &["1.0.0.0"]),
    (
        "10/8",
        ["10.0.0.0", "10.20.30.40", "10.255.255.255"],
        &["9.255.255.255", "11.0.0.0"],
    ),
    (
        "100.64/10",
        ["100.64.0.0", "100.100.0.1", "100.127.255.255"],
        &["100.63.255.255", "100.128.0.0"],
    ),
    (
        "127/8",
        ["127.0.0.0", "127.0.0.1", "127.255.255.255"],
        &["126.255.255.255", "128.0.0.0"],
    ),
    (
        "169.254/16",
        ["169.254.0.0", "169.254.169.254", "169.254.255.255"],
        &["169.253.255.255", "169.255.0.0"],
    ),
    (
        "172.16/12",
        ["172.16.0.0", "172.20.1.1", "172.31.255.255"],
        &["172.15.255.255", "172.32.0.0"],
    ),
    (
        "192.0.0/24",
        ["192.0.0.0", "192.0.0.170", "192.0.0.255"],
        &["191.255.255.255", "192.0.1.0"],
    ),
    (
        "192.0.2/24",
        ["192.0.2.0", "192.0.2.1", "192.0.2.255"],
        &["192.0.1.255", "192.0.3.0"],
    ),
    (
        "192.88.99/24",
        ["192.88.99.0", "192.88.99.1", "192.88.99.255"],
        &["192.88.98.255", "192.88.100.0"],
    ),
    (
        "192.168/16",
        ["192.168.0.0", "192.168.1.1", "192.168.255.255"],
        &["192.167.255.255", "192.169.0.0"],
    ),
    (
        "198.18/15",
        ["198.18.0.0", "198.19.0.0", "198.19.255.255"],
        &["198.17.255.255", "198.20.0.0"],
    ),
    (
        "198.51.100/24",
        ["198.51.100.0", "198.51.100.9", "198.51.100.255"],
        &["198.51.99.255", "198.51.101.0"],
    ),
    (
        "203.0.113/24",
        ["203.0.113.0", "203.0.113.9", "203.0.113.255"],
        &["203.0.112.255", "203.0.114.0"],
    ),
    (
        "224/4",
        ["224.0.0.0", "232.1.2.3", "239.255.255.255"],
        &["223.255.255.255"],
    ),
    ("240/4", ["240.0.0.0", "250.1.2.3", "255.255.255.255"], &[]),
];

const V6: &[Range] = &[
    (
        "::, ::1 and IPv4-compatible",
        ["::", "::1", "::8.8.8.8"],
        &[],
    ),
    (
        "IPv4-translated",
        ["::ffff:0:0:0", "::ffff:0:8.8.8.8", "::ffff:0:ffff:ffff"],
        &[],
    ),
    (
        "64:ff9b:1::/48",
        [
            "64:ff9b:1::",
            "64:ff9b:1::8.8.8.8",
            "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
        ],
        &[],
    ),
    (
        "::/8",
        ["::", "80::1", "ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
        &[],
    ),
    (
        "100::/64",
        ["100::", "100::1", "100::ffff:ffff:ffff:ffff"],
        &[],
    ),
    (
        "100:0:0:1::/64",
        ["100:0:0:1::", "100:0:0:1::1", "100::1:ffff:ffff:ffff:ffff"],
        &["100:0:0:2::"],
    ),
    (
        "2001::/32",
        [
            "2001::",
            "2001:0:4136:e378::1",
            "2001:0:ffff:ffff:ffff:ffff:ffff:ffff",
        ],
        &["2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:1::"],
    ),
    (
        "2001:2::/48",
        ["2001:2::", "2001:2::1", "2001:2:0:ffff:ffff:ffff:ffff:ffff"],
        &["2001:1:ffff:ffff:ffff:ffff:ffff:ffff", "2001:2:1::"],
    ),
    (
        "2001:10::/28",
        [
            "2001:10::",
            "2001:18::1",
            "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff",
        ],
        &["2001:f:ffff:ffff:ffff:ffff:ffff:ffff"],
    ),
    (
        "2001:20::/28",
        [
            "2001:20::",
            "2001:28::1",
            "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff",
        ],
        &["2001:30::"],
    ),
    (
        "2001:db8::/32",
        [
            "2001:db8::",
            "2001:db8::1",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        ],
        &["2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"],
    ),
    (
        "2002::/16",
        [
            "2002::",
            "2002:808:808::1",
            "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ],
        &["2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"],
    ),
    (
        "3fff::/20",
        [
            "3fff::",
            "3fff:1::",
            "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
        ],
        &["3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"],
    ),
    (
        "5f00::/16",
        [
            "5f00::",
            "5f00:1::",
            "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ],
        &["5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "5f01::"],
    ),
    (
        "fc00::/7",
        [
            "fc00::",
            "fd12:3456::1",
            "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ],
        &["fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00::"],
    ),
    (
        "fe80::/10",
        [
            "fe80::",
            "fe90::1",
            "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ],
        &["fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    ),
    (
        "fec0::/10",
        [
            "fec0::",
            "fed0::1",
            "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ],
        &[],
    ),
    (
        "ff00::/8",
        [
            "ff00::",
            "ff02::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ],
        &[],
    ),
];

#[test]
fn reserved_ranges_are_refused_and_nothing_beside_them() {
    for (range, inside, beside) in V4.iter().chain(V6) {
        for address in inside {
            assert!(!allowed(address), "{address} lies in {range}");
            assert!(TargetPolicy::Any.allows(address.parse().unwrap()));
        }
        for address in *beside {
            assert!(allowed(address), "{address} lies beside {range}");
        }
    }
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "192.31.196.1",
        "192.175.48.1",
        "2606:4700::1111",
        "2a00:1450::1",
        "2620:4f:8000::1",
    ] {
        assert!(allowed(address), "{address}");
    }
}

#[test]
fn every_range_of_the_code_is_in_the_table() {
    let outside = |address: &IpAddr| {
        !V4.iter()
            .chain(V6)
            .any(|(_, [first, ..], _)| first.parse() == Ok(*address))
    };
    let v4 = RESERVED_V4.iter().map(|&(net, _)| IpAddr::from(net));
    let v6 = RESERVED_V6.iter().map(|&(net, _)| IpAddr::from(net));
    let missing: Vec<IpAddr> = v4.chain(v6).filter(outside).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// An IPv4 address must not get past the policy in the clothes of an IPv6 address.
#[test]
fn ipv4_within_ipv6_is_judged_as_ipv4() {
    for (_, inside, beside) in V4 {
        for (address, public) in inside
            .iter()
            .map(|a| (a, false))
            .chain(beside.iter().map(|a| (a, true)))
        {
            let v4: Ipv4Addr = address.parse().unwrap();
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            for prefix in ["::ffff:", "64:ff9b::"] {
                assert_eq!(allowed(&format!("{prefix}{v4}")), public, "{prefix}{v4}");
                let hex = format!("{prefix}{high:x}:{low:x}");
                assert_eq!(allowed(&hex), public, "{hex}");
            }
            assert!(!allowed(&format!("::{v4}")), "::{v4} is IPv4-compatible");
            assert!(!allowed(&format!("::ffff:0:{v4}")), "IPv4-translated");
            assert!(!allowed(&format!("2002:{high:x}:{low:x}::1")), "6to4");
        }
    }
    assert!(!allowed("0:0:0:0:0:ffff:7f00:1"));
    assert!(!allowed("64:ff9b::a00:1"));
    assert!(allowed("64:ff9b::808:808"));
    assert!(!allowed("64:ff9b:0:0:0:1:808:808"), "outside the /96");
}

#[test]
fn private_names_are_refused() {
    let allows = |policy: TargetPolicy, name: &str| policy.allows_name(&name.parse().unwrap());
    for name in [
        ".",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "printer.local",
        "printer.local.",
        "db.internal",
        "x.localdomain",
        "x.home.arpa",
        "home.arpa",
        "example.onion",
        "router",
        "com.",
    ] {
        assert!(!allows(TargetPolicy::Public, name), "{name}");
        assert!(allows(TargetPolicy::Any, name), "{name}");
    }
    for name in [
        "example.org",
        "example.org.",
        "notlocal.org",
        "x.notlocal",
        "local.example",
        "internal.example.com",
        "4.3.2.1.in-addr.arpa",
    ] {
        assert!(allows(TargetPolicy::Public, name), "{name}");
    }
}

#[test]
fn its_words_are_stable() {
    let word = |policy| serde_json::to_string(&policy).unwrap();
    assert_eq!(
        (word(TargetPolicy::Any), word(TargetPolicy::Public)),
        (r#""any""#.into(), r#""public""#.into())
    );
}
