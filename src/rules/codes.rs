//! What an expert sees first in rules that somebody wrote.

use crate::diagnostic::{Code, Level};

/// All of them.
pub static CODES: &[&Code] = &[
    &REPLIES_CUT,
    &NOTHING_REFUSED,
    &SOURCE_PORT_DECIDES,
    &EXPOSED_SERVICE,
    &BAN_TOO_LATE,
    &LONG_LOG_PREFIX,
    &FOREIGN_CHAIN_CHANGED,
    &NEARLY_KNOWN_CHAIN,
    &TABLE_TWICE,
    &ANSWERS_ANYBODY,
    &OTHER_FAMILY_OPEN,
    &BRIDGES_TRUSTED,
    &HARDWARE_ADDRESS_DECIDES,
    &GUEST_NOT_CHECKED,
    &RULES_DOUBLE,
    &SAVES_EVERYTHING,
    &COMMENT_DIFFERS,
    &PUBLISHED_TO_EVERYBODY,
];

/// The answers of connections that are let through are not.
pub static REPLIES_CUT: Code = Code {
    number: "FW0840",
    name: "replies-cut",
    level: Level::Error,
    summary: "a rule refuses the answers of connections that other rules let through",
    explanation: "\
# The answer does not come back

A rule set that refuses what it does not name has to let answers through before: `--ctstate ESTABLISHED,RELATED`, for every protocol and for
both directions. Here a connection may be opened, and its answer is refused by this rule.

```iptables
*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p tcp -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A INPUT -p tcp --dport 22 -j ACCEPT
-A INPUT -j DROP
COMMIT
```

**Why it hurts.** The host asks a name server over UDP, and never hears the answer. In DOCKER-USER a drop without the line before it takes
the Internet from every container.

**Instead**, accept them once, first, for all protocols:

```iptables
*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A INPUT -p tcp --dport 22 -j ACCEPT
COMMIT
```
",
};

/// A filter that lets everything through.
pub static NOTHING_REFUSED: Code = Code {
    number: "FW0841",
    name: "nothing-refused",
    level: Level::Warning,
    summary: "rules accept some packets to this host, and the others are accepted, too",
    explanation: "\
# The firewall does nothing

The chain's policy is ACCEPT, and none of its rules drops or rejects anything. Its accepts change nothing.

```iptables
*filter
:INPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A INPUT -p tcp --dport 22 -j ACCEPT
COMMIT
```

**Why it hurts.** The list reads as if port 22 alone were open. Every port is.

**Instead**, refuse the rest; what the rules accept stays open:

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A INPUT -p tcp --dport 22 -j ACCEPT
COMMIT
```
",
};

/// An accept that anybody can choose to meet.
pub static SOURCE_PORT_DECIDES: Code = Code {
    number: "FW0842",
    name: "source-port-decides",
    level: Level::Error,
    summary: "a rule lets new connections in by their source port, which whoever connects chooses",
    explanation: "\
# The source port is the sender's choice

A rule that accepts `--sport 53` is meant for the answers of name servers. Whoever sends from port 53 is let in by it, to every port that
the rule does not narrow.

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -p udp --sport 53 -j ACCEPT
COMMIT
```

**Why it hurts.** `nmap --source-port 53` finds every UDP service of the host open.

**Instead**, let answers in as what they are:

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
COMMIT
```
",
};

/// What should not be open to everybody.
pub static EXPOSED_SERVICE: Code = Code {
    number: "FW0843",
    name: "exposed-service",
    level: Level::Error,
    summary: "a rule opens a database, a control interface or a file service to everybody",
    explanation: "\
# Open to everybody

Some services are not made for the Internet: many ask for no password as they are installed, and others are searched for and broken into
by machines, all day. A rule that accepts one of their ports from any address, on any interface, opens it to them.

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -p tcp --dport 6379 -j ACCEPT
COMMIT
```

**Why it hurts.** Redis, the Docker API without TLS and etcd give whoever comes the whole machine.

**Instead**, say who may come, or where:

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -s 192.0.2.0/28 -p tcp --dport 6379 -j ACCEPT
COMMIT
```
",
};

/// A ban that is asked too late.
pub static BAN_TOO_LATE: Code = Code {
    number: "FW0844",
    name: "ban-too-late",
    level: Level::Error,
    summary: "a chain of bans is asked behind a rule that has accepted the connections already",
    explanation: "\
# Nobody is banned

A program such as fail2ban puts addresses into a chain of its own, and a jump leads new connections to it. Behind an accept for the same
port, the jump is never taken by a new connection.

```iptables
*filter
:INPUT DROP [0:0]
:f2b-sshd - [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
-A INPUT -p tcp --dport 22 -j f2b-sshd
-A f2b-sshd -s 198.51.100.9 -j REJECT
-A f2b-sshd -j RETURN
COMMIT
```

**Why it hurts.** The program reports bans, and the banned go on guessing passwords.

**Instead**, the jump goes first:

```iptables
*filter
:INPUT DROP [0:0]
:f2b-sshd - [0:0]
-A INPUT -p tcp --dport 22 -j f2b-sshd
-A INPUT -p tcp --dport 22 -j ACCEPT
-A f2b-sshd -s 198.51.100.9 -j REJECT
-A f2b-sshd -j RETURN
COMMIT
```
",
};

/// A log prefix that is cut.
pub static LONG_LOG_PREFIX: Code = Code {
    number: "FW0845",
    name: "long-log-prefix",
    level: Level::Warning,
    summary: "a log prefix is longer than the 29 bytes that iptables keeps of it",
    explanation: "\
# The prefix is cut

iptables keeps 29 bytes of a log prefix and says nothing of the rest.

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -m limit --limit 10/minute -j LOG --log-prefix \"firewall INPUT DROP external interface\"
COMMIT
```

**Why it hurts.** Two prefixes that differ behind the 29th byte are one in the log, and what searches for the text finds nothing.

**Instead**, write a shorter one.
",
};

/// A command that reaches chains of others.
pub static FOREIGN_CHAIN_CHANGED: Code = Code {
    number: "FW0846",
    name: "foreign-chain-changed",
    level: Level::Warning,
    summary: "a command empties, deletes or makes chains of a platform or of another program",
    explanation: "\
# Chains of others

Docker, Podman, libvirt, LXD, Kubernetes and fail2ban write chains of their own, and jumps to them into the built-in ones. `-F` without a
chain empties them all; `-F FORWARD` takes their jumps out; `-N DOCKER` fails where Docker has made the chain, and with it the whole file.

```iptables
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-F
-A INPUT -i lo -j ACCEPT
COMMIT
```

**Why it hurts.** Containers lose their network, or their isolation, until the platform is started again.

**Instead**, empty chains of your own, and load with `--noflush`:

```iptables
*filter
:site-input - [0:0]
-F site-input
-A site-input -i lo -j ACCEPT
COMMIT
```
",
};

/// A name that is nearly one that is known.
pub static NEARLY_KNOWN_CHAIN: Code = Code {
    number: "FW0847",
    name: "nearly-known-chain",
    level: Level::Warning,
    summary: "a chain is made whose name is nearly that of a platform's chain in the same table",
    explanation: "\
# A chain that nobody asks

The name differs in a letter or two from that of a chain that a platform owns, in the same table.

```iptables
*filter
:FORWARD DROP [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
-N DOCKER-ISOLATON-STAGE-1
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
COMMIT
```

**Why it hurts.** Rules that are written to it are never asked.

**Instead**, use the name that the platform has, or one that cannot be taken for it.
",
};

/// A table that is given twice.
pub static TABLE_TWICE: Code = Code {
    number: "FW0848",
    name: "table-twice",
    level: Level::Error,
    summary: "a file for `iptables-restore` gives a table twice: the second empties what the first has filled",
    explanation: "\
# The first half is gone

`iptables-restore` empties a table when it comes to its `*NAME` line, unless it was called with `--noflush`. Of a table that is given twice,
the second part is what stays.

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
COMMIT
*filter
:INPUT DROP [0:0]
-A INPUT -i lo -j ACCEPT
COMMIT
```

**Why it hurts.** What the first part accepts or refuses is not in force; the file reads as if it were.

**Instead**, write each table once:

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp --dport 22 -j ACCEPT
COMMIT
```
",
};

/// A UDP service that anybody can have answer to anybody.
pub static ANSWERS_ANYBODY: Code = Code {
    number: "FW0849",
    name: "answers-anybody",
    level: Level::Warning,
    summary: "a rule opens a UDP service to everybody that attacks on others are sent through",
    explanation: "\
# Answers that go to others

A UDP packet carries no proof of the address that it claims to come from. A service that sends more than it was sent can be made to flood
whoever's address is forged: DNS, NTP, SNMP, SSDP and others are used so.

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -p udp --dport 53 -j ACCEPT
COMMIT
```

**Why it hurts.** A rule such as this one is often meant for the answers of name servers, which come *from* port 53 and belong to a
connection of this host. What it does is to open this host's own port 53 to the world.

**Instead**, let answers in as what they are, and a service that is meant to answer, to those whom it serves:

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A INPUT -s 192.0.2.0/28 -p udp --dport 53 -j ACCEPT
COMMIT
```

A name server that answers for its own zones has to be open; say so where the rule stands: `fwc check --allow FW0849`.
",
};

/// One family is closed, the other is not.
pub static OTHER_FAMILY_OPEN: Code = Code {
    number: "FW0850",
    name: "other-family-open",
    level: Level::Warning,
    summary: "the rules close IPv4 at INPUT and say nothing of IPv6, or the other way round",
    explanation: "\
# Closed for one family alone

`iptables` and a table `ip` of nft are for IPv4. IPv6 goes by `ip6tables`, a table `ip6`, or a table `inet`, which is for both.

```nft
table ip filter {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        tcp dport 22 accept
    }
}
```

**Why it hurts.** A host with an IPv6 address, which most have without anybody asking for it, is open by it.

**Instead**, write the rules for both:

```nft
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
        tcp dport 22 accept
    }
}
```
",
};

/// Whoever is on a bridge is trusted.
pub static BRIDGES_TRUSTED: Code = Code {
    number: "FW0851",
    name: "bridges-trusted",
    level: Level::Warning,
    summary: "a rule lets containers or guests come to every port of the host",
    explanation: "\
# Every container reaches the host

The rule accepts at INPUT whatever comes from a bridge of Docker, Podman, LXD, Incus or libvirt. `br+` takes in every bridge that there is,
a bridge of the local network among them.

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A INPUT -i docker0 -j ACCEPT
COMMIT
```

**Why it hurts.** A container that was broken into goes on to the host's SSH, its databases and control interfaces.

**Instead**, accept what containers need of the host:

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A INPUT -i docker0 -p udp --dport 53 -j ACCEPT
COMMIT
```
",
};

/// Whoever sends with an address of somebody's choice.
pub static HARDWARE_ADDRESS_DECIDES: Code = Code {
    number: "FW0852",
    name: "hardware-address-decides",
    level: Level::Warning,
    summary: "forwarded connections are let in by the sender's hardware address alone",
    explanation: "\
# A hardware address proves nothing

Whoever is on the network can send with any hardware address. A rule that compares nothing else about the sender lets in whoever has seen the
address once.

```iptables
*filter
:FORWARD DROP [0:0]
-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A FORWARD -p tcp --dport 22 -m mac --mac-source 52:54:00:00:00:01 -j ACCEPT
COMMIT
```

**Why it hurts.** Another guest on the bridge takes the address, and is let in as an administrator.

**Instead**, tie it to the port that the sender is connected to, or to its IP address, too:

```iptables
*filter
:FORWARD DROP [0:0]
-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A FORWARD -p tcp --dport 22 -m physdev --physdev-in tap100i0 -m mac --mac-source 52:54:00:00:00:01 -j ACCEPT
COMMIT
```
",
};

/// A guest may be anybody.
pub static GUEST_NOT_CHECKED: Code = Code {
    number: "FW0853",
    name: "guest-not-checked",
    level: Level::Warning,
    summary: "what a guest sends is accepted without a look at its hardware address and its IP address",
    explanation: "\
# A guest that may forge

A guest on a bridge can send with whatever hardware address and IP address it likes. The rules for what it sends compare neither.

```iptables
*filter
:FORWARD DROP [0:0]
:tap100i0-out - [0:0]
-A FORWARD -m physdev --physdev-is-bridged --physdev-in tap100i0 -j tap100i0-out
-A tap100i0-out -j ACCEPT
COMMIT
```

**Why it hurts.** It answers for its neighbours, and rules that let others in by their addresses let it in.

**Instead**, drop first what is not its own:

```iptables
*filter
:FORWARD DROP [0:0]
:tap100i0-out - [0:0]
-A FORWARD -m physdev --physdev-is-bridged --physdev-in tap100i0 -j tap100i0-out
-A tap100i0-out -m mac ! --mac-source 52:54:00:00:00:64 -j DROP
-A tap100i0-out ! -s 192.0.2.100/32 -j DROP
-A tap100i0-out -j ACCEPT
COMMIT
```
",
};

/// A script that cannot be run twice.
pub static RULES_DOUBLE: Code = Code {
    number: "FW0854",
    name: "rules-double",
    level: Level::Warning,
    summary: "a script puts rules into chains that it neither makes nor empties: run again, it puts them there twice",
    explanation: "\
# Twice the rules

Chains of the kernel and those that a platform makes for users outlive a script. What it appends or inserts there is there twice when it is
run again, and of rules that were changed in the script the old ones stay.

```sh
#!/bin/sh
iptables -I DOCKER-USER 1 -i eth0 -s 198.51.100.9 -j DROP
```

**Why it hurts.** An address that was taken out of the script is dropped still; after a year of restarts the chain has hundreds of rules.

**Instead**, empty a chain of your own, and ask whether the jump to it is there:

```sh
#!/bin/sh
iptables -N site-docker 2>/dev/null || true
iptables -F site-docker
iptables -A site-docker -i eth0 -s 198.51.100.9 -j DROP
iptables -C DOCKER-USER -j site-docker || iptables -I DOCKER-USER 1 -j site-docker
```
",
};

/// Today's rules of a platform in a file.
pub static SAVES_EVERYTHING: Code = Code {
    number: "FW0855",
    name: "saves-everything",
    level: Level::Warning,
    summary: "a script saves every rule that the kernel has, a platform's rules of today among them",
    explanation: "\
# Today's containers in a file

`iptables-save` writes what every program has put into the kernel. Loaded again, the file puts back chains and addresses that Docker,
libvirt or Kubernetes had when it was written, and takes away what they have now.

```sh
#!/bin/sh
iptables -F DOCKER-USER
iptables -A DOCKER-USER -i eth0 -s 198.51.100.9 -j DROP
iptables-save > /etc/iptables/rules.v4
```

**Why it hurts.** After a restart, published ports lead to addresses that other containers have now, or to nobody.

**Instead**, keep your own rules in a file, and load it with `iptables-restore --noflush`, which leaves the others alone.
",
};

/// A comment that says something else.
pub static COMMENT_DIFFERS: Code = Code {
    number: "FW0856",
    name: "comment-differs",
    level: Level::Note,
    summary: "a rule's comment says something else than the rule does",
    explanation: "\
# The comment is not true

What a rule does is read from its comment by whoever looks at the list. Here the two differ.

```iptables
*filter
:INPUT ACCEPT [0:0]
-A INPUT -s 192.0.2.9/32 -m comment --comment \"block the scanner\" -j ACCEPT
-A INPUT -j DROP
COMMIT
```

**Why it hurts.** One of them is wrong, and nobody looks.

**Instead**, correct whichever it is.
",
};

/// A port that a compose file publishes.
pub static PUBLISHED_TO_EVERYBODY: Code = Code {
    number: "FW0857",
    name: "published-to-everybody",
    level: Level::Note,
    summary: "a compose file that is looked at by itself publishes a port to everybody",
    explanation: "\
# Who reaches a published port

`fwc check docker-compose.yml` looks at a compose file without a policy. A port that is published without an address is open to whoever
reaches the host: Docker's address translation leads the connection past INPUT, so that a firewall there, ufw's among them, is not asked.

```compose
services:
  web:
    image: nginx
    ports: [\"8080:80\"]
```

A service that should not be open to everybody (a database, a control interface) is FW0843, an error.

**Instead**, publish it for the host alone, where a proxy on the host serves it:

```compose
services:
  web:
    image: nginx
    ports: [\"127.0.0.1:8080:80\"]
```

or say in a policy who may reach it: `allow tcp 8080 from 198.51.100.0/24 to container web`.
",
};
