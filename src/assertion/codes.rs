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

/// Neither proved nor refuted by what is known.
pub static UNDECIDED: Code = Code {
    number: "FW0822",
    name: "undecided",
    level: Level::Error,
    summary: "whether an assert holds rests on something that neither the policy nor the facts say",
    explanation: "\
A path was found on which the assert is wrong if something holds that is not known: what is published beside what a compose file
lists, the version or a setting of Docker, whether frames between neighbours on a bridge pass a hook, words of a `chain` block that fwc does
not know. An assert protects only if it holds whatever that is, so this is an error. The notes name what is not known.

```fw
use docker
deny from world to container
assert deny from world to container     # error: over IPv6, docker-proxy takes in what is published later
```

**Instead**, say the fact, or close what is open:

```fw
use docker
deny from world to container
default deny from world to host
assert deny from world to container
```

Facts that `fwc facts` writes on the host list all that is published. What is known and may stay is said in the source, with the reason:
`# fwc: expect(undecided) -- port 8443 is the host's own` on the line before the assert.
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
pub static ASSERT_OUT_OF_WORK: Code = Code {
    number: "FW0824",
    name: "assert-out-of-work",
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
