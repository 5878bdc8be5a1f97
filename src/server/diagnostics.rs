//! Diagnostics as the protocol has them.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use gen_lsp_types::{
    Code, CodeDescription, Diagnostic as Published, DiagnosticRelatedInformation, DiagnosticSeverity, DiagnosticTag,
    Location as Place, Uri,
};
use serde_json::json;

use super::client::Client;
use super::documents::Documents;
use super::subject::{Subject, Table};
use super::text::Lines;
use crate::check::late;
use crate::configuration::{Reason, Unusable};
use crate::diagnostic::{Diagnostic, Label, Level};
use crate::levels::codes::UNFULFILLED;
use crate::policy::names;
use crate::prove::findings::codes as found;
use crate::span::{FileId, Location, Span};

/// What every diagnostic is said to be from.
const SOURCE: &str = "fwc";
/// More than these of one file help nobody, and cost the editor dear.
const MOST: usize = 2_000;

/// The texts of a root, with the places of their lines, found as they are asked for.
pub struct Texts<'a> {
    table: &'a Table,
    documents: &'a Documents,
    client: &'a Client,
    lines: Vec<OnceCell<Lines<'a>>>,
}

impl<'a> Texts<'a> {
    /// Of this root.
    pub fn new(table: &'a Table, documents: &'a Documents, client: &'a Client) -> Self {
        Self { table, documents, client, lines: table.files.iter().map(|_| OnceCell::new()).collect() }
    }

    /// The lines of a file that the user can open.
    pub fn lines(&self, file: FileId) -> Option<&Lines<'a>> {
        self.all_lines(file).filter(|_| (file.0 as usize) < self.table.own)
    }

    /// The lines of any file, found once.
    fn all_lines(&self, file: FileId) -> Option<&Lines<'a>> {
        let at = file.0 as usize;
        let source = self.table.files.get(at)?;
        Some(self.lines.get(at)?.get_or_init(|| Lines::new(&source.text, self.client.encoding)))
    }

    /// By what name a file is known.
    pub fn key(&self, file: FileId) -> Option<&'a PathBuf> {
        self.table.keys.get(file.0 as usize)
    }

    /// A file's name in the protocol.
    pub fn uri(&self, file: FileId) -> Option<Uri> {
        self.key(file).map(|key| self.documents.uri(key))
    }

    /// A place; none in a file of the standard library.
    pub fn place(&self, location: Location) -> Option<Place> {
        let range = self.lines(location.file)?.range(location.span);
        Some(Place { uri: self.uri(location.file)?, range })
    }

    /// A place; of the standard library, in the copy of it that the user can open.
    pub fn anywhere(&self, location: Location) -> Option<Place> {
        if let Some(place) = self.place(location) {
            return Some(place);
        }
        let source = self.table.files.get(location.file.0 as usize)?;
        let uri = self.client.pages.library(source)?;
        Some(Place { uri, range: self.all_lines(location.file)?.range(location.span) })
    }

    /// A place in words, for what cannot be a place of the protocol.
    fn in_words(&self, location: Location) -> String {
        let Some(source) = self.table.files.get(location.file.0 as usize) else { return String::new() };
        let start = location.span.range().start;
        let line = self.all_lines(location.file).map_or(0, |lines| lines.position(start).line);
        format!("{}:{}", source.path, line + 1)
    }
}

/// Everything that is said of a root, by file.
pub fn published(subject: &Subject, documents: &Documents, client: &Client) -> BTreeMap<PathBuf, Vec<Published>> {
    let texts = Texts::new(&subject.table, documents, client);
    let mut out: BTreeMap<PathBuf, Vec<Published>> = BTreeMap::new();
    let mut sorted: Vec<(Level, &Diagnostic)> = subject.diagnostics().collect();
    sorted.sort_by_key(|(_, one)| (one.primary.location, one.code.number));
    sorted.dedup();
    for (level, diagnostic) in sorted {
        // What has no place that the user can open stands at the beginning of the root.
        let file = diagnostic.primary.location.file;
        let shown = if texts.lines(file).is_some() { file } else { FileId(0) };
        let Some(key) = texts.key(shown) else { continue };
        let list = out.entry(key.clone()).or_default();
        if list.len() < MOST {
            list.extend(publish(&texts, level, diagnostic, shown));
        }
    }
    if let Some(unusable) = &subject.misconfigured {
        out.entry(Documents::identity(&unusable.path)).or_default().push(misconfigured(unusable, client));
    }
    out
}

/// Whether something is said to have been expected in vain.
pub fn is_missed(one: &Published) -> bool {
    one.code == Some(Code::String(UNFULFILLED.number.to_owned()))
}

/// What is wrong with a configuration: it has no code, since no configuration could lower it.
fn misconfigured(unusable: &Unusable, client: &Client) -> Published {
    let (message, span) = match &unusable.reason {
        Reason::Unread(reason) => (format!("cannot read the configuration: {reason}"), Span::default()),
        Reason::Faulty(fault) => (fault.message.clone(), Span::new(fault.span.start, fault.span.end)),
    };
    Published {
        range: Lines::new(&unusable.text, client.encoding).range(span),
        severity: Some(DiagnosticSeverity::Error),
        code: None,
        code_description: None,
        source: Some(SOURCE.to_owned()),
        message: message.into(),
        tags: None,
        related_information: None,
        data: None,
    }
}

fn publish(texts: &Texts<'_>, level: Level, diagnostic: &Diagnostic, shown: FileId) -> Option<Published> {
    let lines = texts.lines(shown)?;
    let own = diagnostic.primary.location;
    let span = if own.file == shown { own.span } else { Span::default() };
    let (related, others) = related(texts, &diagnostic.related);
    Some(Published {
        range: lines.range(span),
        severity: Some(severity(level)),
        code: Some(Code::String(diagnostic.code.number.to_owned())),
        code_description: texts
            .client
            .code_descriptions
            .then(|| texts.client.pages.explanation(diagnostic.code))
            .flatten()
            .map(|href| CodeDescription { href }),
        source: Some(SOURCE.to_owned()),
        message: message(diagnostic, &others).into(),
        tags: is_dead(diagnostic).then(|| vec![DiagnosticTag::Unnecessary]),
        related_information: (!related.is_empty()).then_some(related),
        data: Some(json!({ "name": diagnostic.code.name })),
    })
}

/// The other parties; in words those that the client cannot be told of otherwise.
fn related(texts: &Texts<'_>, labels: &[Label]) -> (Vec<DiagnosticRelatedInformation>, Vec<String>) {
    let (mut places, mut words) = (Vec::new(), Vec::new());
    for label in labels {
        match texts.place(label.location).filter(|_| texts.client.related_information) {
            Some(location) => places.push(DiagnosticRelatedInformation { location, message: label.message.clone() }),
            None => words.push(format!("{}: {}", texts.in_words(label.location), label.message)),
        }
    }
    (places, words)
}

/// The message, and below it everything else that is said in words.
fn message(diagnostic: &Diagnostic, others: &[String]) -> String {
    let mut out = diagnostic.message.clone();
    if !diagnostic.primary.message.is_empty() {
        out.push_str(&format!("\n{}", diagnostic.primary.message));
    }
    for other in others {
        out.push_str(&format!("\n{other}"));
    }
    for note in &diagnostic.notes {
        out.push_str(&format!("\nnote: {note}"));
    }
    for help in &diagnostic.helps {
        out.push_str(&format!("\nhelp: {}", help.message));
    }
    out
}

fn severity(level: Level) -> DiagnosticSeverity {
    match level {
        Level::Error => DiagnosticSeverity::Error,
        Level::Warning => DiagnosticSeverity::Warning,
        Level::Note => DiagnosticSeverity::Information,
    }
}

/// Whether it says that its place does nothing: editors show that pale.
fn is_dead(diagnostic: &Diagnostic) -> bool {
    [
        &found::SHADOWED,
        &found::COVERED,
        &found::NEVER_MATCHES,
        &found::REPEATED_BEHIND,
        &found::UNUSED_CHAIN,
        &names::UNUSED_NAME,
        &late::TOO_LATE,
        &late::REDUNDANT,
        &late::DUPLICATE_RULE,
    ]
    .contains(&diagnostic.code)
}
