//! What each word of the language means, in a sentence or two, for hover and completion. Markdown.

/// The words, in alphabetical order, each with what it means.
const WORDS: &[(&str, &str)] = &[
    ("address", "The addresses that it has: `address 10.5.0.2`, or several in braces."),
    ("allow", "This policy does not object. In a flow with an `allow` everything that no rule allows is denied."),
    ("any", "Everyone, on this machine and off it."),
    ("apply", "The rules of a `group`, here."),
    ("as", "A fixed source address instead of the card's own."),
    ("assert", "A claim about the whole policy, which is proved. If it does not hold, nothing is built."),
    ("at", "The address of this host that was dialled: `to host at 203.0.113.10`."),
    ("burst", "How many may come at once."),
    ("chain", "Netfilter's own words, in a chain of ours at a built-in chain: `chain filter INPUT { … }`."),
    ("clamp", "`clamp mss`: lowers the TCP maximum segment size to what the path carries."),
    ("comment", "A remark that stands beside the rule in the kernel's listing."),
    ("compose", "Reads what a compose file says of containers: what they publish, their networks, fixed addresses."),
    ("connection", "So many open at once; beyond it, deny."),
    ("connections", "So many open at once; beyond it, deny."),
    (
        "container",
        "Containers, or one by name. As a target: reached through an address of the host, at the published port, by every road that \
         the platform has; `inside` and `direct` say otherwise.",
    ),
    (
        "default",
        "What becomes of what no rule decides. Defaults come after all rules, the more specific before the more general.",
    ),
    ("default-route", "The card that the default route leaves by; the fact `default-route` says which."),
    ("deny", "Drops it; whoever asks hears nothing."),
    ("direct", "At the container's own address, dialled from elsewhere; the port is the container's own."),
    ("dscp", "Sets the class of service: `dscp ef udp 5060 to world`."),
    ("during", "Only then, by the kernel's clock and local time zone: `during mon-fri 08:00-18:00`."),
    ("early", "Judges every packet, before connection tracking; only a `deny` by addresses and cards can."),
    ("except", "Leaves out parts: `use prelude except dhcp-client`."),
    ("fact", "One thing that is known of the host: `fact docker.version = \"28.5.2\"`."),
    ("file", "Addresses from a file, one a line; `#` and `;` begin a comment."),
    (
        "forward",
        "Sends what is dialled at this host on to another address, and allows it: `forward tcp 8080 to 10.0.0.5 port 80`.",
    ),
    ("from", "Who opens the connection. Left out: anyone."),
    ("group", "Rules under a name, to be applied in the blocks of guests and elsewhere: `apply NAME`."),
    ("guest", "A virtual machine behind a tap. With a block it has a judge of its own: `in` and `out`."),
    ("helper", "Gives a connection a helper of connection tracking: `helper ftp tcp 21 to host`."),
    ("host", "This machine. `host user NAME`, as an origin: one of its users."),
    ("icmp", "ICMP and ICMPv6, or one type of them: `icmp echo-request`."),
    ("in", "Towards the guest."),
    ("include", "Reads another policy file at this place, once. `*`, `?` and `**` are understood."),
    ("inside", "Through an address of the host, by the container's own port."),
    ("instance", "An LXD or Incus instance. With a block it has a judge of its own: `in` and `out`."),
    ("interface", "A name for one card or several: `interface wan = eth0`. Without a value: a parameter."),
    ("iptables", "Files for `iptables-restore`, `ip6tables-restore` and `ipset restore`."),
    ("ipv4", "IPv4 alone."),
    ("ipv6", "IPv6 alone."),
    ("level", "The level of the line in the log: `debug`, `info`, `warning` …"),
    ("limit", "Within the limit allow, beyond it deny: `limit 10/minute per source burst 5`, `limit 20 connections`."),
    ("live", "A set that others fill while the host runs: `fwc-NAME-v4` and `fwc-NAME-v6` in the kernel."),
    ("log", "As an action: a line in the kernel's log, then the next rule. Behind a sentence: a line in the log, too."),
    ("mac", "An Ethernet address, as an origin on the same link."),
    ("mark", "Sets the packet's mark: `mark 0x1 tcp 80 from lan to world`."),
    ("masquerade", "Gives what leaves the address of the card that it leaves by."),
    ("mss", "The TCP maximum segment size."),
    ("network", "What is on a network, by its name; or a declaration: `network dmz on br-dmz address 10.5.0.0/24`."),
    ("nft", "A script for `nft -f`."),
    ("not", "The rest of the world: `not { office, vpn }` is whoever is outside and neither."),
    ("notrack", "Leaves it out of connection tracking."),
    ("on", "The cards that it is behind or on."),
    ("out", "From the guest."),
    ("per", "`per source`: for each source by itself, an IPv4 address or an IPv6 /64."),
    ("port", "A port: of the client behind `source`, of the target in a `forward` or `redirect`."),
    ("protocol", "An IP protocol by name or number: `protocol gre`, `protocol 50`."),
    ("publish", "What the container publishes: `publish tcp 443 at 203.0.113.10 to 8443`."),
    ("rate", "At most so many lines in the log: `rate 5/minute`."),
    ("redirect", "Sends what is dialled to a port of this host: `redirect tcp 80 to port 8080`."),
    ("reject", "Drops it with an answer; `reject with KIND` picks the answer."),
    ("sctp", "SCTP, all of it or some ports."),
    ("service", "A name for protocols and ports: `service app = tcp 8000-8010`."),
    ("set", "A name for addresses, prefixes, ranges, and other places: `set office = { 198.51.100.0/24 }`."),
    ("source", "`source port 1024-65535`: the client's own port. Behind `per`: each source by itself."),
    ("target", "What is written: `iptables` or `nft`."),
    ("tcp", "TCP, all of it or some ports: `tcp 80, 443`, `tcp 8000-8010`."),
    ("to", "Whom the connection is meant for. Left out: everywhere, but for `allow`, which has to say it."),
    ("udp", "UDP, all of it or some ports."),
    ("use", "Takes a platform of the standard library (`use docker`), a part of the prelude out, or a target."),
    ("user", "One of the host's users, as an origin."),
    ("via", "The card where the connection crosses between outside and this machine."),
    ("with", "Which answer a `reject` gives."),
    ("world", "Everyone who is not on this machine, your own networks included."),
];

/// What a word means.
pub(super) fn meaning(word: &str) -> Option<&'static str> {
    let at = WORDS.binary_search_by_key(&word, |(known, _)| known).ok()?;
    WORDS.get(at).map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_by_dividing_the_list() {
        assert!(WORDS.is_sorted_by_key(|(word, _)| word));
    }
}
