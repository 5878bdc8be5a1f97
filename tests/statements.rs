//! Every statement has its effect: for each statement of every policy there is, the rules that carry it are found on each target and in
//! each family that it is for, in the flows and at the hooks that it is about; or a diagnostic explains at the spot why there are none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fwc::database::{Database, Unchecked, project, resolved};
use fwc::diagnostic::Diagnostic;
use fwc::lower::lower;
use fwc::net::Family;
use fwc::netfilter::{Effect, Hook, Rule, Ruleset, TableKind, Target, Verdict};
use fwc::policy::resolve::families;
use fwc::policy::{ChangeKind, Class, Flow, GateLine, Judgement, Nat, Policy, Rank};
use fwc::project::Project;
use fwc::span::{FileId, Location};
use fwc::syntax::tree::{Statement, StatementKind};

use crate::documents;
use crate::fixture::{self, Fixture};

/// Diagnostics that say why a statement has no rule, or none in a part of what it is about.
const EXPLANATIONS: &[&str] = &["FW0373"];

/// A rule that a statement has come to, and where it is.
struct Carrier<'r> {
    table: TableKind,
    chain: &'r str,
    hook: Option<Hook>,
    rule: &'r Rule,
}

/// What has to be found of a statement: a name for it, the families, and whether a rule is it.
struct Wanted {
    what: String,
    location: Location,
    families: Vec<Family>,
    is_it: Box<dyn Fn(&Carrier<'_>) -> bool>,
}

/// The files of a directory and below it, but for what is built there, with the policy first.
fn beside(policy: &Path) -> Fixture {
    fn inside(root: &Path, directory: &Path, files: &mut Vec<(String, String)>) {
        let entries = std::fs::read_dir(directory).expect("a directory");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        for path in paths {
            let name = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
            if path.is_dir() {
                if !["built", "snapshots"].contains(&name.as_str()) {
                    inside(root, &path, files);
                }
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                files.push((name, text));
            }
        }
    }
    let directory = policy.parent().expect("a directory");
    let mut files = Vec::new();
    inside(directory, directory, &mut files);
    let own = policy.file_name().expect("a name").to_string_lossy().into_owned();
    files.sort_by_key(|(name, _)| *name != own);
    if let Ok(facts) = std::fs::read_to_string(policy.with_extension("facts.json")) {
        files.retain(|(name, _)| name != "fwc.facts.json");
        files.push(("fwc.facts.json".to_owned(), facts));
    }
    Fixture { title: policy.display().to_string(), files }
}

/// Every policy of the examples, the documents and the tests.
fn policies() -> Vec<Fixture> {
    let mut found = documents::policies();
    for directory in
        ["construct", "data/policies", "data/policies/01-vps", "data/policies/11-egress", "data/policies/12-fleet"]
    {
        found.extend(fixture::files(directory).iter().map(|path| beside(path)));
    }
    found.extend(crate::examples::EXAMPLES.iter().map(|example| beside(&example.directory().join(example.policy))));
    for directory in ["check", "expect", "traffic"] {
        for path in fixture::files(directory) {
            let text = std::fs::read_to_string(&path).expect("a file");
            let named = |case: Fixture| Fixture { title: format!("{}: {}", path.display(), case.title), ..case };
            found.extend(fixture::cases(&text).1.into_iter().map(named));
        }
    }
    found
}

/// The statements of a policy that are to have an effect, those in blocks included; those of a group only where it is applied.
fn statements(project: &Project) -> Vec<Location> {
    fn inside(file: FileId, statement: &Statement, applied: &BTreeSet<String>, found: &mut Vec<Location>) {
        match &statement.value {
            StatementKind::Rule(_) | StatementKind::Default(_) | StatementKind::Change(_) | StatementKind::Nat(_) => {
                found.push(Location { file, span: statement.span });
            }
            StatementKind::Scope(scope) => scope.body.iter().for_each(|one| inside(file, one, applied, found)),
            StatementKind::Group(group) if applied.contains(&*group.name.value) => {
                group.body.iter().for_each(|one| inside(file, one, applied, found));
            }
            StatementKind::Guest(guest) => {
                guest.gates.iter().flatten().for_each(|gate| inside(file, &gate.statement, applied, found));
            }
            _ => {}
        }
    }
    /// The groups that a statement applies; a group's own only if it is applied itself.
    fn applies(statement: &Statement, applied: &mut BTreeSet<String>) {
        match &statement.value {
            StatementKind::Apply(name) => drop(applied.insert(name.value.to_string())),
            StatementKind::Scope(scope) => scope.body.iter().for_each(|one| applies(one, applied)),
            StatementKind::Group(group) if applied.contains(&*group.name.value) => {
                group.body.iter().for_each(|one| applies(one, applied));
            }
            StatementKind::Guest(guest) => {
                guest.gates.iter().flatten().for_each(|gate| applies(&gate.statement, applied));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    let mut applied = BTreeSet::new();
    let files = || {
        let parsed = (0u32..).map(FileId).zip(&project.parsed);
        parsed
            .filter(|(file, _)| !project.library.contains(file))
            .filter_map(|(file, one)| Some((file, one.as_deref()?)))
    };
    loop {
        let known = applied.len();
        for (_, parsed) in files() {
            parsed.tree.statements.iter().for_each(|statement| applies(statement, &mut applied));
        }
        if applied.len() == known {
            break;
        }
    }
    for (file, parsed) in files() {
        parsed.tree.statements.iter().for_each(|statement| inside(file, statement, &applied, &mut found));
    }
    found
}

fn carriers(rules: &Ruleset) -> Vec<Carrier<'_>> {
    let mut found = Vec::new();
    for table in &rules.tables {
        for chain in &table.chains {
            let hook = chain.base.map(|base| base.hook);
            found.extend(chain.rules.iter().map(|rule| Carrier { table: table.kind, chain: &chain.name, hook, rule }));
        }
    }
    found
}

/// The families in which a judgement has to be found: a container is reached in those in which it publishes.
fn wanted_families(judgement: &Judgement) -> Vec<Family> {
    let published = |family: Family| {
        let list = judgement.to.published.as_ref();
        list.is_none_or(|list| {
            list.is_empty() || list.iter().any(|one| one.only_family().is_none_or(|only| only == family))
        })
    };
    families(judgement).into_iter().filter(|family| published(*family)).collect()
}

/// What has to be found of a policy's statements, each half of each.
fn wanted(policy: &Policy) -> Vec<Wanted> {
    let mut list = Vec::new();
    let mut want = |what: String, judgement: &Judgement, is_it: Box<dyn Fn(&Carrier<'_>) -> bool>| {
        let families = wanted_families(judgement);
        list.push(Wanted { what, location: judgement.location, families, is_it });
    };
    for (flow, judgements) in &policy.flows {
        // Nobody is where no bridge is.
        if [flow.from, flow.to].iter().any(|class| is_absent(policy, *class)) {
            continue;
        }
        for judgement in judgements.iter().filter(|one| matches!(one.rank, Rank::Rule | Rank::Default)) {
            let flow = *flow;
            want(format!("{flow}"), judgement, Box::new(move |carrier| judges(flow, carrier)));
        }
    }
    for early in &policy.early {
        want("early".to_owned(), &early.judgement, Box::new(|carrier| carrier.table == TableKind::Raw));
    }
    for change in &policy.changes {
        let kind = change.kind.clone();
        want(format!("{kind:?} {}", change.flow), &change.judgement, Box::new(move |one| changes(&kind, one.rule)));
    }
    for nat in &policy.nat {
        let (judgement, masquerade) = match nat {
            Nat::Masquerade { judgement, .. } => (judgement, true),
            Nat::Forward { judgement, .. } | Nat::Redirect { judgement, .. } => (judgement, false),
        };
        let hook = match (masquerade, judgement.from.class) {
            (true, _) => Hook::Postrouting,
            (false, Class::Host) => Hook::Output,
            (false, _) => Hook::Prerouting,
        };
        want(
            format!("translation from {}", judgement.from.class),
            judgement,
            Box::new(move |carrier| {
                carrier.table == TableKind::Nat && carrier.hook == Some(hook) && translates(carrier.rule)
            }),
        );
    }
    let lines = policy.gates.iter().flat_map(|gate| gate.lines.iter().map(|(_, line)| line));
    for line in lines.chain(policy.groups.iter().flat_map(|group| &group.lines)) {
        if let GateLine::Rule(judgement) = line {
            want("a guest's own".to_owned(), judgement, Box::new(|carrier| carrier.chain.starts_with("fwc-")));
        }
    }
    list
}

fn is_absent(policy: &Policy, class: Class) -> bool {
    match class {
        Class::Container => policy.cards.container.is_empty(),
        Class::Instance => policy.cards.instance.is_empty(),
        Class::Guest => policy.cards.guest.is_empty(),
        Class::Outside | Class::Host => false,
    }
}

/// Whether a rule is where a flow is judged: in a chain of its own, or that of ports that docker-proxy takes in.
fn judges(flow: Flow, carrier: &Carrier<'_>) -> bool {
    let own = format!("fwc-{}-{}", flow.from, flow.to);
    let published = format!("fwc-{}-published", flow.from);
    let at = |name: &str| carrier.chain.strip_prefix(name).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
    at(&own) || flow.to == Class::Container && at(&published)
}

fn changes(kind: &ChangeKind, rule: &Rule) -> bool {
    rule.effects.iter().any(|effect| match (kind, effect) {
        (ChangeKind::Mark(mark), Effect::SetMark { value, .. }) => mark == value,
        (ChangeKind::Dscp(class), Effect::SetDscp(known)) => class == known,
        (ChangeKind::ClampMss, Effect::ClampMss) | (ChangeKind::Notrack, Effect::Notrack) => true,
        (ChangeKind::Helper(name), Effect::Helper(known)) => name == known,
        _ => false,
    })
}

fn translates(rule: &Rule) -> bool {
    matches!(rule.verdict, Some(Verdict::Masquerade | Verdict::Snat(_) | Verdict::Dnat { .. } | Verdict::Redirect(_)))
}

/// Whether a diagnostic says something of a statement that may explain why no rule carries it.
fn explains(diagnostic: &Diagnostic, statement: Location) -> bool {
    let within = |place: Location| {
        let (inner, outer) = (place.span, statement.span);
        place.file == statement.file && inner.start < outer.end && outer.start < inner.end
    };
    EXPLANATIONS.contains(&diagnostic.code.number) && within(diagnostic.primary.location)
}

/// What is not found of a policy's statements in its rules, and explained by no diagnostic.
fn missing(statements: &[Location], policy: &Policy, rules: &Ruleset, said: &[Diagnostic]) -> Vec<(Location, String)> {
    let carriers = carriers(rules);
    let wanted = wanted(policy);
    let mut found = Vec::new();
    for &statement in statements.iter().filter(|one| !said.iter().any(|diagnostic| explains(diagnostic, **one))) {
        let own: Vec<&Wanted> = wanted.iter().filter(|one| one.location == statement).collect();
        if own.is_empty() {
            found.push((statement, "means nothing".to_owned()));
        }
        for one in own {
            let carried = |family: Family| {
                let mut own = carriers.iter().filter(|carrier| carrier.rule.origin == Some(statement));
                own.any(|it| it.rule.family.is_none_or(|only| only == family) && (one.is_it)(it))
            };
            let lost: Vec<Family> = one.families.iter().copied().filter(|family| !carried(*family)).collect();
            found.extend(lost.iter().map(|family| (statement, format!("{}: no rule of {family}", one.what))));
        }
    }
    found
}

/// A policy as it is built for a target: its statements, what they mean, the rules, and what is said of it. `None`: it has errors.
fn built(fixture: &Fixture, target: Target) -> Option<(Vec<Location>, Policy, Ruleset, Vec<Diagnostic>)> {
    let mut db = Database::default();
    let input = fixture.load(&mut db, Some(target));
    let case = Unchecked::new(&db, input).check(&|| false).expect("not given up");
    let said: Vec<Diagnostic> = case.said().cloned().collect();
    if said.iter().any(Diagnostic::is_error) {
        return None;
    }
    let policy = resolved(&db, input).0.clone();
    let rules = lower(&policy, target).0;
    Some((statements(project(&db, input)), policy, rules, said))
}

#[test]
fn every_statement_has_its_effect_or_is_explained() {
    let (mut seen, mut lost) = (0, Vec::new());
    for fixture in policies() {
        for target in [Target::Iptables, Target::Nft] {
            let Some((statements, policy, rules, said)) = built(&fixture, target) else { continue };
            seen += statements.len();
            for (place, what) in missing(&statements, &policy, &rules, &said) {
                let text = fixture.files.get(place.file.0 as usize).map_or("", |(_, text)| text);
                let text = text.get(place.span.start as usize..place.span.end as usize).unwrap_or("?");
                lost.push(format!("{}, {target:?}: `{text}`: {what}", fixture.title));
            }
        }
    }
    assert!(lost.is_empty(), "{} of {seen} have no effect:\n{}", lost.len(), lost.join("\n"));
    assert!(seen > 1_500, "only {seen} statements");
}

/// Rules that are taken away are missed, each: else the test above would say nothing.
#[test]
fn a_statement_without_its_rules_is_missed() {
    let text = "\
interface lan = eth1
interface wan = eth0
allow ssh from { lan, container } to host
masquerade from lan to wan
redirect http from { host, lan } to port 3128
mark 0x1 from lan to world
deny from 192.0.2.0/24 early
";
    for target in [Target::Iptables, Target::Nft] {
        let (statements, policy, rules, said) = built(&Fixture::new("whole", text), target).expect("no errors");
        assert_eq!(missing(&statements, &policy, &rules, &said), [], "{target:?}");
        for &statement in &statements {
            let mut less = rules.clone();
            for chain in less.tables.iter_mut().flat_map(|table| &mut table.chains) {
                chain.rules.retain(|rule| rule.origin != Some(statement));
            }
            let missed = missing(&statements, &policy, &less, &said);
            let text = text.get(statement.span.start as usize..statement.span.end as usize).unwrap_or_default();
            assert!(!missed.is_empty(), "{target:?}: `{text}` is not missed");
            assert!(missed.iter().all(|(place, _)| *place == statement), "{target:?}: `{text}`: {missed:?}");
        }
        // Half of a statement: what the host itself sends is redirected on OUTPUT.
        let mut half = rules.clone();
        let chains = half.tables.iter_mut().flat_map(|table| &mut table.chains);
        for chain in chains.filter(|chain| chain.base.is_some_and(|base| base.hook == Hook::Output)) {
            chain.rules.clear();
        }
        let missed = missing(&statements, &policy, &half, &said);
        assert_eq!(missed.len(), 2, "{target:?}: {missed:?}");
    }
}
