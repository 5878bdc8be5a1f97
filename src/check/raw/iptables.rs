//! Lines in iptables' words.

use super::Line;
use super::codes::{
    BOTH_FAMILIES, COMMAND, FOREIGN_CHAIN, LOG_WITHOUT_LIMIT, NOT_READ, OLD_STATE_MATCH, OPENS_UNPUBLISHED,
    OTHER_BACK_END, PORT_WITHOUT_PROTOCOL, REFUSED, TOO_MANY_PORTS, UNKNOWN_TARGET, WITHOUT_DIRECTION, WRONG_DIRECTION,
    WRONG_PLACE,
};
use crate::check::limits;
use crate::diagnostic::{Diagnostic, Edit, Help};
use crate::names::closest;
use crate::net::{Card, Family, PortRange, Protocol};
use crate::netfilter::restrictions;
use crate::netfilter::words::{self, IptablesRule, RuleOption};
use crate::netfilter::{Hook, TableKind, Target, entry};
use crate::platform;
use crate::policy::who::codes::CARD_NAME_TOO_LONG;
use crate::read::{self, Fault, FaultKind};

/// Targets of iptables 1.8's own extensions that end nothing in a table's usual use.
const TARGETS: &[&str] = &[
    "ACCEPT",
    "DROP",
    "RETURN",
    "REJECT",
    "LOG",
    "NFLOG",
    "ULOG",
    "MARK",
    "CONNMARK",
    "CT",
    "NOTRACK",
    "DNAT",
    "SNAT",
    "MASQUERADE",
    "REDIRECT",
    "NETMAP",
    "TCPMSS",
    "TCPOPTSTRIP",
    "DSCP",
    "TOS",
    "ECN",
    "TTL",
    "HL",
    "TPROXY",
    "TEE",
    "SET",
    "QUEUE",
    "NFQUEUE",
    "CLASSIFY",
    "CHECKSUM",
    "AUDIT",
    "SYNPROXY",
    "RATEEST",
    "CLUSTERIP",
    "CONNSECMARK",
    "SECMARK",
    "TRACE",
    "HMARK",
    "IDLETIMER",
    "LED",
    "DNPT",
    "SNPT",
];

/// Targets after which no further rule is asked.
const FINAL: &[&str] =
    &["ACCEPT", "DROP", "RETURN", "REJECT", "DNAT", "SNAT", "MASQUERADE", "REDIRECT", "NETMAP", "QUEUE", "NFQUEUE"];

/// Commands of iptables, with the number of words that belong to each.
const COMMANDS: &[(&str, usize)] = &[
    ("-A", 1),
    ("--append", 1),
    ("-I", 1),
    ("--insert", 1),
    ("-D", 1),
    ("--delete", 1),
    ("-R", 1),
    ("--replace", 1),
    ("-F", 1),
    ("--flush", 1),
    ("-X", 1),
    ("--delete-chain", 1),
    ("-N", 1),
    ("--new-chain", 1),
    ("-P", 2),
    ("--policy", 2),
    ("-E", 2),
    ("--rename-chain", 2),
    ("-Z", 1),
    ("--zero", 1),
    ("-L", 1),
    ("--list", 1),
    ("-S", 1),
    ("--list-rules", 1),
    ("-C", 1),
    ("--check", 1),
];

/// Checks one line; whether it decides every packet.
pub(super) fn check(line: &Line<'_>, out: &mut Vec<Diagnostic>) -> bool {
    if command(line, out) {
        return false;
    }
    if !words::is_iptables(line.text) {
        let whole = line.at(0..line.text.len());
        out.push(if super::nft::begins(line.text) {
            Diagnostic::new(&OTHER_BACK_END, whole, "this line is written in nft's words, and the target is iptables")
                .help("write it as `iptables` takes it, or say `target nft`")
        } else {
            Diagnostic::new(&COMMAND, whole, "this line is no rule")
                .help("a rule begins with a match or a target, as in `-p tcp --dport 22 -j ACCEPT`")
        });
        return false;
    }
    let rule = IptablesRule::read(line.text);
    let told = out.len();
    unread(line, &rule, out);
    protocols(line, &rule, out);
    directions(line, &rule, out);
    texts(line, &rule, out);
    tracking(line, &rule, out);
    ports(line, &rule, out);
    if words::families(line.text).len() > 1 {
        out.push(
            Diagnostic::new(
                &BOTH_FAMILIES,
                line.at(0..line.text.len()),
                "this line is of both families, and no packet is",
            )
            .help("write one line for each family"),
        );
    }
    if let Some(target) = rule.target() {
        self::target(line, &rule, target, out);
    }
    if out.iter().skip(told).all(|one| !one.is_error()) {
        let mut of_line = out.split_off(told);
        refused(line, &rule, &mut of_line);
        // What is refused is known.
        if of_line.iter().any(Diagnostic::is_error) {
            of_line.retain(|one| one.code.number != NOT_READ.number);
        }
        out.append(&mut of_line);
    }
    let Some(target) = rule.target() else { return false };
    let goes = target.name == "-g" || FINAL.contains(&target.value());
    goes && rule.matches_everything()
}

/// Reports a command; a line that has one is not looked at further.
fn command(line: &Line<'_>, out: &mut Vec<Diagnostic>) -> bool {
    let words = words::words(line.text);
    let mut at = 0;
    if words
        .first()
        .is_some_and(|word| ["iptables", "ip6tables", "iptables-nft", "iptables-legacy"].contains(&word.text))
    {
        at = 1;
    }
    while words.get(at).is_some_and(|word| ["-t", "--table"].contains(&word.text)) {
        at += 2;
    }
    let Some(first) = words.get(at) else { return false };
    if first.quoted {
        return false;
    }
    let whole = line.at(0..line.text.len());
    if first.text.starts_with(['*', ':']) || first.text == "COMMIT" {
        out.push(
            Diagnostic::new(&COMMAND, whole, format!("`{}` belongs to a saved file, not to a rule", first.text))
                .help("a `chain` block holds rules alone; the block says table and hook"),
        );
        return true;
    }
    let Some((command, _)) = COMMANDS.iter().find(|(command, _)| *command == first.text) else {
        if at > 0 {
            out.push(
                Diagnostic::new(&COMMAND, whole, "this line is a command")
                    .help("write the rule alone, from its first match on"),
            );
        }
        return at > 0;
    };
    let chain = words.get(at + 1);
    if let Some(chain) = chain
        && chain.text != line.said
        && let Some(owned) = platform::owner_of(None, line.kind.name(), chain.text)
    {
        out.push(
            Diagnostic::new(
                &FOREIGN_CHAIN,
                line.at(first.start..chain.end),
                format!("`{}` is {}'s own chain", chain.text, owned.owner),
            )
            .label("fwc writes to its own chains alone")
            .help("say what is to happen in the language, or write to a hook: `chain filter FORWARD { … }`"),
        );
        return true;
    }
    let end = chain.map_or(first.end, |chain| chain.end);
    let fault = Diagnostic::new(
        &COMMAND,
        line.at(first.start..end),
        format!("`{command}` is a command, and a line here is a rule"),
    );
    let appends = ["-A", "--append", "-I", "--insert"].contains(command);
    let rest = words.get(at + 2).filter(|word| word.text.starts_with(['-', '!']));
    out.push(match (chain, rest) {
        (Some(chain), Some(rest)) if appends && chain.text == line.said => {
            fault.fix("leave the command out: the block says where the rule goes", line.at(0..rest.start), "")
        }
        _ if appends => fault.help("write the rule alone, in a block for its own chain"),
        _ if ["-P", "--policy"].contains(command) => {
            fault.help("say it in the language: `default deny to host`").help("fwc never changes a built-in chain")
        }
        _ => fault.help("fwc makes, fills and empties its own chains, and leaves those of others alone"),
    });
    true
}

fn unread(line: &Line<'_>, rule: &IptablesRule<'_>, out: &mut Vec<Diagnostic>) {
    for word in &rule.unread {
        let here = line.at(word.range());
        let fault = Diagnostic::new(&NOT_READ, here, format!("cannot read `{}`: it is emitted unchecked", word.text));
        out.push(match closest(word.text, words::option_names()).filter(|near| !word.text.starts_with(near)) {
            Some(near) => fault.fix(format!("did you mean `{near}`?"), here, near),
            None => {
                fault.help("test the file on the host: if its tools cannot read the word either, nothing is loaded")
            }
        });
    }
}

/// What the tools refuse, as far as the other checks have not said it; and matches and targets of which it is not known.
fn refused(line: &Line<'_>, rule: &IptablesRule<'_>, out: &mut Vec<Diagnostic>) {
    let fault = |range, what| Diagnostic::new(&REFUSED, line.at(range), what).label("iptables refuses the whole file");
    if let Some((range, what)) = restrictions::refusal(rule, line.kind, Some(line.hook)) {
        out.push(fault(range, what).help("correct it, or say it in the language"));
        return;
    }
    if let Some(refused) = read_families(line).find_map(|read| read.faults.into_iter().find(is_wrong)) {
        let place = line.at(refused.span.range());
        let found = fault(refused.span.range(), refused.message);
        out.push(match refused.replacement {
            Some(replacement) => found.fix(refused.help, place, replacement),
            None => found.help(refused.help),
        });
        return;
    }
    for option in &rule.options {
        let value = option.value();
        let looks = matches!(option.name, "--match-set" | "--add-set" | "--del-set");
        if looks && value.starts_with("fwc-") && !is_live_set(line, value) {
            let what = format!("no set `{value}` is made by this policy");
            out.push(
                fault(option.range(), what).help("declare it: `set NAME live` makes `fwc-NAME-v4` and `fwc-NAME-v6`"),
            );
        } else if looks && !value.starts_with("fwc-") {
            not_checked(line, option, &format!("set `{value}`"), out);
        }
        if option.name == "-m" && !restrictions::is_known("-m", value) {
            not_checked(line, option, &format!("match `{value}`"), out);
        }
        if option.name == "-j" && TARGETS.contains(&value) && !restrictions::is_known("-j", value) {
            not_checked(line, option, &format!("target `{value}`"), out);
        }
    }
}

/// The line as the tools of its families read it.
fn read_families<'l>(line: &'l Line<'_>) -> impl Iterator<Item = read::Line> + 'l {
    let families = match words::families(line.text).as_slice() {
        [] => Family::BOTH.to_vec(),
        named => named.to_vec(),
    };
    families.into_iter().map(|family| read::iptables_line(line.text, line.kind, family, &[]))
}

/// Whether the tools refuse what is written, or take it for something else.
fn is_wrong(fault: &Fault) -> bool {
    fault.kind.is_refused() || fault.kind == FaultKind::Misread
}

fn is_live_set(line: &Line<'_>, name: &str) -> bool {
    let own = entry::live_set_name(name);
    line.policy.live_sets.iter().any(|set| own == Some(&*set.name))
}

fn not_checked(line: &Line<'_>, option: &RuleOption<'_>, what: &str, out: &mut Vec<Diagnostic>) {
    out.push(
        Diagnostic::new(&NOT_READ, line.at(option.range()), format!("the {what} is emitted unchecked"))
            .help("test the file on the host: if its tools do not know it, nothing is loaded"),
    );
}

/// The name of a protocol as iptables takes it, as a number.
fn protocol(name: &str) -> Option<Protocol> {
    match name {
        "ipv6-icmp" | "icmp6" => Some(Protocol::ICMPV6),
        _ => Protocol::by_name(name),
    }
}

fn protocols(line: &Line<'_>, rule: &IptablesRule<'_>, out: &mut Vec<Diagnostic>) {
    let said = rule.protocol().and_then(protocol);
    for option in &rule.options {
        let (what, fits, example) = match option.name {
            "--dport" | "--sport" | "--dports" | "--sports" | "--ports" => {
                ("ports", said.is_some_and(Protocol::has_ports), "-p tcp ")
            }
            "--syn" | "--tcp-flags" | "--tcp-option" => ("TCP flags", said == Some(Protocol::TCP), "-p tcp "),
            "--icmp-type" => ("ICMP types", said == Some(Protocol::ICMP), "-p icmp "),
            "--icmpv6-type" => ("ICMPv6 types", said == Some(Protocol::ICMPV6), "-p ipv6-icmp "),
            _ => continue,
        };
        if fits {
            continue;
        }
        let here = line.at(option.flag.range());
        let fault = Diagnostic::new(
            &PORT_WITHOUT_PROTOCOL,
            here,
            format!("`{}` compares {what}, and the line does not say `{}`", option.flag.text, example.trim_end()),
        );
        let all = rule.option("-p");
        out.push(match all {
            Some(other) => fault
                .related(line.at(other.range()), "this protocol has none")
                .help(format!("compare {what} in a line of its own, with `{}`", example.trim_end())),
            None => fault.fix("say the protocol", line.at(0..0), example),
        });
        return;
    }
}

fn directions(line: &Line<'_>, rule: &IptablesRule<'_>, out: &mut Vec<Diagnostic>) {
    use Hook::{Forward, Input, Output, Postrouting, Prerouting};
    for option in &rule.options {
        let (wrong, why): (&[Hook], &str) = match option.name {
            "-o" => (&[Prerouting, Input], "a packet that arrives has no departure card yet"),
            "--physdev-out" | "--physdev-is-out" => {
                (&[Prerouting, Input, Output], "the bridge port of departure is not known here")
            }
            "-i" => (&[Output, Postrouting], "a packet that leaves has no arrival card any more"),
            "--physdev-in" | "--physdev-is-in" => (&[Output], "the host's own packets came in by no bridge port"),
            "--mac-source" => (&[Output, Postrouting], "a packet that leaves has no Ethernet source yet"),
            "--uid-owner" | "--gid-owner" | "--socket-exists" => {
                (&[Prerouting, Input, Forward], "only the host's own packets have a user")
            }
            _ => continue,
        };
        if !wrong.contains(&line.hook) {
            continue;
        }
        let fault = Diagnostic::new(
            &WRONG_DIRECTION,
            line.at(option.range()),
            format!("`{}` cannot be compared at {}", option.flag.text, line.hook.chain()),
        )
        .label(why);
        out.push(match option.name {
            "-o" => fault.fix("the card of arrival is", line.at(option.flag.range()), "-i"),
            "-i" => fault.fix("the card of departure is", line.at(option.flag.range()), "-o"),
            _ => fault.help("take it out, or write the rule at a hook that sees it"),
        });
    }
}

fn texts(line: &Line<'_>, rule: &IptablesRule<'_>, out: &mut Vec<Diagnostic>) {
    for option in &rule.options {
        let Some(value) = option.values.first() else { continue };
        let here = line.at(value.range());
        match option.name {
            "--log-prefix" => limits::prefix(here, value.text, Target::Iptables, out),
            "--comment" => limits::comment(here, value.text, Target::Iptables, out),
            "-i" | "-o" | "--physdev-in" | "--physdev-out" if Card::parse(value.text).name.len() > Card::MAX => {
                let message = format!("`{}` is longer than an interface name can be", value.text);
                out.push(
                    Diagnostic::new(&CARD_NAME_TOO_LONG, here, message).help("interface names have at most 15 bytes"),
                );
            }
            "--dports" | "--sports" | "--ports" => {
                let count: usize = value.text.split(',').map(|part| if part.contains(':') { 2 } else { 1 }).sum();
                if count > 15 {
                    out.push(
                        Diagnostic::new(&TOO_MANY_PORTS, here, format!("{count} ports, and multiport takes 15"))
                            .label("a range counts two")
                            .help("divide the list over two lines, or say it in the language, which has no such limit"),
                    );
                }
            }
            _ => {}
        }
    }
}

fn tracking(line: &Line<'_>, rule: &IptablesRule<'_>, out: &mut Vec<Diagnostic>) {
    if let Some(option) = rule.option("--ctorigdstport").filter(|_| rule.option("--ctdir").is_none()) {
        let end = option.range().end;
        out.push(
            Diagnostic::new(
                &WITHOUT_DIRECTION,
                line.at(option.range()),
                "replies and outgoing connections match this too",
            )
            .label("what the connection was opened to, in both directions")
            .fix("ask for the direction in which it was opened", line.at(end..end), " --ctdir ORIGINAL"),
        );
    }
    let module = rule.options.iter().find(|option| option.name == "-m" && option.value() == "state");
    if let (Some(module), Some(state)) = (module, rule.option("--state")) {
        let edits = vec![
            Edit { location: line.at(module.range()), replacement: "-m conntrack".to_owned() },
            Edit { location: line.at(state.flag.range()), replacement: "--ctstate".to_owned() },
        ];
        let mut note = Diagnostic::new(&OLD_STATE_MATCH, line.at(module.range()), "`-m state` is an old name");
        note.helps.push(Help { message: "write the match that replaced it".to_owned(), edits });
        out.push(note);
    }
}

/// Ports and ranges in an option's value; names of services are looked up by nobody here.
fn numbers(option: &RuleOption<'_>) -> Vec<PortRange> {
    let read = |part: &str| {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        let first = if first.is_empty() { 0 } else { first.parse().ok()? };
        let last = if last.is_empty() { u16::MAX } else { last.parse().ok()? };
        Some(PortRange { first, last })
    };
    option.value().split(',').filter_map(read).collect()
}

fn ports(line: &Line<'_>, rule: &IptablesRule<'_>, out: &mut Vec<Diagnostic>) {
    let Some(protocol) = rule.protocol().and_then(protocol) else { return };
    let v6 = words::families(line.text) == [Family::Ipv6];
    let local = rule
        .option("-i")
        .is_some_and(|card| card.value() == "lo" || line.policy.cards.class_of(&Card::parse(card.value())).is_some());
    for option in rule.options.iter().filter(|option| ["--dport", "--dports"].contains(&option.name) && !option.negated)
    {
        let ports = numbers(option);
        let here = line.at(option.range());
        // docker-proxy takes IPv6 and the bridges' own traffic to INPUT: there the rule decides.
        if !v6 && !local {
            out.extend(super::bypassed(line, here, protocol, &ports));
        }
        let tracked = rule.module("conntrack");
        let rewritten = (option.name == "--dport" && !tracked)
            .then(|| format!("-m conntrack --ctstate DNAT --ctorigdstport {} --ctdir ORIGINAL", option.value()));
        out.extend(super::after_nat(line, here, protocol, &ports, rewritten));
    }
}

fn target(line: &Line<'_>, rule: &IptablesRule<'_>, target: &RuleOption<'_>, out: &mut Vec<Diagnostic>) {
    let name = target.value();
    let here = line.at(target.range());
    if !TARGETS.contains(&name) {
        if let Some(fault) = stranger(line, target) {
            out.push(fault);
        }
        return;
    }
    wrong_place(line, target, out);
    if matches!(name, "LOG" | "NFLOG") && !["limit", "hashlimit", "recent"].iter().any(|module| rule.module(module)) {
        let start = target.flag.start;
        out.push(
            Diagnostic::new(&LOG_WITHOUT_LIMIT, here, "this writes to the log for every packet that matches")
                .label("whoever sends packets fills the log")
                .fix("give it a rate", line.at(start..start), "-m limit --limit 10/minute "),
        );
    }
    if name == "ACCEPT" && line.said == "DOCKER-USER" && !rule.module("conntrack") {
        let word = target.values.first().map_or(target.flag, |word| *word);
        out.push(
            Diagnostic::new(&OPENS_UNPUBLISHED, here, "ACCEPT here also opens what Docker itself would drop")
                .label("unpublished ports, other bridges, internal networks")
                .fix("let Docker decide the rest", line.at(word.range()), "RETURN"),
        );
    }
}

/// A jump to a chain that is not ours.
fn stranger(line: &Line<'_>, target: &RuleOption<'_>) -> Option<Diagnostic> {
    let name = target.value();
    let here = line.at(target.range());
    let word = target.values.first().map_or(here, |word| line.at(word.range()));
    if name.starts_with("fwc-") {
        let fault = Diagnostic::new(
            &FOREIGN_CHAIN,
            here,
            format!("`{name}` is a chain that fwc makes and names anew in each build"),
        );
        return Some(fault.help("say in the language what is to happen there"));
    }
    if name == "DOCKER-USER" || platform::owner_of(None, line.kind.name(), name).is_some() {
        let owner = platform::owner_of(None, line.kind.name(), name).map_or("Docker", |owned| owned.owner.as_str());
        let fault = Diagnostic::new(&FOREIGN_CHAIN, here, format!("`{name}` is {owner}'s own chain"))
            .label("where it is not there, the whole file is refused");
        return Some(fault.help(format!("leave the way to it to {owner}; take the line out")));
    }
    let fault =
        Diagnostic::new(&UNKNOWN_TARGET, here, format!("there is no target `{name}`, and no chain of this policy"));
    let upper = TARGETS.iter().find(|known| known.eq_ignore_ascii_case(name)).copied();
    Some(match upper.or_else(|| closest(name, TARGETS.iter().copied())) {
        Some(near) => fault.fix(format!("did you mean `{near}`?"), word, near),
        None => fault.help("if the host has no such chain when this is loaded, the whole file is refused"),
    })
}

fn wrong_place(line: &Line<'_>, target: &RuleOption<'_>, out: &mut Vec<Diagnostic>) {
    use Hook::{Forward, Input, Output, Postrouting, Prerouting};
    let all: &[Hook] = &[Prerouting, Input, Forward, Output, Postrouting];
    let (kind, hooks): (Option<TableKind>, &[Hook]) = match target.value() {
        "REJECT" => (Some(TableKind::Filter), &[Input, Forward, Output]),
        "DNAT" | "REDIRECT" => (Some(TableKind::Nat), &[Prerouting, Output]),
        "SNAT" => (Some(TableKind::Nat), &[Postrouting, Input]),
        "NETMAP" => (Some(TableKind::Nat), &[Prerouting, Output, Input, Postrouting]),
        "MASQUERADE" => (Some(TableKind::Nat), &[Postrouting]),
        "NOTRACK" | "CT" => (Some(TableKind::Raw), &[Prerouting, Output]),
        "DSCP" | "TOS" | "ECN" | "TTL" | "HL" => (Some(TableKind::Mangle), all),
        "TPROXY" => (Some(TableKind::Mangle), &[Prerouting]),
        "CLASSIFY" => (None, &[Forward, Output, Postrouting]),
        "DROP" => {
            if line.kind == TableKind::Nat {
                out.push(
                    Diagnostic::new(&WRONG_PLACE, line.at(target.range()), "DROP does not exist in the nat table")
                        .label("nat is asked for the first packet of a connection alone")
                        .help("drop in `chain filter INPUT` or `chain filter FORWARD`, or with `deny`"),
                );
            }
            return;
        }
        _ => return,
    };
    if kind.is_none_or(|kind| kind == line.kind) && hooks.contains(&line.hook) {
        return;
    }
    let names: Vec<&str> = hooks.iter().map(|hook| hook.chain()).collect();
    let place = match kind {
        Some(kind) => format!(
            "`chain {} {}`",
            kind.name(),
            names.join("` or `").replace("` or `", &format!("` or `chain {} ", kind.name()))
        ),
        None => names.join(", "),
    };
    let fault = Diagnostic::new(
        &WRONG_PLACE,
        line.at(target.range()),
        format!("{} cannot stand in {} {}", target.value(), line.kind.name(), line.said),
    )
    .label("the kernel refuses the whole table");
    let fault = fault.help(format!("it belongs to {place}"));
    out.push(match target.value() {
        "REJECT" => fault.help("DROP can stand here"),
        "MASQUERADE" => fault.help("or say it in the language: `masquerade from lan to wan`"),
        "DNAT" => fault.help("or say it in the language: `forward tcp 2222 from wan to 192.168.2.5 port 22`"),
        _ => fault,
    });
}
