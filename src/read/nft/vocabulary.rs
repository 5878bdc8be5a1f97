//! The words of nft's language that a rule can have: what is none of them, nft refuses.

use super::lex::{Kind, Token};
use crate::names::closest;

/// Fields of headers, of connections and of packets.
const FIELDS: &[(&str, &[&str])] = &[
    (
        "tcp",
        &[
            "sport", "dport", "sequence", "ackseq", "doff", "reserved", "flags", "window", "checksum", "urgptr",
            "option",
        ],
    ),
    ("udp", &["sport", "dport", "length", "checksum"]),
    ("udplite", &["sport", "dport", "checksum", "csumcov"]),
    ("sctp", &["sport", "dport", "vtag", "checksum", "chunk"]),
    ("dccp", &["sport", "dport", "type", "option"]),
    ("th", &["sport", "dport"]),
    (
        "ip",
        &[
            "version",
            "hdrlength",
            "dscp",
            "ecn",
            "length",
            "id",
            "frag-off",
            "ttl",
            "protocol",
            "checksum",
            "saddr",
            "daddr",
            "option",
        ],
    ),
    ("ip6", &["version", "dscp", "ecn", "flowlabel", "length", "nexthdr", "hoplimit", "saddr", "daddr"]),
    ("icmp", &["type", "code", "checksum", "id", "sequence", "gateway", "mtu"]),
    (
        "icmpv6",
        &[
            "type",
            "code",
            "checksum",
            "parameter-problem",
            "packet-too-big",
            "id",
            "sequence",
            "max-delay",
            "taddr",
            "daddr",
            "mtu",
        ],
    ),
    ("ether", &["saddr", "daddr", "type"]),
    ("ah", &["nexthdr", "hdrlength", "reserved", "spi", "sequence"]),
    ("esp", &["spi", "sequence"]),
    ("comp", &["nexthdr", "flags", "cpi"]),
    ("igmp", &["type", "mrt", "checksum", "group"]),
    ("vlan", &["id", "dei", "pcp", "type", "cfi"]),
];

/// Words that statements and expressions begin with (nft(8), 1.0.6).
pub(super) const BEGINNINGS: &[&str] = &[
    "accept",
    "add",
    "ah",
    "arp",
    "cgroup",
    "comment",
    "comp",
    "continue",
    "counter",
    "cpu",
    "ct",
    "day",
    "dccp",
    "delete",
    "dnat",
    "drop",
    "dst",
    "dup",
    "esp",
    "ether",
    "exthdr",
    "fib",
    "flow",
    "frag",
    "fwd",
    "geneve",
    "goto",
    "gre",
    "gretap",
    "hash",
    "hbh",
    "hour",
    "ibriport",
    "ibrname",
    "icmp",
    "icmpv6",
    "igmp",
    "iif",
    "iifgroup",
    "iifkind",
    "iifname",
    "iiftype",
    "ip",
    "ip6",
    "ipsec",
    "jhash",
    "jump",
    "l4proto",
    "last",
    "length",
    "limit",
    "log",
    "map",
    "mark",
    "masquerade",
    "meta",
    "meter",
    "mh",
    "nfproto",
    "nftrace",
    "notrack",
    "numgen",
    "obriport",
    "obrname",
    "oif",
    "oifgroup",
    "oifkind",
    "oifname",
    "oiftype",
    "osf",
    "pkttype",
    "priority",
    "protocol",
    "queue",
    "quota",
    "random",
    "redirect",
    "reject",
    "reset",
    "return",
    "rt",
    "rtclassid",
    "sctp",
    "sdif",
    "sdifname",
    "secmark",
    "set",
    "skgid",
    "skuid",
    "snat",
    "socket",
    "srh",
    "symhash",
    "synproxy",
    "tcp",
    "th",
    "time",
    "tproxy",
    "tunnel",
    "udp",
    "udplite",
    "update",
    "vlan",
    "vxlan",
    "xt",
];

/// A word that cannot stand where it does: its place among the tokens, and the word that is meant, perhaps.
pub(super) struct Stranger {
    pub at: usize,
    pub what: &'static str,
    pub near: Option<String>,
    /// Whether a later nft may have it.
    pub later: bool,
}

/// Whether the word that begins a statement is none that can.
pub(super) fn beginning(tokens: &[Token], at: usize) -> Option<Stranger> {
    let token = tokens.get(at)?;
    let known = token.kind != Kind::Word
        || BEGINNINGS.contains(&token.text)
        || token.text.starts_with(['@', '$', '{', '-'])
        || token.text.bytes().all(|byte| byte.is_ascii_digit());
    let near = closest(token.text, BEGINNINGS.iter().copied().filter(|_| !known)).map(str::to_owned);
    (!known).then(|| Stranger { at, what: "statement of nft", later: near.is_none(), near })
}

/// Whether the word after a header's name is none of its fields.
pub(super) fn field(tokens: &[Token], at: usize) -> Option<Stranger> {
    let (header, field) = (tokens.get(at)?, tokens.get(at + 1)?);
    let (_, known) = FIELDS.iter().find(|(name, _)| header.is(name))?;
    if field.kind != Kind::Word || known.contains(&field.text) || field.text.starts_with('$') {
        return None;
    }
    let near = closest(field.text, known.iter().copied()).map(str::to_owned);
    Some(Stranger { at: at + 1, what: "field of this header", near, later: false })
}
