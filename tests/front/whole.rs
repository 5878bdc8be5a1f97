//! The whole road for a text, without a file system: read, resolve, check, lower, optimise, emit, for both back ends. What has
//! to hold for any text is asserted on the way. The fuzz target and the tests share it.

use std::path::PathBuf;
use std::sync::Arc;

use fwc::diagnostic::Diagnostic;
use fwc::netfilter::Target;
use fwc::project::{MemoryFileSystem, Options, Project, Root, load};
use fwc::syntax::Parsed;
use fwc::{check, emit, lower, optimise, policy, syntax};

/// A few files that a text may name.
const FILES: &[(&str, &str)] = &[
    ("base.fw", "interface wan = ens33\nset office = { 198.51.100.0/24, 2001:db8:1::/48 }\ninclude \"site.fw\"\n"),
    ("conf.d/web.fw", "allow http to host\n"),
    ("list.txt", "192.0.2.1\n198.51.100.0/24 # a network\n2001:db8::/32\n"),
    (
        "docker-compose.yml",
        "services:\n  web:\n    image: web\n    ports: [\"8080:80\", \"127.0.0.1:9000-9003:9000-9003/udp\"]\n",
    ),
];

/// What a text came to.
#[derive(Default)]
pub struct Outcome {
    /// Whether rules were emitted, for the text or for what was left of it.
    pub emitted: bool,
}

/// Takes a text all the way for both back ends. Lines at fault are taken out and the rest tried again, a few times, so that damage in
/// one place does not keep the others from being lowered.
pub fn compile(text: &str, parsed: &mut dyn FnMut(&str, u32) -> Arc<Parsed>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut text = text.to_owned();
    for _ in 0..4 {
        let faults: Vec<usize> = [Target::Iptables, Target::Nft]
            .into_iter()
            .flat_map(|target| for_target(&text, target, parsed))
            .flat_map(|diagnostic| lines(&text, &diagnostic))
            .collect();
        if faults.is_empty() {
            outcome.emitted = true;
            break;
        }
        let kept: Vec<&str> =
            text.lines().enumerate().filter(|(at, _)| !faults.contains(at)).map(|(_, line)| line).collect();
        text = kept.join("\n");
    }
    outcome
}

/// The lines of the text that an error points at; none if it points elsewhere.
fn lines(text: &str, error: &Diagnostic) -> Vec<usize> {
    let location = error.primary.location;
    if location.file.0 != 0 {
        return (0..text.lines().count().max(1)).collect();
    }
    let before = |end: usize| text.bytes().take(end).filter(|byte| *byte == b'\n').count();
    (before(location.span.range().start)..=before(location.span.range().end)).collect()
}

/// The errors for one back end.
fn for_target(text: &str, target: Target, parsed: &mut dyn FnMut(&str, u32) -> Arc<Parsed>) -> Vec<Diagnostic> {
    let root = Root { path: PathBuf::from("site.fw"), bytes: text.as_bytes().to_vec() };
    let options = Options { target: Some(target), ..Options::default() };
    let (project, mut diagnostics) =
        load(&MemoryFileSystem::new(FILES.iter().copied()), root, options, &mut |id, source| {
            if source.path.starts_with("std:") {
                parsed(&source.path, id.0)
            } else {
                Arc::new(syntax::parse(&source.text, id))
            }
        });
    diagnostics.extend(project.parsed.iter().flatten().flat_map(|parsed| parsed.diagnostics.iter().cloned()));
    let (policy, faults) = policy::resolve::resolve(&project);
    diagnostics.extend(faults);
    diagnostics.extend(check::run(&project, &policy, target, &|| false).into_iter().flatten());
    if !diagnostics.iter().any(Diagnostic::is_error) {
        let (mut ruleset, notes) = lower::lower(&policy, target);
        diagnostics.extend(notes);
        optimise::optimise(&mut ruleset, target, &project.files);
        let header = lower::summary::header(&policy, target, &[]);
        let context = emit::Context { target, stem: "site", sources: &project.files, header, partial: false };
        match emit::emit(&ruleset, &context) {
            Ok(files) => assert!(files.iter().all(|file| !file.text.contains('\0')), "a NUL in the output"),
            Err(faults) => diagnostics.extend(faults),
        }
    }
    for diagnostic in &diagnostics {
        lies_inside(&project, diagnostic);
    }
    diagnostics.retain(Diagnostic::is_error);
    diagnostics
}

/// Every place of a diagnostic is a piece of a text, cut between characters, edits included.
fn lies_inside(project: &Project, diagnostic: &Diagnostic) {
    let related = diagnostic.related.iter().map(|label| label.location);
    let edits = diagnostic.helps.iter().flat_map(|help| &help.edits).map(|edit| edit.location);
    for location in std::iter::once(diagnostic.primary.location).chain(related).chain(edits) {
        let source = project.source(location.file).unwrap_or_else(|| panic!("no file: {diagnostic:?}"));
        assert!(source.text.get(location.span.range()).is_some(), "outside of {}: {diagnostic:?}", source.path);
    }
    assert!(!diagnostic.message.is_empty() && !diagnostic.message.contains('\n'), "{diagnostic:?}");
}
