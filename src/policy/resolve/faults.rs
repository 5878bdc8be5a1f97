//! What can be wrong with a statement whose names are known.

use crate::diagnostic::{Code, Level};

/// An allow that does not say to whom.
pub static ALLOW_TO_WHOM: Code = Code {
    number: "FW0201",
    name: "allow-to-whom",
    level: Level::Error,
    summary: "an `allow` does not say what it opens",
    explanation: "A deny without `to` means everywhere; an allow without it would open the host, every container and every network behind\nit. So it must be said.\n\n```fw\nallow ssh from office             # error: to whom?\nallow ssh from office to host\n```\n\nInside a block the block may say it: `to host { allow ssh from office }`.",
};

/// An allow of everything from everyone that may be half a sentence.
pub static ALLOW_EVERYTHING: Code = Code {
    number: "FW0202",
    name: "allow-everything",
    level: Level::Error,
    summary: "an `allow` names neither a service nor an origin",
    explanation: "`allow to container` opens everything to everyone. That is rarely what is meant, and more often a sentence that was not\nfinished.\n\n```fw\nallow to container                # error\nallow from any to container       # says that it is meant\nallow https to container\n```",
};

/// A clause that the block around has said already.
pub static CLAUSE_SAID_TWICE: Code = Code {
    number: "FW0203",
    name: "clause-said-twice",
    level: Level::Error,
    summary: "a rule says `from`, `to` or `via` although its block says it",
    explanation: "\
A block says a clause for every line in it, and each clause is said once. A line, or a block inside, that says the same clause again
could mean its own word, the block's, or both.

**Why it hurts.** Whichever of the three were taken, somebody would read the line as one of the others: here, that it opens the host.

```fw
to host {
    allow https to container           # error
}
```

**Instead**, take the line out of the block, or its clause out of the line:

```fw
to host { allow ssh from office }
allow https to container
default deny to host
```
",
};

/// `via` on traffic that does not cross just one card.
pub static VIA_CROSSES_NOTHING: Code = Code {
    number: "FW0204",
    name: "via-without-crossing",
    level: Level::Error,
    summary: "`via` on traffic that does not cross between outside and this machine",
    explanation: "\
`via` names the card where a connection crosses between outside and this machine. Routed traffic crosses two cards, so each end says its
own; traffic between two places on this machine crosses none. Where a list has ends that cross and others that do not, the others would
have no rule.

```fw
allow https from lan to wan via wan                            # error
allow https from { host, 192.168.2.0/24 } to world via wan     # error
allow https from lan to wan
allow https from office on wg0 to world on lan
```

**Instead**, say the card at each end of what is routed, and give each part of a list that crosses otherwise a line of its own.
",
};

/// Something that belongs elsewhere.
pub static MISPLACED_STATEMENT: Code = Code {
    number: "FW0205",
    name: "statement-in-wrong-block",
    level: Level::Error,
    summary: "a statement that cannot stand where it stands",
    explanation: "\
A guest's or instance's block, and a group that such blocks apply, hold rules and `apply`: what its judges say. Changes (`mark`, `dscp`,
`notrack` …) and blocks of clauses stand outside, in the policy itself.

**Why it hurts.** A judge only consents or refuses, in chains that are asked for that guest alone; a change of packets belongs to
another table, and would be asked, or not, for others as well.

```fw
guest vm1 on tap1i0 address 192.0.2.5 {
    in allow ssh from office
    in mark 0x1 http from office       # error
}
```

**Instead**, say the change for that guest at the top of the file:

```fw
guest vm1 on tap1i0 address 192.0.2.5 {
    in allow ssh from office
}
mark 0x1 http from office to guest vm1
```
",
};

/// A group that nobody declares.
pub static UNKNOWN_GROUP: Code = Code {
    number: "FW0120",
    name: "unknown-group",
    level: Level::Error,
    summary: "`apply` of a group that nothing declares",
    explanation: "\
`apply NAME` puts the rules of a group where it stands. This policy, with all that it includes, declares no group of that name.

**Why it hurts.** Left out, the line would silently be no rule at all: what the group was to close stays open, and what it was to open
stays closed.

```fw
group web { allow { http, https } }
to host { apply wbe }                  # error
allow ssh from office to host
```

**Instead**, correct the name, declare the group, or include the file that does. A service is not a group: `allow web`, not `apply web`.

```fw
group web { allow { http, https } }
to host { apply web }
allow ssh from office to host
```
",
};

/// A group that applies itself.
pub static GROUP_CYCLE: Code = Code {
    number: "FW0121",
    name: "group-cycle",
    level: Level::Error,
    summary: "a group applies itself",
    explanation: "\
A group may apply other groups; written out, it is a list of rules. One that applies itself, at once or by way of another, has no such list.

**Why it hurts.** Groups are emitted as chains, and the kernel refuses chains that lead in a circle: nothing at all would be loaded.

```fw
group web { apply base }
group base { apply web }               # error
to host { apply web }
```

**Instead**, put what both have in common into a group that applies neither:

```fw
group base { allow ping }
group web {
    apply base
    allow https
}
to host { apply web }
allow ssh from office to host
```
",
};

/// A platform that does not exist.
pub static UNKNOWN_PLATFORM: Code = Code {
    number: "FW0122",
    name: "unknown-platform",
    level: Level::Error,
    summary: "`use` of a name that the standard library does not have",
    explanation: "```fw\nuse dokcer        # error: did you mean `docker`?\n```\n\n`use` brings in a platform of the standard library (`docker`, `lxd`, `incus`, `libvirt`, `podman`, …), or says which parts\nof the prelude are not wanted: `use prelude except dhcp-client`.",
};

/// A word that names no known thing.
pub static UNKNOWN_WORD: Code = Code {
    number: "FW0123",
    name: "unknown-word",
    level: Level::Error,
    summary: "a reject kind, log level, DSCP class, helper or prelude part that does not exist",
    explanation: "```fw\nreject with host-prohibitted to host   # error: did you mean `host-prohibited`?\n```\n\nThese words are netfilter's own: reject kinds (`port-unreachable`, `host-prohibited`, `tcp-reset`, …), syslog levels\n(`debug`, `info`, …), DSCP classes (`ef`, `af11`, `cs1`, …), conntrack helpers (`ftp`, `sip`, …).",
};

/// An `early` rule that compares what is not known so early.
pub static EARLY_TOO_RICH: Code = Code {
    number: "FW0206",
    name: "early-too-rich",
    level: Level::Error,
    summary: "an `early` rule may only deny addresses",
    explanation: "`early` judges every packet before connection tracking: only where it comes from (and its card) is known there.\n\n```fw\nset blocked = { 192.0.2.0/24 }\ndeny ssh from blocked early        # error\n```\n\nTake the service, target and options out, or the word `early`:

```fw
set blocked = { 192.0.2.0/24 }
deny from blocked early
allow ssh from office to host
```",
};

/// A `forward` that does not say where to.
pub static FORWARD_WHERE: Code = Code {
    number: "FW0207",
    name: "forward-target",
    level: Level::Error,
    summary: "a `forward` needs one known address as its target",
    explanation: "\
Destination NAT writes one address into the packet. It must be known when the policy is built.

```fw
use lxd
instance games on lxdbr0
forward tcp 25565 from wan to instance games      # error: at which address?
```

**Instead**, give the address in the declaration or in fwc.facts.json, or write it:

```fw
use lxd
instance games on lxdbr0 address 10.10.10.5
forward tcp 25565 from wan to instance games
forward tcp 2222 from wan to 192.168.2.5 port 22
```
",
};

/// NAT or a change for a flow where the kernel has no place for it.
pub static CHANGE_NOT_POSSIBLE: Code = Code {
    number: "FW0208",
    name: "change-not-possible",
    level: Level::Error,
    summary: "a NAT statement or change for traffic that does not pass the place where it would happen",
    explanation: "`masquerade` happens on departure to outside; `forward` and `redirect` on arrival; `clamp mss` for forwarded TCP.\n\n```fw\nmasquerade from lan to host     # error: it never leaves\nmasquerade from lan to wan\n```",
};

/// Traffic that an address family rules out.
pub static FAMILIES_NEVER_MEET: Code = Code {
    number: "FW0209",
    name: "families-never-meet",
    level: Level::Error,
    summary: "the parts of a rule are of different address families",
    explanation: "A packet is IPv4 or IPv6. A rule from an IPv4 address to an IPv6 address matches none.\n\n```fw\nallow ssh from 10.1.1.1 to host at 2001:db8::10      # error\nallow ipv6 ping from 198.51.100.0/24 to host         # error\n```\n\nGive both ends addresses of the same family, or take the word out.",
};

/// A rule from the host to the host.
pub static HOST_TO_ITSELF: Code = Code {
    number: "FW0226",
    name: "host-to-itself",
    level: Level::Error,
    summary: "a rule from the host to the host decides nothing",
    explanation: "What the host sends to itself goes by the loopback, which the prelude lets pass; no flow is judged there.\n\n```fw\ndeny smtp from host to host        # error\n```\n\n**Why it hurts.** Whoever reads it believes that it holds.\n\nTake it out. What one program of the host may ask of another is a matter of their own settings, or of the address they listen on.",
};

/// IPv6 addresses that a masquerade names by a set, and leaves alone.
pub static MASQUERADE_LEAVES_IPV6: Code = Code {
    number: "FW0227",
    name: "masquerade-leaves-ipv6",
    level: Level::Note,
    summary: "a `masquerade` names a set with IPv6 addresses, and is for IPv4",
    explanation: "\
`masquerade` is for IPv4: a network has IPv6 addresses of its own, which need no translation and lose their meaning by it. It is for IPv6
where `ipv6` or an IPv6 address is written in it. A set that lists addresses of both families does not say that.

```fw
interface wan = eth0
set lan = { 192.168.2.0/24, fd00:2::/64 }
masquerade from lan to wan                        # note: fd00:2::/64 leaves as it is
```

**Instead**, if the IPv6 addresses are not routed outside, say that they are masqueraded, too:

```fw
interface wan = eth0
set lan = { 192.168.2.0/24, fd00:2::/64 }
masquerade ipv4 from lan to wan
masquerade ipv6 from lan to wan
```
",
};
