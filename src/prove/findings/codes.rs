//! What findings are called.

use crate::diagnostic::{Code, Level};

/// A line of a rule set that is not of its syntax.
pub static UNREADABLE: Code = Code {
    number: "FW0800",
    name: "unreadable-line",
    level: Level::Error,
    summary: "a line of a rule set is none that its tool reads",
    explanation: "\
`fwc check` reads rule sets that exist already: what `iptables-save`, `ip6tables-save` and `nft list ruleset` print, and files for
`iptables-restore` and `nft -f`. This line is of none of them.

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
iptables -A INPUT -p tcp --dport 80 -j ACCEPT
COMMIT
```

**Why it hurts.** `iptables-restore` refuses the whole file, and the host comes up with the rules that it had, or with none.

**Instead**, write it as the tool does:

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
-A INPUT -p tcp --dport 80 -j ACCEPT
COMMIT
```
",
};

/// Dead, and decided otherwise.
pub static SHADOWED: Code = Code {
    number: "FW0801",
    name: "shadowed-rule",
    level: Level::Error,
    summary: "no packet comes to a rule: rules before it take all of its packets, and decide otherwise",
    explanation: "\
The first rule that matches decides. All the packets that this one matches are decided by rules before it: by one of them, or by
several together, in every chain that leads to it and for both families. This is proved for every packet.

```iptables
*filter
:INPUT ACCEPT [0:0]
-A INPUT -s 10.0.0.0/9 -j ACCEPT
-A INPUT -s 10.128.0.0/9 -p tcp -j ACCEPT
-A INPUT -s 10.0.0.0/8 -p tcp --dport 22 -j DROP
COMMIT
```

**Why it hurts.** The rule reads as if it closed something (or opened, or logged it), and the opposite is the case.

**Instead**, put it in front of those rules, or delete it:

```iptables
*filter
:INPUT ACCEPT [0:0]
-A INPUT -s 10.0.0.0/8 -p tcp --dport 22 -j DROP
-A INPUT -s 10.0.0.0/9 -j ACCEPT
-A INPUT -s 10.128.0.0/9 -p tcp -j ACCEPT
COMMIT
```

In a policy, one rule behind one other is told as FW0352.
",
};

/// Dead, and decided alike.
pub static COVERED: Code = Code {
    number: "FW0802",
    name: "covered-rule",
    level: Level::Warning,
    summary: "no packet comes to a rule: rules before it decide all of its packets, in the same way",
    explanation: "\
All the packets that this rule matches are decided by rules before it, as it would decide them. It does nothing.

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -p tcp --dport 8000:8999 -j ACCEPT
-A INPUT -p tcp --dport 9000:9999 -j ACCEPT
-A INPUT -p tcp --dport 8500:9500 -j ACCEPT
COMMIT
```

**Why it hurts.** Whoever deletes it in the belief that this closes something is wrong; and a long list of such rules hides
those that matter.

**Instead**, delete it:

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -p tcp --dport 8000:8999 -j ACCEPT
-A INPUT -p tcp --dport 9000:9999 -j ACCEPT
COMMIT
```

In a policy, one rule behind one other is told as FW0353 or FW0354.
",
};

/// What follows decides the same.
pub static REPEATED_BEHIND: Code = Code {
    number: "FW0803",
    name: "repeated-behind",
    level: Level::Note,
    summary: "a rule could be left out: what follows decides all of its packets in the same way",
    explanation: "\
Packets come to this rule, and it decides them; without it they would meet the same verdict a little later, from another rule or
from the chain's policy. Nothing between does anything else to them.

```iptables
*filter
:INPUT ACCEPT [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
-A INPUT -p tcp --dport 23 -j DROP
-A INPUT -s 192.0.2.0/24 -p udp -j ACCEPT
-A INPUT -j DROP
COMMIT
```

**Why it may hurt.** It does not, today. It costs time for every packet, and a reader takes it for the reason why something is open or
closed. A rule may stand there on purpose, as a record or to be found in the counters: then leave it.
A rule that says what the chain's policy says is told by `fwc check --all` alone.

```iptables
*filter
:INPUT ACCEPT [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
-A INPUT -s 192.0.2.0/24 -p udp -j ACCEPT
-A INPUT -j DROP
COMMIT
```
",
};

/// Nothing matches.
pub static NEVER_MATCHES: Code = Code {
    number: "FW0804",
    name: "never-matches",
    level: Level::Warning,
    summary: "no packet matches all that a rule asks for",
    explanation: "\
The matches of this rule exclude each other, or exclude all packets that are led into its chain.

```iptables
*filter
:INPUT ACCEPT [0:0]
:SSH - [0:0]
-A INPUT -p tcp --dport 22 -j SSH
-A SSH -p udp -j DROP
COMMIT
```

**Why it hurts.** What it was written for does not happen.

**Instead**, ask for what packets can be, or lead those packets here:

```iptables
*filter
:INPUT ACCEPT [0:0]
:SSH - [0:0]
-A INPUT -p tcp --dport 22 -j SSH
-A SSH -s 192.0.2.0/24 -j DROP
COMMIT
```
",
};

/// A match on an empty set.
pub static EMPTY_SET: Code = Code {
    number: "FW0805",
    name: "match-on-empty-set",
    level: Level::Note,
    summary: "a rule looks into a set without elements: nothing matches it",
    explanation: "\
The set that this rule looks into has no elements, in the rule set that was read.

```nft
table inet filter {
\tset blocked {
\t\ttype ipv4_addr
\t}
\tchain input {
\t\ttype filter hook input priority filter; policy accept;
\t\tip saddr @blocked drop
\t}
}
```

**Why it may hurt.** A list of addresses to block that was never filled blocks nobody. A set that another program fills
(fail2ban) is empty while there is nothing in it: then all is well.

**Instead**, fill it:

```nft
table inet filter {
\tset blocked {
\t\ttype ipv4_addr
\t\telements = { 192.0.2.7 }
\t}
\tchain input {
\t\ttype filter hook input priority filter; policy accept;
\t\tip saddr @blocked drop
\t}
}
```
",
};

/// A policy that nothing comes to.
pub static POLICY_NEVER_REACHED: Code = Code {
    number: "FW0806",
    name: "policy-never-reached",
    level: Level::Error,
    summary: "a chain's policy is to drop, and no packet comes to it: rules accept what is left",
    explanation: "\
The policy is for packets that no rule has decided. Here rules decide all of them, and accept some that it was to drop.

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -p tcp --dport 23 -j DROP
-A INPUT -j ACCEPT
COMMIT
```

**Why it hurts.** `iptables -L` says `policy DROP` in its first line, and everything is open.

**Instead**, accept what you mean, and leave the rest to the policy:

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
COMMIT
```
",
};

/// A chain that nothing leads to.
pub static UNUSED_CHAIN: Code = Code {
    number: "FW0807",
    name: "unused-chain",
    level: Level::Note,
    summary: "a chain has rules, and no rule leads to it",
    explanation: "\
No packet comes to this chain: no rule jumps or goes to it, and it stands at no hook.

```iptables
*filter
:INPUT ACCEPT [0:0]
:blocked - [0:0]
-A blocked -s 192.0.2.0/24 -j DROP
COMMIT
```

**Why it hurts.** Its rules look as if they were in force.

**Instead**, lead packets there, or delete the chain:

```iptables
*filter
:INPUT ACCEPT [0:0]
:blocked - [0:0]
-A INPUT -j blocked
-A blocked -s 192.0.2.0/24 -j DROP
COMMIT
```

Chains that others lead to (DOCKER-USER, and fwc's own) are not told.
",
};

/// Rules of opposite verdicts that share packets.
pub static OVERLAP: Code = Code {
    number: "FW0808",
    name: "opposite-overlap",
    level: Level::Note,
    summary: "two rules of opposite verdicts share packets, and each has others: their order decides (told on demand)",
    explanation: "\
Neither rule is an exception to the other: each matches packets that the other does not. For those that both match, whichever stands
first decides. `fwc check --all` tells them; without it they are left out, since most are meant.

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -s 192.0.2.0/24 -j ACCEPT
-A INPUT -p tcp --dport 23 -j DROP
-A INPUT -p tcp -j ACCEPT
COMMIT
```

**Why it may hurt.** Telnet from 192.0.2.0/24 is open. If that is not meant, the two lines want the other order.

**Instead**, say in one of them what it is for:

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -p tcp --dport 23 -j DROP
-A INPUT -s 192.0.2.0/24 -p tcp --dport 22 -j ACCEPT
-A INPUT -p tcp --dport 80 -j ACCEPT
COMMIT
```
",
};

/// What was left open.
pub static LEFT_OPEN: Code = Code {
    number: "FW0809",
    name: "left-open",
    level: Level::Note,
    summary: "whether some rules are ever reached was not decided",
    explanation: "\
Whether other rules together take all packets of one can take very long to find out. fwc tries for a bounded time, and then says that it
does not know: these rules may be superfluous, or not. Everything else that it says is proved.

Hundreds of rules that overlap in addresses, ports and cards at once bring this about:

    -A INPUT -i eth0 -s 10.0.0.0/9 -p tcp --dport 1:30000 -j ACCEPT

Rules that name fewer fields, or that stand in chains of their own behind a jump, are easier to decide, for readers too.
",
};

/// A jump to a chain that a whole table does not have.
pub static MISSING_CHAIN: Code = Code {
    number: "FW0810",
    name: "missing-chain",
    level: Level::Error,
    summary: "rules jump to a chain or a target that the file does not have",
    explanation: "\
The file holds whole tables, and a rule of it names a chain that none of its lines makes, and that is no target of the tool either.

```iptables
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
-A INPUT -p tcp --dport 22 -j f2b-sshd
-A INPUT -p tcp --dport 22 -j ACCEPT
COMMIT
```

**Why it hurts.** `iptables-restore` and `nft` refuse the whole file unless the chain is in the kernel already, and then the host comes up
with the rules that it had, or with none. What the chain does is unknown: it may return, and it may decide. Every answer that rests on
it is unknown, too.

**Instead**, declare the chain, or correct its name:

```iptables
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:f2b-sshd - [0:0]
-A INPUT -p tcp --dport 22 -j f2b-sshd
-A INPUT -p tcp --dport 22 -j ACCEPT
COMMIT
```
",
};

/// Something that a tool may take, and that is unknown here.
pub static NOT_READ: Code = Code {
    number: "FW0811",
    name: "not-read",
    level: Level::Warning,
    summary: "something in a rule set was not read: what depends on it is unknown",
    explanation: "\
The tool may take this, and fwc does not know what it does: a chain that another file makes, a file that is included, a command of a script
that may change rules, a target of an extension that is not modelled.

```iptables
*filter
:DOCKER-USER - [0:0]
-A DOCKER-USER -j blocklist
-A DOCKER-USER -i eth0 -p tcp --dport 8080 -j DROP
COMMIT
```

Here `blocklist` may return or decide. Rules after it are not reported as unreachable, and `fwc trace`, `fwc who` and `fwc diff` say
\"possibly\" of whatever depends on it.

**What to do.** Give the other file, too: `fwc who rules.v4+blocklist.v4`. If nothing else is wrong, `fwc check` ends with status 2:
what it did not read, it did not check.
",
};

/// Text around the rules.
pub static PASSED_OVER: Code = Code {
    number: "FW0812",
    name: "passed-over",
    level: Level::Note,
    summary: "text around the rules was passed over",
    explanation: "\
A rule set that was copied from a terminal or a ticket often has a shell prompt or a sentence around it. What belongs to no table is passed
over; the rules were read.

```iptables
root@host:~# iptables-save
*filter
:INPUT DROP [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
COMMIT
```

**Why it may hurt.** `iptables-restore` refuses such a text. Take those lines out before the file is loaded.

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
COMMIT
```
",
};

/// A number that the tool cuts.
pub static MISREAD: Code = Code {
    number: "FW0813",
    name: "misread-number",
    level: Level::Error,
    summary: "the tool loads a rule for another number than it says",
    explanation: "\
iptables 1.8.9 does not look at the size of a port after `-p udp` and in some other places: it keeps the last 16 bits.

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -p udp --dport 70000 -j ACCEPT
COMMIT
```

**Why it hurts.** The rule opens port 4464, which is 70000 less 65536. After `-p tcp` the same number is refused.

**Instead**, write the port that is meant:

```iptables
*filter
:INPUT DROP [0:0]
-A INPUT -p udp --dport 7000 -j ACCEPT
COMMIT
```
",
};

/// All of them.
pub static CODES: &[&Code] = &[
    &UNREADABLE,
    &SHADOWED,
    &COVERED,
    &REPEATED_BEHIND,
    &NEVER_MATCHES,
    &EMPTY_SET,
    &POLICY_NEVER_REACHED,
    &UNUSED_CHAIN,
    &OVERLAP,
    &LEFT_OPEN,
    &MISSING_CHAIN,
    &NOT_READ,
    &PASSED_OVER,
    &MISREAD,
];

/// Those that are told wholly or in part on demand alone (`--all`).
pub static ON_DEMAND: &[&Code] = &[&REPEATED_BEHIND, &OVERLAP];
