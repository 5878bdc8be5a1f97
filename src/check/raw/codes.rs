//! What can be wrong with a `chain` block.

use crate::diagnostic::{Code, Level};

/// A table or hook that does not exist.
pub static NO_SUCH_CHAIN: Code = Code {
    number: "FW0701",
    name: "chain-does-not-exist",
    level: Level::Error,
    summary: "`chain TABLE HOOK` names a table that does not exist, or a hook that the table does not have",
    explanation: "\
# No such place

`chain TABLE HOOK { … }` puts netfilter's own words into a chain of ours at that hook. Each table has its own hooks:

| table | hooks |
|---|---|
| `raw` | PREROUTING, OUTPUT |
| `mangle` | PREROUTING, INPUT, FORWARD, OUTPUT, POSTROUTING |
| `nat` | PREROUTING, INPUT, OUTPUT, POSTROUTING |
| `filter`, `security` | INPUT, FORWARD, OUTPUT; `filter` also DOCKER-USER |

```fw
chain nat FORWARD {        # error: nat has no FORWARD
    -j MASQUERADE
}
```

Write the table's own hook. A chain of a platform (`DOCKER`, `LIBVIRT_FWI`) is no hook: the platform rewrites it as it likes.
",
};

/// A command where a rule belongs.
pub static COMMAND: Code = Code {
    number: "FW0702",
    name: "command-in-chain-block",
    level: Level::Error,
    summary: "a line of a `chain` block begins with a command (`-A`, `-F`, `-P`, `flush`) instead of being a rule",
    explanation: "\
# A command instead of a rule

A line of a `chain` block is what stands behind `-A CHAIN` in a saved rule set: matches and a target. The block says already where
the rule goes, and fwc makes, empties and loads the chain.

**Why it hurts.** `-F`, `-P` or `flush` would empty or close chains of Docker, libvirt or fail2ban; `-A` would append again at each
load.

```fw
chain filter INPUT {
    -A INPUT -p tcp --dport 22 -j ACCEPT     # error
    -p tcp --dport 22 -j ACCEPT
}
```

A policy for all that no rule decides is `default deny to host`, in the language.
",
};

/// A chain that somebody else writes.
pub static FOREIGN_CHAIN: Code = Code {
    number: "FW0703",
    name: "chain-of-another-owner",
    level: Level::Error,
    summary: "a `chain` block writes into a chain of another owner, or jumps to one",
    explanation: "\
# Somebody else's chain

Docker, libvirt, LXD, fail2ban and others have chains of their own. They rewrite them when a container starts, a network is made
or a ban ends.

**Why it hurts.** A rule in such a chain is lost at the next rewrite, silently. A jump to one fails the whole load on a host, or at
a moment, where the chain is not there; and it runs the chain's rules at a place that its owner did not think of.

```fw
chain filter FORWARD {
    -i eth0 -j DOCKER-USER       # error
}
chain filter DOCKER-USER {       # a chain of ours, which DOCKER-USER leads to
    -i eth0 -s 198.51.100.7 -j DROP
}
```

With nft, a jump cannot leave the table that it stands in, and `chain` blocks stand in ours.
",
};

/// A target that nobody knows.
pub static UNKNOWN_TARGET: Code = Code {
    number: "FW0704",
    name: "unknown-target",
    level: Level::Warning,
    summary: "`-j` names neither a target of netfilter nor a chain that fwc knows",
    explanation: "\
# An unknown target

Behind `-j` and `-g` stands a target of netfilter (`ACCEPT`, `LOG`, `REJECT` …) or a chain. This policy has no chain of that name.

**Why it hurts.** If the host has none either, `iptables-restore` refuses the whole file and nothing is loaded.

```fw
chain filter INPUT {
    -p tcp --dport 23 -j DORP      # warning: did you mean `DROP`?
}
```

Correct the name. A chain that somebody else makes on the host before these rules are loaded may stay.
",
};

/// A rule behind a verdict on everything.
pub static NEVER_REACHED: Code = Code {
    number: "FW0705",
    name: "rule-behind-verdict",
    level: Level::Warning,
    summary: "a line of a `chain` block stands behind one that decides every packet",
    explanation: "\
# Behind the end

A rule without a match decides every packet that reaches it. What stands behind it is never asked.

**Why it hurts.** Up to version 28.1 Docker itself ends DOCKER-USER in RETURN; rules that scripts append there have no effect, and
nobody notices, because they are listed. The same happens inside a block:

```fw
chain filter DOCKER-USER {
    -s 198.51.100.0/24 -j RETURN
    -j RETURN
    -i eth0 -j DROP            # warning: never reached
}
```

Move the line in front of the one that decides.
",
};

/// A port without a protocol that has ports.
pub static PORT_WITHOUT_PROTOCOL: Code = Code {
    number: "FW0706",
    name: "port-without-protocol",
    level: Level::Error,
    summary: "a line compares ports, flags or ICMP types without the protocol that has them",
    explanation: "\
# Ports of which protocol?

`--dport` and `--sport` belong to the matches of TCP, UDP and SCTP; iptables knows them only behind `-p`.

**Why it hurts.** `iptables-restore` refuses the whole file: none of the rules is loaded.

```fw
chain filter INPUT {
    --dport 22 -j ACCEPT            # error
    -p tcp --dport 22 -j ACCEPT
}
```
",
};

/// A match that the hook cannot have.
pub static WRONG_DIRECTION: Code = Code {
    number: "FW0707",
    name: "match-in-wrong-direction",
    level: Level::Error,
    summary: "a line compares something that packets at this hook do not have",
    explanation: "\
# Not known at this hook

A packet that arrives has no departure card yet, one that the host sends has no arrival card and no Ethernet source, and only a
packet of the host's own has a user.

| hook | has not |
|---|---|
| PREROUTING, INPUT | `-o`, `--physdev-out`, `--uid-owner`, `--gid-owner` |
| FORWARD | `--uid-owner`, `--gid-owner` |
| OUTPUT | `-i`, `--mac-source`, `--physdev-in`, `--physdev-out` |
| POSTROUTING | `-i`, `--mac-source` |

**Why it hurts.** The rule is refused, with the whole file, or it matches nothing.

```fw
chain filter INPUT {
    -o eth0 -p tcp --dport 22 -j ACCEPT      # error: did you mean `-i eth0`?
}
```
",
};

/// A target in a table or at a hook that does not have it.
pub static WRONG_PLACE: Code = Code {
    number: "FW0708",
    name: "target-in-wrong-place",
    level: Level::Error,
    summary: "a target stands in a table or at a hook where the kernel does not take it",
    explanation: "\
# A target in the wrong place

| target | table | hooks |
|---|---|---|
| REJECT | filter | INPUT, FORWARD, OUTPUT |
| DNAT, REDIRECT | nat | PREROUTING, OUTPUT |
| SNAT | nat | POSTROUTING, INPUT |
| MASQUERADE | nat | POSTROUTING |
| NOTRACK, CT | raw | PREROUTING, OUTPUT |
| DSCP, TOS, TTL, HL, CLASSIFY | mangle | |
| TPROXY | mangle | PREROUTING |

**Why it hurts.** `iptables-restore` refuses the whole table: none of its rules is loaded.

```fw
chain filter FORWARD {
    -o eth0 -j MASQUERADE      # error
}
masquerade from lan to wan     # says it in the language
```
",
};

/// More ports than multiport takes.
pub static TOO_MANY_PORTS: Code = Code {
    number: "FW0709",
    name: "too-many-ports",
    level: Level::Error,
    summary: "`--dports`, `--sports` or `--ports` has more than 15 ports; a range counts two",
    explanation: "\
# More ports than one match takes

The kernel's multiport match holds 15 ports; a range takes the place of two.

**Why it hurts.** `iptables-restore` refuses the whole file.

```fw
chain filter INPUT {
    -p tcp -m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16 -j ACCEPT    # error
}
allow tcp 1-16 to host             # in the language there is no limit
```

Divide the list over two lines.
",
};

/// A rule on INPUT for what Docker leads past it.
pub static BYPASSED: Code = Code {
    number: "FW0710",
    name: "docker-bypasses-input",
    level: Level::Error,
    summary: "a line at INPUT compares a port that a container publishes: NAT leads the traffic past INPUT",
    explanation: "\
# Docker leads the traffic around the rule

A published port is translated before routing. The connection then is on its way to the container: it passes FORWARD and
DOCKER-USER and never INPUT.

**Why it hurts.** A DROP on INPUT for a published port blocks nothing from outside: the database is open to everyone, and the rule
that should close it is listed, with a counter of zero.

```fw
container db on br-app publish tcp 5432
chain filter INPUT {
    -p tcp --dport 5432 ! -s 198.51.100.0/24 -j DROP     # error
}
```

**Instead**, in the language, which treats every road alike:

```fw
deny postgres from not office to container db
```
",
};

/// The port that the client dialled, compared after NAT.
pub static PORT_AFTER_NAT: Code = Code {
    number: "FW0711",
    name: "published-port-after-nat",
    level: Level::Error,
    summary: "`--dport` behind NAT compares the container's port, and this is the published one",
    explanation: "\
# The published port where only the container's is seen

In FORWARD and DOCKER-USER NAT has been done: the destination is the container's address and its own port. The port that the
client dialled is kept by connection tracking alone.

**Why it hurts.** With `-p 8080:80`, a rule for `--dport 8080` matches no packet at all.

```fw
compose \"docker-compose.yml\"                 # `web` publishes `8080:80`
chain filter DOCKER-USER {
    -i eth0 -p tcp --dport 8080 -j DROP      # warning
}
```

**Instead**, compare what was dialled:

```fw
compose \"docker-compose.yml\"
chain filter DOCKER-USER {
    -i eth0 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 8080 --ctdir ORIGINAL -j DROP
}
```

In the language, ports are always those that the client dials: `deny tcp 8080 to container`.
",
};

/// `ctorigdstport` without a direction.
pub static WITHOUT_DIRECTION: Code = Code {
    number: "FW0712",
    name: "original-port-without-direction",
    level: Level::Warning,
    summary: "the dialled port is compared without a direction, so replies and outgoing connections match too",
    explanation: "\
# Replies match too

`--ctorigdstport` asks what the connection was opened to. That holds for each of its packets, in both directions, and for connections
that containers open to such a port somewhere else.

**Why it hurts.** `--ctorigdstport 443 -j DROP` in DOCKER-USER also cuts every container off from HTTPS sites.

```fw
chain filter DOCKER-USER {
    -p tcp -m conntrack --ctorigdstport 443 -j DROP                       # warning
    -i eth0 -p tcp -m conntrack --ctorigdstport 443 --ctdir ORIGINAL -j DROP
}
```

Add `--ctdir ORIGINAL`, and the card of arrival (`-i`) or `--ctstate DNAT`.
",
};

/// The match that conntrack replaced.
pub static OLD_STATE_MATCH: Code = Code {
    number: "FW0713",
    name: "old-state-match",
    level: Level::Note,
    summary: "`-m state` was replaced by `-m conntrack` in 2009",
    explanation: "\
# The state match

`-m state --state` is an old name for a part of `-m conntrack --ctstate`. The kernel still takes it, as an alias; listings then show the
one or the other, depending on the version.

```fw
chain filter INPUT {
    -m state --state ESTABLISHED -j ACCEPT            # note
    -m conntrack --ctstate ESTABLISHED -j ACCEPT
}
```
",
};

/// ACCEPT in DOCKER-USER.
pub static OPENS_UNPUBLISHED: Code = Code {
    number: "FW0714",
    name: "accept-in-docker-user",
    level: Level::Error,
    summary: "ACCEPT in DOCKER-USER is final: it also opens what Docker itself would drop",
    explanation: "\
# ACCEPT goes past Docker's own rules

DOCKER-USER is asked before Docker's rules. ACCEPT there ends the matter: Docker's drops for unpublished ports, its isolation
between networks and its internal networks are not asked.

**Why it hurts.** `-s 198.51.100.0/24 -j ACCEPT` opens every port of every container to that network, published or not, and one
bridge to the other.

```fw
chain filter DOCKER-USER {
    -s 198.51.100.0/24 -j ACCEPT       # refused
    -s 198.51.100.0/24 -j RETURN       # lets Docker decide
}
```
",
};

/// A log rule that anyone can make write.
pub static LOG_WITHOUT_LIMIT: Code = Code {
    number: "FW0715",
    name: "log-without-rate",
    level: Level::Warning,
    summary: "a line logs without a rate, so that whoever sends packets fills the log",
    explanation: "\
# A log without a rate

Each packet that matches writes a line to the kernel log. A scan sends a hundred thousand in a minute.

**Why it hurts.** The disk fills, and what else the log had to say is lost in it. The language has a rate in every `log` (10 a
minute unless it is said); netfilter's own words have none.

```fw
chain filter INPUT {
    -p tcp --dport 22 -j LOG --log-prefix \"ssh \"                                  # warning
    -p tcp --dport 22 -m limit --limit 10/minute -j LOG --log-prefix \"ssh \"
}
```
",
};

/// The words of the other back end.
pub static OTHER_BACK_END: Code = Code {
    number: "FW0716",
    name: "words-of-other-back-end",
    level: Level::Error,
    summary: "a line is written in iptables' words and the target is nft, or the other way round",
    explanation: "\
# The other back end's words

The lines of a `chain` block go to the target as they are. iptables cannot read nft's statements, nor nft iptables' options.

```fw
target nft
chain filter INPUT {
    -p tcp --dport 22 -j ACCEPT      # error
    tcp dport 22 accept
}
```

Write the line in the target's words, choose the other target, or say it in the language, which has both.
",
};

/// Words that fwc does not know.
pub static NOT_READ: Code = Code {
    number: "FW0717",
    name: "words-not-read",
    level: Level::Warning,
    summary: "a line has words that fwc does not know; they are emitted as they are, and not checked",
    explanation: "\
# Not checked

fwc knows the options of iptables 1.8's own matches and targets, and most of what nft's statements compare. Others (of xtables-addons, or
of newer tools) are written into the output as they stand. What is known to be refused is an error, FW0721.

**Why it hurts.** If the host's tools do not know them either, the whole file is refused. And no check speaks of what the line
does.

```fw
chain filter INPUT {
    -m geoip --src-cc XX -j DROP      # warning: the match `geoip` is emitted unchecked
}
```

Keep it, and test the file on the host; or say it in the language: `set listed from file \"listed.txt\"`, `deny from listed to host`.
",
};

/// Addresses of both families in one line.
pub static BOTH_FAMILIES: Code = Code {
    number: "FW0718",
    name: "line-of-both-families",
    level: Level::Error,
    summary: "a line names things of IPv4 and of IPv6",
    explanation: "\
# No packet is of both families

A line that names an IPv4 address is loaded by `iptables-restore` alone, one that names an IPv6 address by `ip6tables-restore`. One
that names both is refused by each.

```fw
chain filter INPUT {
    -s 198.51.100.7 -p ipv6-icmp -j ACCEPT      # error
}
```

Write one line for each family.
",
};

/// A quotation mark that is alone.
pub static UNCLOSED_QUOTE: Code = Code {
    number: "FW0719",
    name: "unclosed-quote-in-chain",
    level: Level::Error,
    summary: "a line of a `chain` block has a quotation mark that is not closed",
    explanation: "\
# A quotation mark alone

A text in a rule stands between two quotation marks. A line ends at its end: what is open there would swallow the lines behind it when
the file is loaded.

```fw
chain filter INPUT {
    -m limit --limit 1/minute -j LOG --log-prefix \"in:      # error
}
```

Close it. Neither back end knows a way to write a quotation mark inside such a text.
",
};

/// An accept that Docker's table overrides.
pub static OVERRIDDEN_ACCEPT: Code = Code {
    number: "FW0720",
    name: "accept-overridden-by-docker",
    level: Level::Warning,
    summary: "an accept in fwc's nft table does not open what Docker does not publish",
    explanation: "\
# Docker drops behind this accept

An accept ends its own base chain alone; a drop in any other chain of the hook is final. What goes to a container and is not published,
Docker drops: with its iptables backend in `FORWARD`, with the nftables backend of Docker 29 in `table ip docker-bridges`.

**Why it hurts.** The line loads, its counter counts, and the port stays closed.

```fw
target nft
use docker
chain filter FORWARD {
    oifname \"docker0\" ip saddr 198.51.100.7 tcp dport 5432 accept       # warning: Docker drops it afterwards
}
```

**Instead**, publish the port and say `allow … to container`. Or, with Docker's nftables backend, start the daemon with
`--bridge-accept-fwmark=0x1`, say so, and set the mark in the line: Docker accepts what carries it. (Its drop of direct access in
`raw-PREROUTING` comes before: `--allow-direct-routing`.)

```fw
target nft
use docker
fact docker.version = \"29.0.0\"
fact docker.firewall-backend = nftables
fact docker.bridge-accept-fwmark = \"0x1\"
chain filter FORWARD {
    oifname \"docker0\" ip saddr 198.51.100.7 tcp dport 5432 meta mark set 0x1 accept
}
```

With the iptables backend it is `target iptables` and `chain filter DOCKER-USER`, where ACCEPT is final.
",
};

/// What iptables refuses.
pub static REFUSED: Code = Code {
    number: "FW0721",
    name: "refused-by-the-tool",
    level: Level::Error,
    summary: "a line is one that iptables or nft refuses, and with it the whole file",
    explanation: "\
# A line that the tool refuses

iptables takes `-i`, `-o`, `-s`, `-d`, `-p` and `-j` once in a line, and each option of a match or target once. Some options need a
protocol, some targets exist in one table or at some hooks alone, a range of ports has its smaller end first, and a set has to be there.
What is refused was asked of the tools themselves.

**Why it hurts.** One line that is refused costs the whole file: nothing is loaded.

```fw
chain filter INPUT {
    -i eth0 -i eth1 -j DROP                  # error
    -p tcp --dport 90:80 -j DROP             # error
}
```

**Instead**, write a line for each interface, or say it in the language, which has lists:

```fw
deny from any on { eth0, eth1 } to host
```
",
};
