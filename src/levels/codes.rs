//! What can be wrong with comments that speak to fwc.

use crate::diagnostic::{Code, Level};

/// Every kind of diagnostic that this stage gives, in order of number.
pub static CODES: &[&Code] = &[&MALFORMED, &UNKNOWN_CODE, &CANNOT_BE_EXPECTED, &UNFULFILLED];

/// A comment that cannot be read.
pub static MALFORMED: Code = Code {
    number: "FW0031",
    name: "malformed-expectation",
    level: Level::Error,
    summary: "a comment begins with `fwc:` and cannot be read",
    explanation: "\
A comment that begins with `fwc:` speaks to fwc: it says that a finding is known, and why it is left as it is. It names one code or several, by
number or by name, and a reason behind two hyphens. It stands at the end of the statement's line, or on lines before the statement. There is
no form that silences everything: what nobody has thought of yet must still be told. In a file for iptables-restore it stands on a line
of its own, since a comment behind a rule is none there.

    # fwc: expect(redundant-rule)
    allow ssh from 192.0.2.0/24 to host
    allow ping to host      # fwc: ignore

The first gives no reason, the second names no code. Write

    # fwc: expect(redundant-rule) -- kept until the office has moved
    allow ssh from 192.0.2.0/24 to host
    allow ping to host      # fwc: allow(redundant-rule) -- comes with the site's own base.fw
",
};

/// A code that there is not.
pub static UNKNOWN_CODE: Code = Code {
    number: "FW0032",
    name: "unknown-expected-code",
    level: Level::Error,
    summary: "a comment expects or allows a diagnostic that does not exist",
    explanation: "\
The name or number in a comment to fwc is none of a diagnostic. Silently it would do nothing, and whoever reads the comment would believe
that something is silenced. `fwc explain` lists all names and numbers.

    # fwc: expect(shadowd-rule) -- the vendor's script writes it      # no such diagnostic
    # fwc: expect(shadowed-rule) -- the vendor's script writes it     # what was meant
",
};

/// A code that cannot be expected.
pub static CANNOT_BE_EXPECTED: Code = Code {
    number: "FW0033",
    name: "cannot-be-expected",
    level: Level::Error,
    summary: "a comment expects or allows an error that cannot be built around",
    explanation: "\
Some errors can be expected, because the policy has a meaning with them: a rule that decides nothing, say. Others cannot: with a line that cannot
be read, a name that means nothing, an assert that fails, two defaults that contradict each other or a text that the kernel refuses,
there is nothing right that could be written. Those are mended.

    # fwc: expect(unknown-service) -- comes later     # an allow of what? nothing can be built
    allow sssh to host

Every warning and note can be expected, and these errors: FW0301, FW0307, FW0352, FW0710, FW0714, FW0800, FW0801, FW0806.
",
};

/// An expected finding that did not come.
pub static UNFULFILLED: Code = Code {
    number: "FW0034",
    name: "unfulfilled-expectation",
    level: Level::Warning,
    summary: "a comment expects a finding that does not come",
    explanation: "\
`expect` says that a finding is there and known. It is not there: the rule was mended, or the comment stands at another statement than the one
that it was written for. Left in place it would hide the finding on the day when it comes back, for a reason that no longer holds.

    # fwc: expect(redundant-rule) -- kept until the office has moved
    allow ssh from 192.0.2.0/24 to host       # the rule that made this one redundant is gone

Take the comment out. If the finding comes under some circumstances alone (other facts, another target), write `allow` in place of `expect`.
In a file that several policies include it may come in one of them alone: it is missed if each of those that `fwc check` was given misses it.
What was not looked for is not missed: `fwc build` does not look for FW0801 to FW0809, `fwc check` looks for some only with `--all`, and
nothing is missed while there are errors.
",
};
