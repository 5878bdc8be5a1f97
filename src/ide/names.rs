//! What a name at a place names, and where it is declared and used: by outlines, so that a line which cannot be read has names, too.

use rustc_hash::FxHashMap;

use super::describe::{containers, networks};
use super::{policies, text};
use crate::database::{self, Db, ProjectInput};
use crate::facts::Facts;
use crate::span::{FileId, Location, Span};
use crate::syntax::outline::{Entry, Naming, Outline, Role, Word};

/// What kind of thing is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SymbolKind {
    /// An interface.
    Interface,
    /// A set.
    Set,
    /// A service.
    Service,
    /// A group.
    Group,
    /// A virtual machine or an instance: they share their names.
    Guest,
    /// A network.
    Network,
    /// A container.
    Container,
    /// A part of the prelude.
    Part,
}

impl SymbolKind {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Interface => "interface",
            Self::Set => "set",
            Self::Service => "service",
            Self::Group => "group",
            Self::Guest => "guest",
            Self::Network => "network",
            Self::Container => "container",
            Self::Part => "part of the prelude",
        }
    }
}

/// Something that is named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Symbol {
    /// What kind.
    pub kind: SymbolKind,
    /// Its name, without quotes.
    pub name: String,
}

/// Where something is declared in a policy file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// Its name, quotes with it.
    pub name: Location,
    /// The whole statement, its block with it.
    pub statement: Location,
    /// Whether it has no value: a parameter, which another declaration completes.
    pub parameter: bool,
    /// Whether it stands in the standard library.
    pub library: bool,
}

/// A name where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Its place, quotes with it.
    pub location: Location,
    /// Whether it is declared here.
    pub declares: bool,
}

/// Takes the quotes off.
#[must_use]
pub fn unquoted(word: &str) -> &str {
    let inner = word.strip_prefix('"').unwrap_or(word);
    inner.strip_suffix('"').unwrap_or(inner)
}

/// Every declaration of a project.
pub struct Index<'d> {
    db: &'d dyn Db,
    input: ProjectInput,
    declared: FxHashMap<SymbolKind, FxHashMap<&'d str, Vec<Declaration>>>,
}

impl<'d> Index<'d> {
    /// Collects the declarations.
    #[must_use]
    pub fn new(db: &'d dyn Db, input: ProjectInput) -> Self {
        let mut declared: FxHashMap<_, FxHashMap<_, Vec<Declaration>>> = FxHashMap::default();
        for (file, outline) in policies(db, input) {
            let source = text(db, input, file);
            let library = input.library(db).contains(&file);
            for &(entry, word) in &outline.declarations {
                let (Some(entry), Some(word)) = (outline.entries.get(entry), outline.words.get(word)) else { continue };
                let Some(kind) = declared_kind(word, library) else { continue };
                let span = word.span;
                let name = unquoted(source.get(span.range()).unwrap_or_default());
                let whole = entry.block.map_or(entry.span, |block| entry.span.to(block));
                let words = outline.words_of(entry);
                let bare = matches!(kind, SymbolKind::Interface | SymbolKind::Set) && words.len() == 2;
                let parameter = bare && entry.span.end == span.end;
                declared.entry(kind).or_default().entry(name).or_default().push(Declaration {
                    name: Location { file, span },
                    statement: Location { file, span: whole },
                    parameter,
                    library,
                });
            }
        }
        // The author's own goes before the library's, a value before a parameter.
        declared
            .values_mut()
            .flat_map(FxHashMap::values_mut)
            .for_each(|list| list.sort_by_key(|one| (one.library, one.parameter)));
        Self { db, input, declared }
    }

    /// Where something is declared: the declaration that counts first.
    #[must_use]
    pub fn declarations(&self, symbol: &Symbol) -> &[Declaration] {
        self.of(symbol.kind, &symbol.name)
    }

    /// Every name of a kind that is declared, with its declarations.
    pub fn all(&self) -> impl Iterator<Item = (SymbolKind, &'d str, &[Declaration])> {
        let kinds = self.declared.iter();
        kinds.flat_map(|(&kind, names)| names.iter().map(move |(&name, list)| (kind, name, list.as_slice())))
    }

    pub(super) fn of(&self, kind: SymbolKind, name: &str) -> &[Declaration] {
        self.declared.get(&kind).and_then(|names| names.get(name)).map(Vec::as_slice).unwrap_or_default()
    }

    /// What kind of thing a name at such a place names; `None`: nothing that a policy declares.
    #[must_use]
    pub fn kind(&self, naming: Naming, name: &str) -> Option<SymbolKind> {
        let declared = |kind| (!self.of(kind, name).is_empty()).then_some(kind);
        match naming {
            Naming::Place => declared(SymbolKind::Set).or_else(|| declared(SymbolKind::Interface)),
            Naming::Via => declared(SymbolKind::Interface),
            other => kind_of(other),
        }
    }

    /// What is named at a place, and where the name stands: in a policy, or in a compose file or the facts where they name it.
    #[must_use]
    pub fn at(&self, file: FileId, offset: u32) -> Option<(Symbol, Span)> {
        let Some(outline) = super::outline(self.db, self.input, file) else {
            return named_in_facts(&database::resolved(self.db, self.input).0.facts, file, offset);
        };
        // Behind the last letter of a name one is still at it.
        let words = [outline.word_at(offset), offset.checked_sub(1).and_then(|before| outline.word_at(before))];
        words.into_iter().flatten().filter(|word| offset <= word.span.end).find_map(|word| {
            let Role::Name { naming, declares } = word.role else { return None };
            let name = unquoted(text(self.db, self.input, file).get(word.span.range())?);
            let kind = if declares && naming == Naming::Group && self.input.library(self.db).contains(&file) {
                SymbolKind::Part
            } else {
                self.kind(naming, name)?
            };
            Some((Symbol { kind, name: name.to_owned() }, word.span))
        })
    }

    /// Every place where something is named, file by file.
    #[must_use]
    pub fn occurrences(&self, symbol: &Symbol) -> Vec<Occurrence> {
        policies(self.db, self.input).flat_map(|(file, outline)| self.occurrences_in(file, outline, symbol)).collect()
    }

    /// Every place in a file where something is named.
    #[must_use]
    pub fn occurrences_in(&self, file: FileId, outline: &Outline, symbol: &Symbol) -> Vec<Occurrence> {
        let source = text(self.db, self.input, file);
        let library = self.input.library(self.db).contains(&file);
        let of_library = self.declarations(symbol).first().is_some_and(|first| first.library);
        // A name of the author's own is not the library's, where both have it.
        if library && !of_library {
            return Vec::new();
        }
        let mut found = Vec::new();
        for word in &outline.words {
            let Role::Name { naming, declares } = word.role else { continue };
            let Some(written) = source.get(word.span.range()) else { continue };
            if unquoted(written) != symbol.name {
                continue;
            }
            let part = library && declares && naming == Naming::Group;
            let kind = if part { Some(SymbolKind::Part) } else { self.kind(naming, &symbol.name) };
            if kind == Some(symbol.kind) {
                found.push(Occurrence { location: Location { file, span: word.span }, declares });
            }
        }
        found
    }

    /// Where the facts or a compose file say something that the policy does not declare.
    #[must_use]
    pub fn in_facts(&self, symbol: &Symbol) -> Option<Location> {
        in_facts(&database::resolved(self.db, self.input).0.facts, symbol)
    }
}

/// The name that a statement declares.
pub(super) fn declares(outline: &Outline, entry: &Entry, library: bool) -> Option<(SymbolKind, Span)> {
    outline.words_of(entry).iter().take(2).find_map(|word| Some((declared_kind(word, library)?, word.span)))
}

/// What a word declares.
fn declared_kind(word: &Word, library: bool) -> Option<SymbolKind> {
    match word.role {
        Role::Name { naming: Naming::Group, declares: true } if library => Some(SymbolKind::Part),
        Role::Name { naming, declares: true } => kind_of(naming),
        _ => None,
    }
}

fn kind_of(naming: Naming) -> Option<SymbolKind> {
    match naming {
        Naming::Interface => Some(SymbolKind::Interface),
        Naming::Set => Some(SymbolKind::Set),
        Naming::Service => Some(SymbolKind::Service),
        Naming::Group => Some(SymbolKind::Group),
        Naming::Guest | Naming::Instance => Some(SymbolKind::Guest),
        Naming::Network => Some(SymbolKind::Network),
        Naming::Container => Some(SymbolKind::Container),
        Naming::Part => Some(SymbolKind::Part),
        _ => None,
    }
}

/// The container or network whose name stands at a place in a compose file or in the facts.
fn named_in_facts(facts: &Facts, file: FileId, offset: u32) -> Option<(Symbol, Span)> {
    let here = |location: Option<Location>| {
        location.filter(|at| at.file == file && at.span.start <= offset && offset <= at.span.end).map(|at| at.span)
    };
    let container = containers(facts).find_map(|(name, one)| Some((SymbolKind::Container, name, here(one.location)?)));
    let network = || networks(facts).find_map(|(name, one)| Some((SymbolKind::Network, name, here(one.location)?)));
    let (kind, name, span) = container.or_else(network)?;
    Some((Symbol { kind, name: name.clone() }, span))
}

fn in_facts(facts: &Facts, symbol: &Symbol) -> Option<Location> {
    let name = symbol.name.as_str();
    let source = |path: &str| facts.source(&format!("{path}.{name}"));
    match symbol.kind {
        SymbolKind::Container => {
            let (key, container) = facts.container(name)?;
            container.location.or_else(|| {
                let paths = ["docker", "podman"].map(|platform| format!("{platform}.containers.{key}"));
                paths.iter().find_map(|path| facts.source(path))
            })
        }
        SymbolKind::Network => {
            let found =
                networks(facts).find(|(key, network)| *key == name || network.compose_name.as_deref() == Some(name));
            found
                .and_then(|(_, network)| network.location)
                .or_else(|| ["docker.networks", "podman.networks"].iter().find_map(|path| source(path)))
        }
        SymbolKind::Guest => ["instances.instances", "libvirt.guests"].iter().find_map(|path| source(path)),
        _ => None,
    }
}
