//! From texts to a host. What a text is shows in its name or in what it begins with.

use std::path::Path;
use std::sync::Arc;

use super::{Cards, Host, Vocabulary, attach};
use smallvec::smallvec;

use crate::database::{self, Database};
use crate::diagnostic::Diagnostic;
use crate::facts::{Facts, ForwardPolicy};
use crate::net::{Card, Family};
use crate::netfilter::{Ruleset, Target};
use crate::policy::names::Names;
use crate::policy::who::Places;
use crate::policy::{Policy, service};
use crate::project::{Options, Project, Root, System};
use crate::read::{self, Fault, FaultKind, Form, Reading};
use crate::rules::listing;
use crate::span::{FileId, LineIndex, SourceText, Spanned};
use crate::syntax::tree::{Beside, InterfaceValue, One, Place, Who};
use crate::{assertion, lower};

/// Why there is no host.
#[derive(Clone, Debug)]
pub enum Refused {
    /// A text is none that can be read. Lower case, no final full stop.
    Text(String),
    /// A policy has errors.
    Policy {
        /// Its texts.
        files: Vec<SourceText>,
        /// What is wrong.
        diagnostics: Vec<Diagnostic>,
    },
    /// No tool would load the rule sets.
    Rules {
        /// Their texts.
        files: Vec<SourceText>,
        /// What is wrong.
        diagnostics: Vec<Diagnostic>,
    },
}

/// Puts a host together from texts: at most one policy, and rule sets; the texts in `beside` take part only if there is a policy,
/// or if `roots` has rule sets, as more of them. `options` are a policy's; its facts are known of rule sets, too.
///
/// # Errors
/// Says which text cannot be read, or what is wrong with the policy.
pub fn load(system: &dyn System, roots: Vec<Root>, beside: Vec<Root>, options: Options) -> Result<Host, Refused> {
    let name = roots.iter().map(|root| shown(&root.path)).collect::<Vec<_>>().join(" + ");
    let mut host = Host { name, ..Host::default() };
    let mut policy = None;
    let mut texts = Vec::new();
    for (root, first) in roots.into_iter().map(|root| (root, true)).chain(beside.into_iter().map(|root| (root, false)))
    {
        if is_policy(&root) {
            if !first {
                return Err(Refused::Text(format!(
                    "`{}` is a policy, and what lies beside one is a rule set",
                    shown(&root.path)
                )));
            }
            if policy.replace(root).is_some() {
                return Err(Refused::Text("two policies cannot be one host: let one include the other".to_owned()));
            }
        } else {
            texts.push(root);
        }
    }
    let has_facts = options.facts.is_some();
    let lowered = match policy {
        Some(root) => {
            let lowered = lowered(system, root, options)?;
            host.families = Family::BOTH.to_vec();
            Some(lowered)
        }
        // A policy that says nothing reads the facts.
        None if has_facts => Some(lowered_empty(system, options)?),
        None => {
            host.names = lowered_empty(system, options)?.names;
            None
        }
    };
    let mut facts = Facts::default();
    let mut ours = None;
    if let Some(lowered) = lowered {
        host.files = lowered.files;
        host.policy_files = host.files.len();
        host.cards = Cards::of_facts(&lowered.policy.facts);
        facts = lowered.policy.facts.clone();
        host.names = lowered.names;
        host.policy = Some(lowered.policy);
        ours = Some((lowered.ruleset, lowered.target));
    }
    let alone = texts.is_empty();
    host.recorded = !alone;
    rule_sets(&mut host, texts)?;
    if let Some((ruleset, target)) = ours {
        if alone {
            let said = [(Family::Ipv4, facts.forward_policy_ipv4), (Family::Ipv6, facts.forward_policy_ipv6)];
            for (family, policy) in said {
                if let Some(policy) = policy {
                    attach::forward_policy(&mut host.ruleset, family, policy == ForwardPolicy::Accept);
                }
            }
            let platforms = facts.docker.is_some()
                || facts.podman.is_some()
                || facts.instances.is_some()
                || facts.libvirt.is_some();
            if platforms {
                host.notes.push(
                    "the platform's own chains are not known here: record them with iptables-save or nft, and say --beside FILE"
                        .to_owned(),
                );
            }
        }
        attach::attach(&mut host.ruleset, ruleset, target);
    }
    let rules = host.ruleset.clone();
    host.cards.guess(&rules);
    Ok(host)
}

fn shown(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".to_owned() } else { path.to_string_lossy().into_owned() }
}

/// A file that ends in `.fw`; of a text without such a name, one that begins like no rule set.
fn is_policy(root: &Root) -> bool {
    if root.path.extension().is_some_and(|extension| extension == "fw") {
        return true;
    }
    root.path.as_os_str() == "-" && std::str::from_utf8(&root.bytes).is_ok_and(|text| read::detect(text).is_none())
}

struct Lowered {
    files: Vec<SourceText>,
    ruleset: Ruleset,
    target: Target,
    policy: Policy,
    names: Vocabulary,
}

/// The road of `fwc build`, up to the rules as they stand in source order: before they are folded, each still has its line.
fn lowered(system: &dyn System, root: Root, options: Options) -> Result<Lowered, Refused> {
    let mut db = Database::default();
    let levels = options.levels.clone();
    let input = db.load(system, root, options);
    let project = Arc::clone(database::project(&db, input));
    let resolved = Arc::clone(database::resolved(&db, input));
    let target = project.target(&resolved.0.facts);
    let compiled = database::compile(&db, input, "policy".to_owned());
    if compiled.diagnostics.iter().any(|one| levels.stops(one) && assertion::is_hole(one)) {
        return Err(Refused::Policy { files: project.files.clone(), diagnostics: compiled.diagnostics.clone() });
    }
    let (ruleset, _) = lower::lower(&resolved.0, target);
    let names = vocabulary(&project, &resolved.0);
    Ok(Lowered { files: project.files.clone(), ruleset, target, policy: resolved.0.clone(), names })
}

/// The names that a project declares, and those of the standard library behind them.
fn vocabulary(project: &Project, policy: &Policy) -> Vocabulary {
    let mut found = Vocabulary::default();
    let names = Names::collect(project, &mut Vec::new());
    let places = Places::new(project, &names, &policy.facts, &policy.cards, &[]);
    let mut sets = Vec::new();
    for (name, declared) in &names.sets {
        let place = Spanned { value: Place::Name((*name).into()), span: declared.node.name.span };
        let member = One::new(place, Beside::default());
        let who = Who { span: declared.node.name.span, negated: false, members: smallvec![member] };
        let mut faults = Vec::new();
        let addresses = places.own(declared.file, &who, &mut faults);
        // A set of more than addresses, or one that others fill, is no name of addresses.
        if faults.is_empty() && !addresses.is_empty() {
            sets.push((declared.library, (*name).to_owned(), addresses));
        }
    }
    sets.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    found.own_sets = sets.iter().filter(|(library, ..)| !library).count();
    found.sets = sets.into_iter().map(|(_, name, addresses)| (name, addresses)).collect();
    for (name, declared) in &names.interfaces {
        let cards = match declared.node.value.as_ref().map(|value| &value.value) {
            Some(InterfaceValue::DefaultRoute) => policy.facts.default_route.iter().map(Card::exact).collect(),
            Some(InterfaceValue::Cards(cards)) => cards.iter().map(|card| card.value.clone()).collect(),
            None => Vec::new(),
        };
        if !cards.is_empty() {
            found.interfaces.push(((*name).to_owned(), cards));
        }
    }
    found.interfaces.sort();
    let mut services = Vec::new();
    for (name, declared) in &names.services {
        let mut faults = Vec::new();
        let traffic = service::traffic(&names, declared.file, &declared.node.what, &mut faults);
        if faults.is_empty() {
            services.push((declared.library, declared.location, (*name).to_owned(), traffic));
        }
    }
    // Where two names mean the same, the one that is declared first is the usual one.
    services.sort_by_key(|(library, location, ..)| (*library, location.file, location.span.start));
    found.services = services.into_iter().map(|(_, _, name, traffic)| (name, traffic)).collect();
    found
}

fn lowered_empty(system: &dyn System, options: Options) -> Result<Lowered, Refused> {
    let path = options.facts.as_ref().map(|root| root.path.with_extension("fw")).unwrap_or_default();
    let mut lowered = lowered(system, Root { path, bytes: Vec::new() }, options)?;
    lowered.ruleset = Ruleset::default();
    Ok(lowered)
}

/// Reads rule sets into a host.
fn rule_sets(host: &mut Host, texts: Vec<Root>) -> Result<(), Refused> {
    let (mut readings, mut sets) = (Vec::new(), Vec::new());
    for root in texts {
        let path = shown(&root.path);
        let text = String::from_utf8(root.bytes).map_err(|_| Refused::Text(format!("`{path}` is not UTF-8")))?;
        // What lists nothing is a host without rules.
        let empty = text.trim().is_empty().then_some(Form::Iptables(None));
        let form = read::detect(&text).or(empty).ok_or_else(|| {
            let known = "a policy ends in .fw; a rule set is what iptables-save, ipset save or nft list ruleset print";
            Refused::Text(format!("`{path}` is nothing that can be read here: {known}"))
        })?;
        let file = FileId(u32::try_from(host.files.len()).unwrap_or(u32::MAX));
        let reading = match form {
            Form::Iptables(family) => {
                let family = family.unwrap_or_else(|| super::listing::family(&path));
                speak(host, family);
                read::iptables(file, &text, family)
            }
            Form::Ipset => {
                let (found, faults) = read::ipset(file, &text);
                sets.extend(found);
                Reading { faults, ..Reading::default() }
            }
            Form::Nft => read::nft(file, &text),
            Form::NftJson => read::nft_json(file, &text),
            Form::Script => read::script(file, &text),
        };
        if matches!(form, Form::Nft | Form::NftJson | Form::Script) {
            for family in Family::BOTH {
                if reading.ruleset.tables.iter().any(|table| super::speaks(table.family, family)) {
                    speak(host, family);
                }
            }
        }
        host.files.push(SourceText { path: Arc::from(path.as_str()), text: Arc::from(text.as_str()) });
        readings.push(reading);
    }
    let whole = read::merge(readings, &sets);
    host.ruleset = whole.ruleset;
    let refused: Vec<&Fault> = whole.faults.iter().filter(|fault| fault.kind.is_refused()).collect();
    if !refused.is_empty() {
        let diagnostics = refused.into_iter().map(listing::unreadable).collect();
        return Err(Refused::Rules { files: std::mem::take(&mut host.files), diagnostics });
    }
    not_read(host, &whole.faults);
    Ok(())
}

/// Says what of the rule sets was not read.
fn not_read(host: &mut Host, faults: &[Fault]) {
    for fault in faults {
        let effect = match fault.kind {
            FaultKind::Unread => {
                host.open = true;
                "this may change any answer"
            }
            FaultKind::UnreadRule | FaultKind::Misread => "what this rule does is unknown",
            FaultKind::ChainElsewhere | FaultKind::MissingChain => {
                if fault.missing.as_ref().is_some_and(|missing| missing.is_in(&host.ruleset)) {
                    continue;
                }
                "what it does is unknown"
            }
            FaultKind::Passed | FaultKind::Unloadable | FaultKind::Refused | FaultKind::Broken => continue,
        };
        host.unread = true;
        let Some(source) = host.files.get(fault.file.0 as usize) else { continue };
        let (line, _) = LineIndex::new(&source.text).line_column(fault.span.start);
        host.notes.push(format!("{}:{line}: {}; {effect}", source.path, fault.message));
    }
}

fn speak(host: &mut Host, family: Family) {
    if !host.families.contains(&family) {
        host.families.push(family);
        host.families.sort_unstable();
    }
}
