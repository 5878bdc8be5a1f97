//! What can go wrong while a project is read.

use crate::diagnostic::{Code, Level};

/// Every kind of diagnostic that reading a project gives, in order of number.
pub static CODES: &[&Code] = &[
    &FILE_NOT_FOUND,
    &FILE_UNREADABLE,
    &INCLUDE_CYCLE,
    &FILE_NOT_UTF8,
    &INVALID_FILE_PATTERN,
    &PATTERN_MATCHES_NOTHING,
    &TOO_MUCH_TO_READ,
];

/// A file that a policy names does not exist.
pub static FILE_NOT_FOUND: Code = Code {
    number: "FW0150",
    name: "file-not-found",
    level: Level::Error,
    summary: "a file that the policy names does not exist",
    explanation: "\
`include`, `compose` and `set … from file` name a file relative to the directory of the file that they stand in, not to the \
directory that the command runs in. There is no file at that place.

A policy without one of its parts says something else than its author meant: a missing set file would block nobody, a missing \
include would open or close other ports. So nothing is built.

```fw
# /etc/fwc/site.fw
include \"parts/web.fw\"          # reads /etc/fwc/parts/web.fw
set banned from file \"ban.list\" # reads /etc/fwc/ban.list
```

Mend the name, create the file (an empty include is a valid policy file; an empty set file is not), or, where parts may come \
and go, include a pattern: `include \"parts/*.fw\"`.
",
};

/// A file that a policy names exists and cannot be read.
pub static FILE_UNREADABLE: Code = Code {
    number: "FW0151",
    name: "file-unreadable",
    level: Level::Error,
    summary: "a file that the policy names cannot be read",
    explanation: "\
The file is there, but it is a directory, a device or a pipe, its name has control characters (the outputs name their sources), or \
the system refuses to read it (permissions, a loop of symbolic links, a fault of the disk). The message has the system's own words.

A policy without one of its parts says something else than its author meant, so nothing is built.

```fw
include \"conf.d\"         # a directory: refused
include \"conf.d/*.fw\"    # every policy file in it, in the order of their names
```

Name a regular file that the user who runs `fwc` may read.
",
};

/// Files include each other in a circle.
pub static INCLUDE_CYCLE: Code = Code {
    number: "FW0152",
    name: "include-cycle",
    level: Level::Error,
    summary: "a file includes itself, directly or through others",
    explanation: "\
Rules count where they stand, and an included file counts where its `include` stands. When a file includes itself there is no \
such place: either order would be a guess, and the order of rules decides what is open.

```fw
include \"site.fw\"     # error, in `site.fw` itself; the same by way of others: a.fw → b.fw → a.fw
```

Move what both need into a third file and include that from both: a file is read once, where it is first included.
",
};

/// A file is not UTF-8.
pub static FILE_NOT_UTF8: Code = Code {
    number: "FW0153",
    name: "file-not-utf8",
    level: Level::Error,
    summary: "a file is not UTF-8 text",
    explanation: "\
Every text that `fwc` reads is UTF-8. The file has a byte that cannot stand there: it was saved in another encoding (Latin-1, \
UTF-16), or it is not a text at all.

Bytes that are skipped or replaced would change names and comments without a word, so nothing is built.

```fw
# Zugang für das Büro       ← `ü` as the single byte FC is Latin-1; in UTF-8 it is the two bytes C3 BC
allow ssh from office to host
```

Convert the file: `iconv -f latin1 -t utf8 old.fw > new.fw`.
",
};

/// A pattern in `include` is not one.
pub static INVALID_FILE_PATTERN: Code = Code {
    number: "FW0154",
    name: "invalid-file-pattern",
    level: Level::Error,
    summary: "the pattern in an include cannot be understood",
    explanation: "\
`include` takes patterns: `*` and `?` stand for characters of one name, `[ab]` for one of them, `{web,db}` for one of the words, \
`**` for any number of directories. A bracket or a brace was opened and not closed, or a range runs backwards.

```fw
include \"conf.d/[0-9*.fw\"      # the bracket is not closed
include \"conf.d/[0-9]*.fw\"     # 10-base.fw, 20-web.fw, in this order
```

Files that match are read in the order of their names. Names that begin with a dot match only a pattern that says the dot.
",
};

/// A pattern in `include` matches no file.
pub static PATTERN_MATCHES_NOTHING: Code = Code {
    number: "FW0155",
    name: "pattern-matches-nothing",
    level: Level::Warning,
    summary: "the pattern in an include matches no file",
    explanation: "\
An include with a pattern may match nothing: a directory for parts that is still empty is no fault. It may also be a wrong \
directory, and then the policy lacks its parts without a word. Hence the warning.

```fw
include \"conf.d/*.conf\"     # the files end in .fw
include \"conf.d/*.fw\"
```

Mend the pattern, or put a file there; one that holds nothing but a comment will do.
",
};

/// A project has too many files or bytes.
pub static TOO_MUCH_TO_READ: Code = Code {
    number: "FW0550",
    name: "too-much-to-read",
    level: Level::Error,
    summary: "the project has more or larger files than fwc reads",
    explanation: "\
A project may have 1,000 files, a file 64 MiB, all files together 256 MiB. The largest policies and block lists in use are far \
below that; what lies above is nearly always a pattern that matches more than was meant, or a file that is not a policy.

The bound keeps a build finite on a machine that also has other things to do.

```fw
include \"/**/*.fw\"          # every directory of the machine
include \"/etc/fwc/**/*.fw\"
```

Name the files more narrowly. A list of addresses that is larger than this belongs into a `live` set that its own tool fills.
",
};
