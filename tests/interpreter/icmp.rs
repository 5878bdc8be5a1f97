//! Names of ICMP types (IANA, "ICMP Type Numbers" and "ICMPv6 Type Numbers"), as the tests know them.

/// Name, IPv4?, type, code.
const NAMES: &[(&str, bool, u8, Option<u8>)] = &[
    ("echo-reply", true, 0, None),
    ("destination-unreachable", true, 3, None),
    ("network-unreachable", true, 3, Some(0)),
    ("host-unreachable", true, 3, Some(1)),
    ("port-unreachable", true, 3, Some(3)),
    ("fragmentation-needed", true, 3, Some(4)),
    ("source-quench", true, 4, None),
    ("redirect", true, 5, None),
    ("echo-request", true, 8, None),
    ("router-advertisement", true, 9, None),
    ("router-solicitation", true, 10, None),
    ("time-exceeded", true, 11, None),
    ("parameter-problem", true, 12, None),
    ("timestamp-request", true, 13, None),
    ("timestamp-reply", true, 14, None),
    ("address-mask-request", true, 17, None),
    ("address-mask-reply", true, 18, None),
    ("destination-unreachable", false, 1, None),
    ("port-unreachable", false, 1, Some(4)),
    ("packet-too-big", false, 2, None),
    ("time-exceeded", false, 3, None),
    ("parameter-problem", false, 4, None),
    ("echo-request", false, 128, None),
    ("echo-reply", false, 129, None),
    ("mld-listener-query", false, 130, None),
    ("mld-listener-report", false, 131, None),
    ("mld-listener-done", false, 132, None),
    ("router-solicitation", false, 133, None),
    ("router-advertisement", false, 134, None),
    ("neighbour-solicitation", false, 135, None),
    ("neighbour-advertisement", false, 136, None),
    ("redirect", false, 137, None),
    ("mld2-listener-report", false, 143, None),
];

/// The types of a name: IPv4?, type, code.
pub fn types(name: &str) -> Vec<(bool, u8, Option<u8>)> {
    let of_name = NAMES.iter().filter(|(known, ..)| *known == name);
    let found: Vec<_> = of_name.map(|&(_, v4, kind, code)| (v4, kind, code)).collect();
    assert!(!found.is_empty(), "the tests do not know the ICMP type `{name}`");
    found
}

/// Whether a type is called so.
pub fn is(name: &str, v4: bool, kind: u8, code: u8) -> bool {
    types(name)
        .into_iter()
        .any(|(of_v4, of_kind, of_code)| of_v4 == v4 && of_kind == kind && of_code.is_none_or(|known| known == code))
}
