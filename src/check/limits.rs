//! Names and texts over the kernel's limits, and marks that fwc needs for itself. The tools would refuse the file, or, worse,
//! cut the text silently.

use super::words;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::netfilter::words::quotable;
use crate::netfilter::{RESERVED_MARKS, Target};
use crate::policy::Policy;
use crate::policy::names::at;
use crate::policy::who::card_fault;
use crate::project::Project;
use crate::span::{FileId, Location};
use crate::syntax::tree::{ChangeKind, InterfaceValue, Nat, RuleOption, SetValue, StatementKind};

/// A log prefix that the kernel's tools would cut.
pub static LOG_PREFIX_TOO_LONG: Code = Code {
    number: "FW0502",
    name: "log-prefix-too-long",
    level: Level::Error,
    summary: "a log prefix has more bytes than the target takes",
    explanation: "\
# A log prefix that does not fit

iptables' LOG takes 29 bytes before the message, nft's `log prefix` 127. Letters outside ASCII have two bytes or more.

**Why it hurts.** iptables cuts the rest off without a word. Whoever then searches the log for the text that the policy has finds
nothing, and alerts that look for it never come.

    default deny to host log \"dropped by the policy of the front host: \"     # error with iptables: 40 bytes

**Instead**, write a shorter text:

    default deny to host log \"front dropped: \"
",
};

/// A comment that does not fit.
pub static COMMENT_TOO_LONG: Code = Code {
    number: "FW0503",
    name: "comment-too-long",
    level: Level::Error,
    summary: "a comment has more than 255 bytes with iptables, 127 with nft",
    explanation: "\
# A comment that does not fit

iptables' comment match takes 255 bytes, nft's `comment` 127. fwc writes the source line (`site.fw:12`) in front of it.

**Why it hurts.** The tools refuse the file, or the end of the text is lost in the listing.

    allow ssh to host comment \"… three paragraphs of reasons …\"

**Instead**, keep the reasons in the policy, behind a `#`, and a few words in the comment.
",
};

/// A set's name that does not fit.
pub static SET_NAME_TOO_LONG: Code = Code {
    number: "FW0504",
    name: "set-name-too-long",
    level: Level::Error,
    summary: "a live set has a name with more than 24 bytes",
    explanation: "\
# A set's name that does not fit

A live set `NAME` becomes two sets that others fill, `fwc-NAME-v4` and `fwc-NAME-v6`. The kernel's ipsets have names of at most
31 bytes, which leaves 24 for `NAME`. Names that only the policy uses have no such limit.

    set addresses-banned-by-fail2ban live        # error
    set banned live

Choose a shorter name; whoever fills the set must use the same.
",
};

/// A byte that does not survive the way into the kernel.
pub static TEXT_CHANGED: Code = Code {
    number: "FW0505",
    name: "text-changed",
    level: Level::Warning,
    summary: "a log prefix or comment has a backslash or control character, which is replaced",
    explanation: "\
# A text that is changed on its way

Netfilter's tools read a backslash between quotation marks each in its own way, and control characters break the line in the log.
fwc writes `/` for a backslash and a space for a control character.

**Why it hurts.** The log then says something else than the policy, and a search for the policy's text finds nothing.

    default deny to host log \"DOMAIN\\\\host \"

**Instead**, leave the character out:

    default deny to host log \"DOMAIN/host \"
",
};

/// A sign in a log prefix that nft takes for its own.
pub static NFT_VARIABLE: Code = Code {
    number: "FW0510",
    name: "nft-variable",
    level: Level::Error,
    summary: "a `$` that nft takes for the name of a variable",
    explanation: "\
# A `$` that nft expands

nft puts the value of a variable where a `$` is, in log prefixes too, and knows no sign that would keep it from doing so. In
comments it leaves a `$` alone, and so does iptables everywhere.

**Why it hurts.** A file of `fwc` defines no variables, so that nft refuses it.

    target nft
    deny to host log \"cost $x \"      # error

**Instead**, leave the `$` out:

    target nft
    deny to host log \"cost x \"
",
};

/// A mark that fwc uses itself, or that says nothing.
pub static MARK_RESERVED: Code = Code {
    number: "FW0506",
    name: "mark-reserved",
    level: Level::Error,
    summary: "a mark has bits that fwc uses itself, or is zero",
    explanation: "\
# A mark that cannot be set

fwc keeps three bits of the packet mark for itself: 0x40000000 (its nft table accepted the packet, beside Docker), 0x20000000 (a group
has allowed it) and 0x10000000 (it is to be masqueraded). A policy's own marks leave them alone. A mark of 0 is what every packet has already.

**Why it hurts.** With one of these bits set a packet would pass guests that do not want it, or leave with another address.

    mark 0x10000000 tcp 443 from lan to wan      # error
    mark 0x1 tcp 443 from lan to wan

Choose other bits.
",
};

/// A name that is cut in the names of chains.
pub static CHAIN_NAME_CUT: Code = Code {
    number: "FW0507",
    name: "chain-name-cut",
    level: Level::Note,
    summary: "the name of a guest, instance or group is cut in the names of its chains",
    explanation: "\
# A long name in a chain's name

Chains have names of at most 28 bytes in iptables. The chains of a guest are called `fwc-guest-NAME-in` and `-out`, those of a group
`fwc-group-NAME`; each may have `-h` behind it. A longer name is cut, and a number made from the whole keeps it apart from others.

```fw
guest customer-0815-database on tap815i0 {     # note: fwc-guest-customer-~2b1c-in
    in allow postgres from 10.0.0.0/8
}
```

Nothing is wrong with the rules. Whoever looks for the chain by its name on the host does not find it at once: 12 bytes for a guest
or instance, 14 for a group are never cut.
",
};

/// A name that the kernel's tools do not take.
pub static UNUSABLE_NAME: Code = Code {
    number: "FW0508",
    name: "unusable-name",
    level: Level::Error,
    summary: "the name of a guest, group or live set has characters that the names of chains and sets cannot have",
    explanation: "\
# A name that no chain can have

Guests, instances and the groups that they apply become chains, live sets become sets. Their names stand in the kernel's listings and in
the commands of whoever fills a set. Letters, digits, `-`, `_` and `.` can stand there, with a letter or digit at the beginning.

```fw
guest \"vm 110\" on tap110i0 {      # error
    in allow ssh
}
guest vm-110 on tap110i0 {
    in allow ssh
}
```
",
};

/// Longest log prefix of iptables' LOG (29 bytes and a NUL, xt_LOG.h).
pub const IPTABLES_PREFIX: usize = 29;
/// Longest log prefix of nft (`NF_LOG_PREFIXLEN` less the NUL).
pub const NFT_PREFIX: usize = 127;
/// Longest comment of iptables (`XT_MAX_COMMENT_LEN` less the NUL).
pub const IPTABLES_COMMENT: usize = 255;
/// Longest comment of nft (`NFTNL_UDATA_COMMENT_MAXLEN` less the NUL).
pub const NFT_COMMENT: usize = 127;
/// Longest name of a live set: the kernel's 31 bytes less `fwc-` and `-v4`.
const LIVE_SET: usize = 24;

/// Longest names of a guest and of a group that no chain's name cuts: iptables' 28 bytes less the words around.
const GUEST: usize = 12;
const GROUP: usize = 14;

/// Names that become names of chains and sets.
fn kernel_names(policy: &Policy, target: Target, out: &mut Vec<Diagnostic>) {
    let guests = policy.gates.iter().map(|gate| ("guest", &gate.name, gate.location, GUEST));
    let groups = policy.groups.iter().map(|group| ("group", &group.name, group.location, GROUP));
    let sets = policy.live_sets.iter().map(|set| ("set", &set.name, set.location, usize::MAX));
    for (kind, name, location, most) in guests.chain(groups).chain(sets) {
        let usable = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !name.bytes().all(usable) {
            out.push(
                Diagnostic::new(
                    &UNUSABLE_NAME,
                    location,
                    format!("`{name}` cannot stand in the name of a chain or set"),
                )
                .help("use letters, digits, `-`, `_` and `.`"),
            );
        } else if name.len() > most && target == Target::Iptables {
            out.push(
                Diagnostic::new(&CHAIN_NAME_CUT, location, format!("`{name}` is cut in the names of its chains"))
                    .label(format!("a {kind} with a name of up to {most} bytes is not"))
                    .help("choose a shorter name, if you look for its chains on the host"),
            );
        }
    }
}

/// The check.
pub fn check(project: &Project, policy: &Policy, target: Target) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    kernel_names(policy, target, &mut out);
    let numbers = if target == Target::Iptables { policy.masquerade_numbers() } else { 0 };
    let reserved = RESERVED_MARKS | numbers;
    words::each(project, &mut |file, statement| match &statement.value {
        StatementKind::Rule(rule) | StatementKind::Default(rule) => options(file, &rule.options, target, &mut out),
        StatementKind::Nat(nat) => {
            if let Nat::Forward { options: list, .. } = &**nat {
                options(file, list, target, &mut out);
            }
        }
        StatementKind::Interface(node) => {
            if let Some(InterfaceValue::Cards(cards)) = node.value.as_ref().map(|value| &value.value) {
                out.extend(cards.iter().filter_map(|card| card_fault(at(file, card.span), &card.value)));
            }
        }
        StatementKind::Network(node) => {
            out.extend(node.cards.iter().filter_map(|card| card_fault(at(file, card.span), &card.value)));
        }
        StatementKind::Set(node) if node.value == SetValue::Live && node.name.value.len() > LIVE_SET => out.push(
            Diagnostic::new(
                &SET_NAME_TOO_LONG,
                at(file, node.name.span),
                format!(
                    "`{}` has {} bytes, and a live set's name at most {LIVE_SET}",
                    node.name.value,
                    node.name.value.len()
                ),
            )
            .help(format!("choose a shorter name: the kernel's set is called `fwc-{}-v4`", node.name.value)),
        ),
        StatementKind::Change(change) => {
            if let ChangeKind::Mark(mark) = change.kind.value {
                marks(at(file, change.kind.span), mark, reserved, &mut out);
            }
        }
        _ => {}
    });
    out
}

fn marks(here: Location, mark: u32, reserved: u32, out: &mut Vec<Diagnostic>) {
    if mark == 0 {
        out.push(
            Diagnostic::new(&MARK_RESERVED, here, "a mark of 0 is what every packet has already")
                .help("choose a number above 0"),
        );
    } else if mark & reserved != 0 {
        out.push(
            Diagnostic::new(&MARK_RESERVED, here, format!("`{mark:#x}` has bits that fwc uses itself"))
                .label(format!("{:#x} is not free", mark & reserved))
                .help(format!("leave the bits {reserved:#x} out, for example `mark {:#x}`", (mark & !reserved).max(1))),
        );
    }
}

fn options(file: FileId, list: &[crate::span::Spanned<RuleOption>], target: Target, out: &mut Vec<Diagnostic>) {
    for option in list {
        match &option.value {
            RuleOption::Log(log) => {
                let Some(text) = &log.prefix else { continue };
                prefix(at(file, text.span), &text.value, target, out);
                changed(at(file, text.span), &text.value, out);
            }
            RuleOption::Comment(text) => {
                comment(at(file, text.span), &text.value, target, out);
                changed(at(file, text.span), &text.value, out);
            }
            _ => {}
        }
    }
}

/// Reports a log prefix that does not fit. `here` is the text with its quotation marks.
pub fn prefix(here: Location, text: &str, target: Target, out: &mut Vec<Diagnostic>) {
    if target == Target::Nft && text.contains('$') {
        out.push(
            Diagnostic::new(&NFT_VARIABLE, here, "nft takes `$` in a log prefix for the name of a variable")
                .label("nft refuses the whole file")
                .fix("leave it out", here, format!("\"{}\"", text.replace('$', ""))),
        );
    }
    let most = if target == Target::Iptables { IPTABLES_PREFIX } else { NFT_PREFIX };
    if text.len() <= most {
        return;
    }
    let cut = cut(text, most);
    let name = if target == Target::Iptables { "iptables" } else { "nft" };
    let fault = Diagnostic::new(
        &LOG_PREFIX_TOO_LONG,
        here,
        format!("this log prefix has {} bytes, and {name} takes {most}", text.len()),
    );
    let fault = if target == Target::Iptables { fault.label(format!("the log would say `{cut}`")) } else { fault };
    // A space at the end keeps the prefix apart from what follows.
    let short = if text.ends_with(' ') {
        format!("{} ", cut_at_word(text, most - 1))
    } else {
        cut_at_word(text, most).to_owned()
    };
    out.push(fault.fix("shorten it", here, format!("\"{short}\"")));
}

/// Reports a comment that does not fit.
pub fn comment(here: Location, text: &str, target: Target, out: &mut Vec<Diagnostic>) {
    let most = if target == Target::Iptables { IPTABLES_COMMENT } else { NFT_COMMENT };
    if text.len() > most {
        out.push(
            Diagnostic::new(
                &COMMENT_TOO_LONG,
                here,
                format!("this comment has {} bytes, and at most {most} fit", text.len()),
            )
            .help("say it in fewer words, and keep the reasons behind a `#` in the policy"),
        );
    }
}

fn changed(here: Location, text: &str, out: &mut Vec<Diagnostic>) {
    if text.contains(|letter: char| letter == '\\' || letter.is_control()) {
        let kept: String = text.chars().map(quotable).collect();
        out.push(
            Diagnostic::new(&TEXT_CHANGED, here, "this text cannot be written as it is")
                .label("a backslash or control character is replaced")
                .fix("write what will stand in the log", here, format!("\"{kept}\"")),
        );
    }
}

fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn cut_at_word(text: &str, most: usize) -> &str {
    let whole = cut(text.trim_end(), most);
    if whole.len() == text.trim_end().len() {
        return whole;
    }
    match whole.rfind(' ') {
        Some(end) if end > most / 2 => whole.get(..end).unwrap_or(whole),
        _ => whole,
    }
}
