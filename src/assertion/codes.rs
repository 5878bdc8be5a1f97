//! What can be wrong with an assertion.

use crate::diagnostic::{Code, Level};

/// Refuted.
pub static ASSERT_FAILS: Code = Code {
    number: "FW0821",
    name: "assert-fails",
    level: Level::Error,
    summary: "an assert does not hold: a connection is shown that fares otherwise",
    explanation: "\
An `assert` is proved over the finished rules for every first packet of its sentence: every address, port, card and family, and
every road that the platform has. Here a packet was found that fares otherwise. It is shown, with the line that decides.

`assert deny` is satisfied by a deny and by a reject, `assert reject` by a reject alone, `assert allow` by rules that let it
through where nothing behind them is known to stop it. What no rule of the policy speaks of is left to the platform and to others'
rules: that is not denied.

```fw
allow ssh from 10.0.0.0/8 to host
assert deny ssh from not 10.1.1.0/24 to host     # error: 10.0.0.0 to 10.1.0.255 may
```

**Instead**, mend what is wrong: the rule that lets too much through, or the assert that claims too much.

```fw
allow ssh from 10.1.1.0/24 to host
assert deny ssh from not 10.1.1.0/24 to host
```
",
};

/// Refuted, if something holds that is not known.
pub static ASSERT_POSSIBLY_FAILS: Code = Code {
    number: "FW0822",
    name: "assert-possibly-fails",
    level: Level::Warning,
    summary: "an assert holds or fails with something that is not known",
    explanation: "\
A packet was found for which the assert is wrong if something holds that neither the policy nor the facts say: words of a `chain` block
that fwc does not know, the version of Docker, which ports docker-proxy listens at. The notes name it, and the fact that would settle it.

```fw
target iptables
chain filter INPUT {
    -p tcp --dport 22 -m geoip --source-country XX -j DROP
}
allow ssh from any to host
assert allow ssh from 10.1.1.0/24 to host     # warning: unless geoip knows one of them
```

**Instead**, say the fact, or what is meant: an exception in front of the words that are not known, or a narrower assert.

```fw
target iptables
chain filter INPUT {
    ! -s 10.1.1.0/24 -p tcp --dport 22 -m geoip --source-country XX -j DROP
}
allow ssh from any to host
assert allow ssh from 10.1.1.0/24 to host
```

`--deny FW0822` makes an error of it.
",
};

/// No packet is meant.
pub static ASSERT_SAYS_NOTHING: Code = Code {
    number: "FW0823",
    name: "assert-says-nothing",
    level: Level::Warning,
    summary: "no connection is what an assert speaks of",
    explanation: "\
An assert about packets that cannot be is true whatever the policy says, so it watches nothing. ICMP messages that open no
connection, ends that do not exist on this host, a `via` that leads to neither end: each leaves nothing to prove.

```fw
deny icmp destination-unreachable from any to host
assert deny icmp destination-unreachable from any to host     # warning: it never opens a connection
```

**Instead**, speak of what can be opened:

```fw
deny ping from any to host
assert deny ping from any to host
```
",
};

/// Too much work.
pub static ASSERT_UNDECIDED: Code = Code {
    number: "FW0824",
    name: "assert-undecided",
    level: Level::Warning,
    summary: "whether an assert holds was not worked out within the effort that is made for one",
    explanation: "\
Proofs over sets of packets can grow with the product of all fields. fwc stops after a fixed effort, the same on every machine, and
then says that it does not know. It never takes what it does not know for proved.

```fw
allow { http, https } from any to host
assert allow { http, https } from any to host     # warning, behind thousands of rules that cut across one another
```

**Instead**, say the same in several asserts, each of one service, one origin or one card:

```fw
allow { http, https } from any to host
assert allow http from any to host
assert allow https from any to host
```
",
};

/// A test changes what it tests.
pub static RULE_IN_TEST: Code = Code {
    number: "FW0825",
    name: "rule-in-test",
    level: Level::Error,
    summary: "a file of tests says what the policy should say",
    explanation: "\
A `*.fwtest` file holds asserts about a policy, and what they need: includes, sets, services, interfaces. A rule in it would change
what is tested, so that the tests would be true of another policy than the one that is built.

```fw
# site.fwtest
allow ssh from any to host                   # error
assert deny telnet from any to host
```

**Instead**, write rules into the policy, and asserts alone into the tests:

```fw
# site.fwtest
assert deny telnet from any to host
```
",
};

/// Allowed within a limit, or at times, and denied otherwise.
pub static ALLOWED_WITHIN_LIMIT: Code = Code {
    number: "FW0826",
    name: "allowed-within-limit",
    level: Level::Error,
    summary: "an `assert allow` holds within a limit or at some times, and not beyond or at others",
    explanation: "\
A limit allows what is within it and denies what is beyond it; `during` allows at its times, and at others the rest of the policy decides.
Both are the policy's own, so nothing about them is unknown: the first connections get through, and a later one, or one at another
time, does not. An `assert allow` says that all get through. All other connections of the assert were proved to be allowed.

An `assert deny` of what a limit or a time allows fails (FW0821): the first packet is within the limit, and every time comes.

```fw
allow ssh from any to host limit 10/minute per source
assert allow ssh from any to host            # error: the eleventh in a minute is denied
```

**Instead**, say that this is meant. What else could deny these connections is still watched:

```fw
allow ssh from any to host limit 10/minute per source
assert allow ssh from any to host            # fwc: expect(allowed-within-limit) -- brute force is slowed down
```

Or allow without a limit those of whom the assert speaks:

```fw
allow ssh from 198.51.100.0/24 to host
allow ssh from any to host limit 10/minute per source
assert allow ssh from 198.51.100.0/24 to host
```
",
};
