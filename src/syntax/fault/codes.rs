//! What can be wrong with the words of a statement.

use crate::diagnostic::{Code, Level};

pub(in crate::syntax) static UNKNOWN_STATEMENT: Code = Code {
    number: "FW0009",
    name: "unknown-statement",
    level: Level::Error,
    summary: "a line that begins with a word no statement begins with",
    explanation: "\
The first word of a line says what kind of statement it is: `allow`, `deny`, `reject`, `log`, `default`, `assert`, `set`, `interface`,
`service`, `group`, `guest`, `masquerade`, `forward` and so on. This one is none of them. All words are written in lower case.

    accept ssh from office to host       # the word of iptables
    allow ssh from office to host

`deny` is what others call `drop` or `block`; `reject` is a deny with an answer. Lines of iptables or nft go into a `chain` block.
",
};

pub(in crate::syntax) static UNEXPECTED: Code = Code {
    number: "FW0011",
    name: "unexpected-word",
    level: Level::Error,
    summary: "something else was expected at this place of a statement",
    explanation: "\
The statement began well, and then something came that cannot stand there. The message points at it and says what was expected.

    allow ssh from office to host via

A rule reads: the action, the service, `from` whom, `to` whom, `via` which interface, then options.

    allow tcp 443 from 10.1.1.1 to container via ens33 limit 10/minute log \"web \"
",
};

pub(in crate::syntax) static STRAY_WORDS: Code = Code {
    number: "FW0012",
    name: "stray-words",
    level: Level::Error,
    summary: "words left over behind a complete statement",
    explanation: "\
The statement was complete, and there are still words on the line. One statement stands on one line; options have names (`limit`, `log`,
`during`, `source port`, `comment`, `early`); a remark begins with `#`.

    allow ssh from office to host for the admins
    allow ssh from office to host           # for the admins
",
};

pub(in crate::syntax) static CLAUSE_ORDER: Code = Code {
    number: "FW0013",
    name: "clause-order",
    level: Level::Error,
    summary: "parts of a sentence that stand in another order than all others",
    explanation: "\
A sentence has one order: service, `from`, `to`, `via`, then options. With one order, two rules can be compared by reading down a column,
and a search finds every rule of a kind.

    allow ssh to host from office
    allow ssh from office to host
",
};

pub(in crate::syntax) static CLAUSE_TWICE: Code = Code {
    number: "FW0014",
    name: "clause-twice",
    level: Level::Error,
    summary: "a `from`, `to` or `via` that is given twice",
    explanation: "\
Each clause stands once. Two of them could mean either or both, and a firewall must not guess. Several places are a list.

    allow ssh from office from vpn to host
    allow ssh from { office, vpn } to host
",
};

pub(in crate::syntax) static KEYWORD_AS_NAME: Code = Code {
    number: "FW0015",
    name: "keyword-as-name",
    level: Level::Error,
    summary: "a word of the language where a name is expected",
    explanation: "\
Words that begin a statement, a clause, a place or an option are names only in quotes. That keeps a policy from changing its meaning
because somebody called a container `host`.

    set limit = { 10.0.0.0/8 }
    set \"limit\" = { 10.0.0.0/8 }

The quotes are needed wherever the name is used. Another name is often better.
",
};

pub(in crate::syntax) static EMPTY_LIST: Code = Code {
    number: "FW0016",
    name: "empty-list",
    level: Level::Error,
    summary: "a list with nothing in it",
    explanation: "\
`{ }` holds nothing, so a rule with it would match nothing: an allow that allows nobody, or worse, a deny that denies nobody. For everyone
write `any`; for a set that is filled at run time declare it `live`.

    allow ssh from { } to host
    set banned live
    deny from banned to host
",
};

pub(in crate::syntax) static LIST_MARKS: Code = Code {
    number: "FW0017",
    name: "list-punctuation",
    level: Level::Error,
    summary: "a comma or brace missing or too many in a list",
    explanation: "\
Several of a kind stand in braces with commas between them. A comma behind the last is allowed, and a list may go on over several lines.
Ports behind a protocol need no braces of their own: `tcp 80, 443`.

    allow ssh from office, vpn to host
    allow ssh from { office, vpn } to host
    allow tcp { 22, 8080 } from office to host
    allow { tcp 22, tcp 8080 } from office to host
    allow { tcp 80, 443, udp 53 } to host        # TCP 80 and 443, UDP 53
",
};

pub(in crate::syntax) static FOREIGN_WORD: Code = Code {
    number: "FW0019",
    name: "foreign-word",
    level: Level::Error,
    summary: "a way of writing that belongs to another firewall",
    explanation: "\
The statement is written as iptables, nft, ufw or pf would have it. What it says is understood, but the language has one way for it.

    allow 443/tcp to host
    deny smtp from !office to host

    allow tcp 443 to host
    deny smtp from not office to host
    allow ssh from office to host

| others write | here |
|---|---|
| `port 443`, `dport 443`, `443/tcp` | `tcp 443` |
| `src 10.1.1.1`, `saddr 10.1.1.1` | `from 10.1.1.1` |
| `dst …`, `daddr …`, `->` | `to …` |
| `! office` | `not office` |
| `sport 1024` | `source port 1024`, behind the clauses |
| a `;` at the end | nothing |
",
};

pub(in crate::syntax) static NO_PORTS_HERE: Code = Code {
    number: "FW0028",
    name: "ports-without-port-protocol",
    level: Level::Error,
    summary: "ports behind a protocol or service that has none",
    explanation: "\
Only `tcp`, `udp` and `sctp` are followed by ports. ICMP has types with names, other protocols have neither, and a service knows its ports
already.

    allow icmp 8 to host
    allow icmp echo-request to host
    allow protocol gre 47 to host          # 47 is what gre is
    allow ssh 2222 to host
    allow tcp 2222 to host
",
};
