//! What there is to know about a place: a name and what it stands for; a statement, the rules that it becomes, and the way of its
//! connections through the host.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::counted::Counted;
use super::names::{Index, unquoted};
use super::{describe, outline, road, text, words};
use crate::database::{self, Db, ProjectInput, Written, WrittenLine};
use crate::net::{AddressRange, AddressSet, Family};
use crate::netfilter::Target;
use crate::policy::resolve::families;
use crate::policy::{Class, Flow, GateLine, Judgement, Nat, Policy, Rank};
use crate::span::{FileId, Location, Span};
use crate::syntax::outline::{Entry, Naming, Outline, Role, Word};

/// Lines of one target that are shown.
const MOST_LINES: usize = 16;
/// Flows of a statement whose ways are shown.
const MOST_FLOWS: usize = 4;

/// What there is to know about a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hover {
    /// What it is about.
    pub span: Span,
    /// In words, Markdown.
    pub text: String,
}

/// What there is to know about a place: of a name what it stands for, of any other word what it means and what its statement becomes.
#[must_use]
pub fn hover(db: &dyn Db, input: ProjectInput, file: FileId, offset: u32) -> Option<Hover> {
    let source = text(db, input, file);
    let index = Index::new(db, input);
    if let Some((symbol, span)) = index.at(file, offset) {
        let declared = index.declarations(&symbol);
        let text = if declared.is_empty() && index.in_facts(&symbol).is_none() {
            format!("{} `{}`\n\nnothing that is known declares it", symbol.kind.name(), symbol.name)
        } else {
            describe::symbol(db, input, &symbol, declared)
        };
        return Some(Hover { span, text });
    }
    let outline = outline(db, input, file)?;
    let entry = outline.entry_at(offset).and_then(|at| outline.entries.get(at));
    let word = outline.word_at(offset).filter(|word| offset < word.span.end || word.span.start == offset);
    let inside = entry.filter(|entry| entry.span.start <= offset && offset <= entry.span.end);
    let mut text = word.map(|word| of_word(db, input, file, source, word)).unwrap_or_default();
    let raw = word.filter(|word| word.role == Role::Raw).map(|word| word.span);
    let whole = raw.or_else(|| inside.map(|entry| entry.span));
    let named = word.is_some_and(|word| matches!(word.role, Role::Name { .. } | Role::Path));
    if let Some(span) = whole.filter(|_| !named) {
        let body = statement(db, input, Location { file, span });
        if !text.is_empty() && !body.is_empty() {
            text.push_str("\n\n---\n\n");
        }
        text.push_str(&body);
    }
    let span = word.map(|word| word.span).or(whole)?;
    if let Some(entry) = entry.filter(|entry| entry.block.is_some() && inside.is_some() && !named) {
        text.push_str(&block(outline, entry));
    }
    (!text.is_empty()).then_some(Hover { span, text })
}

/// What a word means that is no name of the policy's.
fn of_word(db: &dyn Db, input: ProjectInput, file: FileId, source: &str, word: Word) -> String {
    let written = source.get(word.span.range()).unwrap_or_default();
    match word.role {
        Role::Allow | Role::Deny | Role::Keyword | Role::PlaceWord | Role::Protocol => {
            words::meaning(written).map(|meaning| format!("**{written}**: {meaning}")).unwrap_or_default()
        }
        Role::Address => address(db, input, written),
        Role::Path => {
            let links = super::links(db, input, file).into_iter().filter(|link| link.span.start > word.span.start);
            let here = links.filter(|link| link.span.end <= word.span.end);
            let read: Vec<String> = here
                .map(|link| {
                    let lines = text(db, input, link.target).lines().count();
                    let path =
                        input.files(db).get(link.target.0 as usize).map_or("", |(file, _)| &file.source(db).path);
                    format!("- `{path}`, {lines} line{}", if lines == 1 { "" } else { "s" })
                })
                .collect();
            if read.is_empty() { String::new() } else { format!("reads\n\n{}", read.join("\n")) }
        }
        Role::Name { naming, .. } => name(db, input, naming, unquoted(written)),
        _ => String::new(),
    }
}

/// What a name is that the policy does not declare.
fn name(db: &dyn Db, input: ProjectInput, naming: Naming, name: &str) -> String {
    let facts = &database::resolved(db, input).0.facts;
    match naming {
        Naming::Via | Naming::Card => {
            let mut out = format!("card `{name}`");
            if let Some(card) = facts.interfaces.get(name) {
                let addresses: Vec<String> = card.addresses.iter().map(ToString::to_string).collect();
                let _ = write!(out, " of the host\n\n{}", addresses.join(", "));
                if let Some(bridge) = &card.bridge {
                    let _ = write!(out, "\n\na port of bridge `{bridge}`");
                }
            }
            out
        }
        Naming::Platform => match crate::platform::Platform::load(name) {
            Some(platform) => {
                let bridges: Vec<String> = platform.bridges.iter().map(ToString::to_string).collect();
                let known =
                    if bridges.is_empty() { String::new() } else { format!(", bridges {}", bridges.join(", ")) };
                format!("platform {}{known}", platform.title)
            }
            None => String::new(),
        },
        Naming::Fact => match facts.source(name) {
            Some(_) => format!("fact `{name}`, known"),
            None => format!("fact `{name}`"),
        },
        Naming::Icmp => format!("ICMP type `{name}`"),
        Naming::User => format!("user `{name}` of the host"),
        Naming::Place => format!("`{name}`: nothing that is known declares it"),
        _ => String::new(),
    }
}

/// The sets that hold an address.
fn address(db: &dyn Db, input: ProjectInput, written: &str) -> String {
    let Ok(range) = written.parse::<AddressRange>() else { return String::new() };
    let own = AddressSet::new([range]);
    let holds = |name: &&String| {
        let parties = database::meanings(db, input).sets.get(*name).map(Vec::as_slice).unwrap_or_default();
        parties.iter().filter_map(|party| party.addresses.as_ref()).any(|set| set.covers(&own))
    };
    let sets: Vec<String> =
        database::meanings(db, input).sets.keys().filter(holds).map(|name| format!("`{name}`")).collect();
    if sets.is_empty() { format!("`{range}`") } else { format!("`{range}`, in {}", sets.join(", ")) }
}

/// What a block holds.
fn block(outline: &Outline, entry: &Entry) -> String {
    let Some(block) = entry.block else { return String::new() };
    let inside = |other: &&Entry| block.start < other.span.start && other.span.end <= block.end;
    let (mut rules, mut blocks) = (0usize, 0usize);
    for other in outline.entries.iter().filter(inside) {
        if other.block.is_some() { blocks += 1 } else { rules += 1 }
    }
    let blocks = if blocks > 0 { format!(" in {} blocks", blocks + 1) } else { String::new() };
    if rules == 0 { String::new() } else { format!("\n\nholds {rules} statements{blocks}") }
}

/// What a statement becomes, and the way of its connections.
fn statement(db: &dyn Db, input: ProjectInput, at: Location) -> String {
    let (policy, _) = &**database::resolved(db, input);
    let chosen = database::project(db, input).target(&policy.facts);
    let mut out = String::new();
    for target in [chosen, if chosen == Target::Nft { Target::Iptables } else { Target::Nft }] {
        let written = database::written(db, input, target);
        let mut counted = Counted::new(&policy.facts, target);
        let lines = lines(written, target, at, |alike| counted.remark(db, input, at, alike));
        if lines.is_empty() {
            continue;
        }
        let (title, language) = match target {
            Target::Iptables => ("iptables", "iptables"),
            Target::Nft => ("nft", "nft"),
        };
        let built = if target == chosen { "" } else { ", if that were the target" };
        let _ = write!(out, "**{title}**{built}\n\n```{language}\n{lines}```\n\n");
    }
    if !out.is_empty() && !database::written(db, input, chosen).whole {
        out.push_str("*The project has errors: nothing is built until they are mended.*\n\n");
    }
    out.push_str(&ends(policy, at));
    out.push_str(&ways(policy, at));
    out.trim_end().to_owned()
}

/// The lines that come from a statement, under the chain or table that they stand in, and under each what there is to remark on it: of a line
/// that is the same for both families, on both.
fn lines(
    written: &Written,
    target: Target,
    at: Location,
    mut remark: impl FnMut(&[&WrittenLine]) -> Option<String>,
) -> String {
    let own: Vec<_> = written.lines.iter().filter(|line| line.origins.iter().any(|one| lies_in(one, at))).collect();
    // What is the same for both families is shown once.
    let mut families: BTreeMap<(&str, &str), Vec<&WrittenLine>> = BTreeMap::new();
    for one in &own {
        let alike = families.entry((one.line.table.name(), &one.line.text)).or_default();
        if alike.iter().all(|other| other.line.family != one.line.family) {
            alike.push(one);
        }
    }
    let mut shown = BTreeSet::new();
    let mut parts: Vec<(String, String)> = Vec::new();
    for one in &own {
        let line = &one.line;
        let chain = if target == Target::Nft { &*line.chain } else { "" };
        if !shown.insert((line.table.name(), line.text.as_str(), chain)) || shown.len() > MOST_LINES {
            continue;
        }
        let alike = families.get(&(line.table.name(), line.text.as_str())).map(Vec::as_slice).unwrap_or_default();
        let family = match line.family.filter(|_| alike.len() < 2) {
            None => "IPv4 and IPv6",
            Some(Family::Ipv4) => "IPv4",
            Some(Family::Ipv6) => "IPv6",
        };
        let heading = match target {
            Target::Iptables => format!("# table {}, {family}\n", line.table.name()),
            Target::Nft => {
                format!("# table {} fwc, chain {}\n", if line.bridge { "bridge" } else { "inet" }, line.chain)
            }
        };
        let at = parts.iter().position(|(known, _)| *known == heading).unwrap_or_else(|| {
            parts.push((heading, String::new()));
            parts.len() - 1
        });
        if let Some((_, lines)) = parts.get_mut(at) {
            lines.push_str(&line.text);
            lines.push('\n');
            if let Some(remark) = remark(alike) {
                let _ = writeln!(lines, "# {remark}");
            }
        }
    }
    let mut out: String = parts.into_iter().flat_map(|(heading, lines)| [heading, lines]).collect();
    if shown.len() > MOST_LINES {
        let _ = writeln!(out, "# and {} lines more", shown.len() - MOST_LINES);
    }
    out
}

/// Whether a place is a statement or lies in it.
pub(super) fn lies_in(place: &Location, statement: Location) -> bool {
    let (own, whole) = (place.span, statement.span);
    place.file == statement.file && whole.start <= own.start && own.end <= whole.end
}

/// The judgements of a statement, one for each flow that it speaks of: as a rule or default, in a gate, as a change or a translation.
fn judgements(policy: &Policy, at: Location) -> Vec<(Flow, &Judgement)> {
    let rules = policy.flows.values().flatten();
    let rules = rules.filter(|one| matches!(one.rank, Rank::Rule | Rank::Default));
    let gates = policy.gates.iter().flat_map(|gate| gate.lines.iter().map(|(_, line)| line));
    let lines = gates.chain(policy.groups.iter().flat_map(|group| &group.lines));
    let gates = lines.filter_map(|line| if let GateLine::Rule(judgement) = line { Some(&**judgement) } else { None });
    let changes = policy.changes.iter().map(|change| &change.judgement);
    let translations = policy.nat.iter().map(|nat| match nat {
        Nat::Masquerade { judgement, .. } | Nat::Forward { judgement, .. } | Nat::Redirect { judgement, .. } => {
            judgement
        }
    });
    let mut found: Vec<(Flow, &Judgement)> = Vec::new();
    for judgement in rules.chain(gates).chain(changes).chain(translations).filter(|one| one.location == at) {
        let flow = Flow { from: judgement.from.class, to: judgement.to.class };
        if !found.iter().any(|(known, _)| *known == flow) {
            found.push((flow, judgement));
        }
    }
    found.sort_by_key(|(flow, _)| *flow);
    found
}

/// The flows that end in deny because of a statement, said in a sentence.
fn ends(policy: &Policy, at: Location) -> String {
    let closed = |list: &Vec<Judgement>| list.iter().any(|one| one.rank == Rank::End && one.location == at);
    let flows: Vec<String> =
        policy.flows.iter().filter(|(_, list)| closed(list)).map(|(flow, _)| flow.to_string()).collect();
    if flows.is_empty() {
        return String::new();
    }
    format!("An allow closes its flow: what no rule allows is denied, by the last line of {}.\n\n", flows.join(", of "))
}

/// The flows that a statement judges, and the ways of their connections.
fn ways(policy: &Policy, at: Location) -> String {
    let flows = judgements(policy, at);
    let mut out = String::new();
    for (flow, judgement) in flows.iter().take(MOST_FLOWS) {
        let found: Vec<(Family, (&str, String))> = families(judgement)
            .into_iter()
            .filter_map(|family| Some((family, road::ways(policy, *flow, judgement, family)?)))
            .collect();
        let among = if flow.from == flow.to && flow.from != Class::Outside { ", over two bridges" } else { "" };
        match found.as_slice() {
            [] => {}
            [(_, (platform, first)), (_, (_, second))] if first == second => {
                let _ = write!(out, "**{flow}**{among} ({platform})\n\n{first}\n");
            }
            list => {
                for (family, (platform, ways)) in list {
                    let family = if *family == Family::Ipv4 { "IPv4" } else { "IPv6" };
                    let _ = write!(out, "**{flow}**{among}, {family} ({platform})\n\n{ways}\n");
                }
            }
        }
    }
    if flows.len() > MOST_FLOWS {
        let _ = writeln!(out, "and {} flows more", flows.len() - MOST_FLOWS);
    }
    out
}
