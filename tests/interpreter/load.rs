//! From files to a flat policy: includes, groups, scopes and gates are unfolded where they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fwc::net::{AddressRange, Card};
use fwc::span::{FileId, LineIndex, Spanned};
use fwc::syntax::tree::{
    Beside, Clauses, InterfaceValue, Nat, One, Place, Rule, RuleOption, Sentence, SetValue, Statement, StatementKind,
    Tree, Who,
};

use super::{FlatRule, Forward, GuestBlock, Policy};

/// The source tree of a text; what does not parse fails the test.
fn parse(path: &Path, text: &str) -> Tree {
    let parsed = fwc::syntax::parse(text, FileId(0));
    assert!(parsed.diagnostics.is_empty(), "{}: {:?}", path.display(), parsed.diagnostics);
    parsed.tree
}

struct Loader<'a> {
    policy: Policy,
    groups: BTreeMap<String, Vec<Statement>>,
    seen: BTreeSet<PathBuf>,
    default_route: &'a str,
    except: BTreeSet<String>,
}

/// Where a statement is read from.
struct Here<'a> {
    path: &'a Path,
    lines: &'a LineIndex,
}

/// Reads a policy and everything that it includes, the standard library's services, sets and prelude from `library`.
/// `default-route` is that card.
pub fn load(path: &Path, library: &Path, default_route: &str) -> Policy {
    let mut loader = Loader {
        policy: Policy::default(),
        groups: BTreeMap::new(),
        seen: BTreeSet::new(),
        default_route,
        except: BTreeSet::new(),
    };
    loader.file(&library.join("services.fw"));
    loader.file(&library.join("sets.fw"));
    assert!(loader.policy.rules.is_empty(), "the library's services and sets hold no rules");
    loader.file(path);
    loader.prelude(&library.join("prelude.fw"));
    loader.policy
}

impl Loader<'_> {
    fn read(path: &Path) -> (Tree, LineIndex) {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (parse(path, &text), LineIndex::new(&text))
    }

    fn file(&mut self, path: &Path) {
        let path = std::fs::canonicalize(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if !self.seen.insert(path.clone()) {
            return;
        }
        let (tree, lines) = Self::read(&path);
        let here = Here { path: &path, lines: &lines };
        // Groups may be applied before they are written.
        for statement in &tree.statements {
            if let StatementKind::Group(group) = &statement.value {
                self.groups.insert(group.name.value.to_string(), group.body.clone());
            }
        }
        self.statements(&tree.statements, &[], &here, &mut |loader, rule| loader.policy.rules.push(rule));
    }

    fn prelude(&mut self, path: &Path) {
        let (tree, lines) = Self::read(path);
        let here = Here { path, lines: &lines };
        for statement in &tree.statements {
            if let StatementKind::Group(group) = &statement.value
                && !self.except.contains(&*group.name.value)
            {
                if &*group.name.value == "invalid" {
                    self.policy.drops_invalid = true;
                    self.policy.before_invalid = self.policy.prelude.len();
                }
                if &*group.name.value == "bridge-services" {
                    self.policy.bridge_services = Some(self.policy.prelude.len());
                }
                self.statements(&group.body, &[], &here, &mut |loader, rule| loader.policy.prelude.push(rule));
            }
        }
    }

    fn statements(
        &mut self,
        statements: &[Statement],
        scopes: &[Clauses],
        here: &Here<'_>,
        push: &mut dyn FnMut(&mut Self, FlatRule),
    ) {
        for statement in statements {
            match &statement.value {
                StatementKind::Rule(rule) => {
                    let rule = self.rule(statement, rule, scopes, here);
                    push(self, rule);
                }
                StatementKind::Default(rule) => {
                    let rule = self.rule(statement, rule, scopes, here);
                    self.policy.defaults.push(rule);
                }
                StatementKind::Apply(name) => {
                    let body = self.groups.get(&*name.value).cloned();
                    let body = body.unwrap_or_else(|| panic!("no group `{}`", name.value));
                    self.statements(&body, scopes, here, push);
                }
                StatementKind::Scope(scope) => {
                    let mut scopes = scopes.to_vec();
                    scopes.push(scope.clauses.clone());
                    self.statements(&scope.body, &scopes, here, push);
                }
                StatementKind::Nat(nat) => self.nat(statement, nat, scopes, here, push),
                other => self.declaration(other, here),
            }
        }
    }

    fn declaration(&mut self, statement: &StatementKind, here: &Here<'_>) {
        match statement {
            StatementKind::Use(used) if &*used.name.value == "prelude" => {
                self.except.extend(used.except.iter().map(|name| name.value.to_string()));
            }
            StatementKind::Include(name) => {
                for path in matching(here.path, &name.value) {
                    self.file(&path);
                }
            }
            StatementKind::Interface(interface) => {
                let cards = match interface.value.as_ref().map(|value| &value.value) {
                    Some(InterfaceValue::DefaultRoute) => vec![Card::exact(self.default_route)],
                    Some(InterfaceValue::Cards(cards)) => cards.iter().map(|card| card.value.clone()).collect(),
                    None => return,
                };
                self.policy.interfaces.insert(interface.name.value.to_string(), cards);
            }
            StatementKind::Set(set) => {
                let name = set.name.value.to_string();
                match &set.value {
                    SetValue::Who(who) => drop(self.policy.sets.insert(name, who.clone())),
                    SetValue::File(file) => {
                        let who = read_set(&beside(here.path, &file.value), file);
                        self.policy.sets.insert(name, who);
                    }
                    SetValue::Live => self.policy.live.push(name),
                    SetValue::Parameter => {}
                }
            }
            StatementKind::Service(service) => {
                let items = service.what.iter().map(|item| item.value.clone()).collect();
                self.policy.services.insert(service.name.value.to_string(), items);
            }
            StatementKind::Network(network) => {
                let cards = network.cards.iter().map(|card| card.value.clone()).collect();
                self.policy.networks.insert(network.name.value.to_string(), cards);
            }
            StatementKind::Guest(guest) => {
                let mut gates = guest.gates.as_ref().map(|_| Vec::new());
                for gate in guest.gates.iter().flatten() {
                    let mut rules = Vec::new();
                    self.statements(std::slice::from_ref(&gate.statement), &[], here, &mut |_, rule| rules.push(rule));
                    let direction = gate.direction.value;
                    gates.as_mut().expect("there are gates").extend(rules.into_iter().map(|rule| (direction, rule)));
                }
                self.policy.guests.push(GuestBlock {
                    kind: guest.kind,
                    name: guest.name.value.to_string(),
                    mac: guest.mac.as_ref().map(|mac| mac.value),
                    address: guest.address.as_deref().cloned(),
                    gates,
                });
            }
            StatementKind::Chain(chain) => {
                self.policy.unmodelled.push(format!("chain {} {}", chain.table.value, chain.hook.value));
            }
            // Asserts and changes decide nothing; facts, targets and compose files are the harness's business.
            _ => {}
        }
    }

    fn nat(
        &mut self,
        statement: &Statement,
        nat: &Nat,
        scopes: &[Clauses],
        here: &Here<'_>,
        push: &mut dyn FnMut(&mut Self, FlatRule),
    ) {
        if let Nat::Forward { sentence, at, port, options } = nat {
            let mut rule = self.flat(statement, fwc::syntax::tree::Action::Allow, sentence, options, scopes, here);
            rule.forwarded = true;
            let to = sentence.clauses.to.clone().expect("a forward says where to");
            let port = port.as_ref().map(|port| port.value);
            let at = at.as_ref().map(|at| at.value);
            self.policy.forwards.push(Forward { rule: rule.clone(), at, to: *to, port });
            push(self, rule);
        }
    }

    fn rule(&mut self, statement: &Statement, rule: &Rule, scopes: &[Clauses], here: &Here<'_>) -> FlatRule {
        self.flat(statement, rule.action.value.clone(), &rule.sentence, &rule.options, scopes, here)
    }

    fn flat(
        &mut self,
        statement: &Statement,
        action: fwc::syntax::tree::Action,
        sentence: &Sentence,
        options: &[Spanned<RuleOption>],
        scopes: &[Clauses],
        here: &Here<'_>,
    ) -> FlatRule {
        let id = self.policy.labels.len();
        let (line, _) = here.lines.line_column(statement.span.start);
        let file = here.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        self.policy.labels.push(format!("{file}:{line}"));
        let mut clauses = scopes.to_vec();
        clauses.push(sentence.clauses.clone());
        FlatRule {
            id,
            action,
            family: sentence.family.as_ref().map(|family| family.value),
            what: sentence.what.iter().map(|item| item.value.clone()).collect(),
            clauses,
            options: options.iter().map(|option| option.value.clone()).collect(),
            forwarded: false,
        }
    }
}

fn beside(path: &Path, name: &str) -> PathBuf {
    path.parent().map_or_else(|| PathBuf::from(name), |directory| directory.join(name))
}

/// The files that an include means: one, or those whose last part matches a pattern with `*`, in order.
fn matching(path: &Path, pattern: &str) -> Vec<PathBuf> {
    let whole = beside(path, pattern);
    if !pattern.contains('*') {
        return vec![whole];
    }
    let (directory, last) = (whole.parent().expect("it has one"), whole.file_name().expect("it has one"));
    let last = last.to_string_lossy().into_owned();
    let (start, end) = last.split_once('*').expect("a star in the last part");
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        })
        .collect();
    found.sort();
    found
}

fn read_set(path: &Path, name: &fwc::syntax::tree::Name) -> Who {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().map(|line| line.split(['#', ';']).next().unwrap_or_default().trim());
    let members = lines.filter(|line| !line.is_empty()).map(|line| {
        let range: AddressRange = line.parse().expect("an address a line");
        One::new(Spanned::new(Place::Address(range.into()), name.span), Beside::default())
    });
    Who { span: name.span, negated: false, members: members.collect() }
}
