//! Reads a root file and everything that it leads to.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::codes::{
    FILE_NOT_FOUND, FILE_NOT_UTF8, FILE_UNREADABLE, INCLUDE_CYCLE, INVALID_FILE_PATTERN, PATTERN_MATCHES_NOTHING,
    TOO_MUCH_TO_READ,
};
use super::glob::{self, GlobError};
use super::{Import, ImportKind, Project, ReadError, System};
use crate::diagnostic::Diagnostic;
use crate::levels::Levels;
use crate::library;
use crate::names::closest;
use crate::span::{FileId, Location, SourceText, Span};
use crate::syntax::Parsed;
use crate::syntax::tree::{Name, SetValue, Statement, StatementKind, Target};

/// The most files that one project may read.
const MAX_FILES: usize = 1_000;
/// The most bytes in one file. A policy of a million lines is smaller.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// The most bytes in all files together.
const MAX_BYTES: u64 = 256 << 20;

/// The file that reading begins with; whoever calls has read it already (it may be the standard input).
#[derive(Clone, Debug)]
pub struct Root {
    /// Its path; names in it are relative to its directory.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// What is said beside the sources.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The target, if the command line says one.
    pub target: Option<Target>,
    /// The facts file, if there is one.
    pub facts: Option<Root>,
    /// The levels of codes: what is lowered does not keep output from being made.
    pub levels: Levels,
}

/// Reads what `root` leads to. `parse` is called once for each policy file; the database passes its query.
pub fn load(
    system: &dyn System,
    root: Root,
    options: Options,
    parse: &mut dyn FnMut(FileId, &SourceText) -> Arc<Parsed>,
) -> (Project, Vec<Diagnostic>) {
    let mut loader = Loader {
        system,
        parse,
        project: Project {
            root: FileId(0),
            files: Vec::new(),
            parsed: Vec::new(),
            imports: Vec::new(),
            library: Vec::new(),
            facts: None,
            target: options.target,
        },
        diagnostics: Vec::new(),
        known: HashMap::new(),
        chain: Vec::new(),
        bytes: 0,
        full: false,
    };
    let directory = root.path.parent().map(Path::to_path_buf).unwrap_or_default();
    let identity = loader.identity(&root.path);
    let id = loader.add(&root.path, root.bytes, None);
    loader.known.insert(identity.clone(), id);
    loader.policy(id, &directory, identity, None);
    if let Some(facts) = options.facts {
        loader.project.facts = Some(loader.add(&facts.path, facts.bytes, None));
    }
    for source in library::sources() {
        loader.library(source);
    }
    (loader.project, loader.diagnostics)
}

struct Loader<'a> {
    system: &'a dyn System,
    parse: &'a mut dyn FnMut(FileId, &SourceText) -> Arc<Parsed>,
    project: Project,
    diagnostics: Vec<Diagnostic>,
    known: HashMap<PathBuf, FileId>,
    /// The files that are being read, outermost first, each with the `include` that led to it.
    chain: Vec<(PathBuf, Option<Location>)>,
    bytes: u64,
    /// Whether the bound was met; it is reported once.
    full: bool,
}

impl Loader<'_> {
    fn identity(&self, path: &Path) -> PathBuf {
        self.system.identity(path).unwrap_or_else(|| path.to_path_buf())
    }

    /// A path without `x/..`, so that a file is shown under one name from wherever it is included; but not where `x` is a link
    /// and leaving it leads elsewhere.
    fn tidy(&self, path: PathBuf) -> PathBuf {
        let mut tidy = PathBuf::new();
        for part in path.components() {
            let name_before = matches!(tidy.components().next_back(), Some(Component::Normal(_)));
            match part {
                Component::CurDir => {}
                Component::ParentDir if name_before => drop(tidy.pop()),
                part => tidy.push(part),
            }
        }
        let directory =
            |path: &Path| self.identity(path.parent().filter(|path| path != &Path::new("")).unwrap_or(Path::new(".")));
        if directory(&tidy) == directory(&path) { tidy } else { path }
    }

    /// Puts a text into the table. Of a text that is not UTF-8 the part before the first wrong byte is kept, so that the
    /// diagnostic has a place to point at.
    fn add(&mut self, path: &Path, bytes: Vec<u8>, asked_at: Option<Location>) -> FileId {
        let id = FileId(u32::try_from(self.project.files.len()).unwrap_or(u32::MAX));
        self.bytes += bytes.len() as u64;
        let shown: Arc<str> = path.to_string_lossy().into();
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let mut bytes = error.into_bytes();
                let wrong = bytes.get(at).copied().unwrap_or_default();
                bytes.truncate(at);
                let location = Location { file: id, span: Span::new(at, at) };
                let mut diagnostic = Diagnostic::new(&FILE_NOT_UTF8, location, format!("`{shown}` is not UTF-8 text"))
                    .label(format!("the byte {wrong:02x} follows here"))
                    .help("save the file as UTF-8");
                if let Some(at) = asked_at {
                    diagnostic = diagnostic.related(at, "read because of this");
                }
                self.diagnostics.push(diagnostic);
                String::from_utf8(bytes).unwrap_or_default()
            }
        };
        self.project.files.push(SourceText { path: shown, text: text.into() });
        self.project.parsed.push(None);
        id
    }

    /// A file of the standard library. It leads nowhere: it has neither includes nor files of its own.
    fn library(&mut self, source: &SourceText) {
        let id = FileId(u32::try_from(self.project.files.len()).unwrap_or(u32::MAX));
        self.project.parsed.push(Some((self.parse)(id, source)));
        self.project.files.push(source.clone());
        self.project.library.push(id);
    }

    /// Parses a policy file and follows its statements.
    fn policy(&mut self, id: FileId, directory: &Path, identity: PathBuf, asked_at: Option<Location>) {
        let Some(source) = self.project.source(id).cloned() else { return };
        let parsed = (self.parse)(id, &source);
        if let Some(slot) = self.project.parsed.get_mut(id.0 as usize) {
            *slot = Some(Arc::clone(&parsed));
        }
        self.chain.push((identity, asked_at));
        for statement in &parsed.tree.statements {
            self.statement(id, directory, statement);
        }
        self.chain.pop();
    }

    fn statement(&mut self, file: FileId, directory: &Path, statement: &Statement) {
        let (kind, name) = match &statement.value {
            StatementKind::Include(name) => (ImportKind::Include, &**name),
            StatementKind::Compose(name) => (ImportKind::Compose, &**name),
            StatementKind::Set(set) => match &set.value {
                SetValue::File(name) => (ImportKind::SetFile, name),
                _ => return,
            },
            _ => return,
        };
        let at = Location { file, span: statement.span };
        let named_at = Location { file, span: name.span };
        let place = self.project.imports.len();
        self.project.imports.push(Import { at, kind, files: Vec::new(), environment: None });
        let paths = if kind == ImportKind::Include && glob::is_pattern(&name.value) {
            self.matching(directory, name, named_at)
        } else {
            vec![self.tidy(directory.join(&*name.value))]
        };
        for path in paths {
            let read = match kind {
                ImportKind::Include => self.include(&path, name, named_at),
                ImportKind::Compose | ImportKind::SetFile => self.file(&path, name, named_at),
            };
            let environment = match (kind, read) {
                (ImportKind::Compose, Some(_)) => self.environment(&path, named_at),
                _ => None,
            };
            if let Some(import) = self.project.imports.get_mut(place) {
                import.files.extend(read);
                import.environment = environment;
            }
        }
    }

    /// An included policy file, unless it was read before. One that is still being read closes a circle.
    fn include(&mut self, path: &Path, name: &Name, at: Location) -> Option<FileId> {
        let identity = self.identity(path);
        if let Some(start) = self.chain.iter().position(|(known, _)| *known == identity) {
            self.cycle(start, at);
            return None;
        }
        if self.known.contains_key(&identity) {
            return None;
        }
        let id = self.file(path, name, at)?;
        let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
        self.policy(id, &directory, identity, Some(at));
        Some(id)
    }

    fn cycle(&mut self, start: usize, at: Location) {
        let ring = self.chain.get(start..).unwrap_or_default();
        let mut names: Vec<String> = ring.iter().map(|(path, _)| short_name(path)).collect();
        names.extend(names.first().cloned());
        let mut diagnostic = Diagnostic::new(&INCLUDE_CYCLE, at, "this include closes a circle")
            .label("this file is being read already")
            .note(format!("the circle: {}", names.join(" → ")))
            .help("move what both files need into a third one, and include that from both");
        for asked_at in ring.iter().skip(1).filter_map(|(_, asked_at)| *asked_at) {
            diagnostic = diagnostic.related(asked_at, "read from here");
        }
        self.diagnostics.push(diagnostic);
    }

    /// Any file, read once however often it is named.
    fn file(&mut self, path: &Path, name: &Name, at: Location) -> Option<FileId> {
        let identity = self.identity(path);
        if let Some(&id) = self.known.get(&identity) {
            return Some(id);
        }
        // Outputs name their sources in comments; a line end in such a name would begin a rule.
        if path.to_string_lossy().contains(char::is_control) {
            let message = format!("the name `{}` has control characters", path.to_string_lossy().escape_debug());
            self.diagnostics.push(Diagnostic::new(&FILE_UNREADABLE, at, message).help("give the file another name"));
            return None;
        }
        let id = match self.read(path) {
            Ok(bytes) => self.add(path, bytes, Some(at)),
            Err(error) => {
                self.unreadable(path, name, at, &error);
                return None;
            }
        };
        self.known.insert(identity, id);
        Some(id)
    }

    /// The `.env` that Compose itself reads beside its file. Most projects have none.
    fn environment(&mut self, compose: &Path, at: Location) -> Option<FileId> {
        let path = compose.with_file_name(".env");
        let identity = self.identity(&path);
        if let Some(&id) = self.known.get(&identity) {
            return Some(id);
        }
        match self.read(&path) {
            Ok(bytes) => {
                let id = self.add(&path, bytes, Some(at));
                self.known.insert(identity, id);
                Some(id)
            }
            Err(ReadError::NotFound) => None,
            Err(error) => {
                let message = format!("cannot read `{}`: {error}", path.display());
                self.diagnostics.push(
                    Diagnostic::new(&FILE_UNREADABLE, at, message)
                        .label("Compose takes variables for this file from there"),
                );
                None
            }
        }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, ReadError> {
        if self.project.files.len() >= MAX_FILES {
            return Err(ReadError::TooLarge);
        }
        self.system.read(path, MAX_FILE_BYTES.min(MAX_BYTES.saturating_sub(self.bytes)))
    }

    fn unreadable(&mut self, path: &Path, name: &Name, at: Location, error: &ReadError) {
        let shown = path.display();
        let diagnostic = match error {
            ReadError::TooLarge if self.full => return,
            ReadError::TooLarge if self.project.files.len() >= MAX_FILES => {
                self.full = true;
                Diagnostic::new(&TOO_MUCH_TO_READ, at, format!("the project has more than {MAX_FILES} files"))
                    .label("this would be one more")
                    .help("name the files more narrowly")
            }
            ReadError::TooLarge => {
                Diagnostic::new(&TOO_MUCH_TO_READ, at, format!("`{shown}` is larger than fwc reads"))
                    .note("a file may have 64 MiB, all files of a project together 256 MiB")
            }
            ReadError::NotFound => self.not_found(path, name, at),
            ReadError::Directory if name.value.is_empty() => {
                Diagnostic::new(&FILE_UNREADABLE, at, "the name of the file is empty")
            }
            ReadError::Directory => {
                Diagnostic::new(&FILE_UNREADABLE, at, format!("`{shown}` is a directory, and a file was expected")).fix(
                    "to read every policy file in it, in the order of their names, write a pattern",
                    at,
                    self.written(at, &format!("{}/*.fw", name.value.trim_end_matches('/'))),
                )
            }
            error => Diagnostic::new(&FILE_UNREADABLE, at, format!("cannot read `{shown}`: {error}")),
        };
        self.diagnostics.push(diagnostic);
    }

    fn not_found(&self, path: &Path, name: &Name, at: Location) -> Diagnostic {
        let message = format!("there is no file `{}`", path.display());
        let mut diagnostic = Diagnostic::new(&FILE_NOT_FOUND, at, message).label("not found");
        let directory = path.parent().unwrap_or(Path::new(""));
        let wanted = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let entries = self.system.list(directory).unwrap_or_default();
        let mut names: Vec<String> = entries
            .iter()
            .filter(|entry| !entry.directory)
            .filter_map(|entry| entry.name.to_str().map(str::to_owned))
            .collect();
        names.sort_unstable();
        if let Some(nearest) = closest(&wanted, names.iter().map(String::as_str)) {
            let mended = Path::new(&*name.value).with_file_name(nearest);
            let help = format!("there is a file `{nearest}` in that directory");
            diagnostic = diagnostic.fix(help, at, self.written(at, &mended.to_string_lossy()));
        }
        if !Path::new(&*name.value).is_absolute() {
            diagnostic = diagnostic.note("the name is relative to the directory of the file that it stands in");
        }
        diagnostic
    }

    /// A name as it is to stand at `at`: in quotes if it stands in quotes there.
    fn written(&self, at: Location, name: &str) -> String {
        let quoted = self.project.text(at.file).get(at.span.range()).is_some_and(|text| text.starts_with('"'));
        if quoted { format!("\"{name}\"") } else { name.to_owned() }
    }

    fn matching(&mut self, directory: &Path, name: &Name, at: Location) -> Vec<PathBuf> {
        let pattern = &name.value;
        let diagnostic = match glob::expand(self.system, directory, pattern) {
            Ok(paths) if paths.is_empty() => {
                Diagnostic::new(&PATTERN_MATCHES_NOTHING, at, format!("no file matches `{pattern}`"))
                    .note("the pattern is relative to the directory of the file that it stands in")
            }
            Ok(paths) => return paths,
            Err(GlobError::Pattern(reason)) => {
                Diagnostic::new(&INVALID_FILE_PATTERN, at, format!("`{pattern}` is not a pattern of file names"))
                    .label(reason)
            }
            Err(GlobError::Directory(path, error)) => {
                Diagnostic::new(&FILE_UNREADABLE, at, format!("cannot read `{}`: {error}", path.display()))
            }
            Err(GlobError::TooMany) => {
                Diagnostic::new(&TOO_MUCH_TO_READ, at, format!("`{pattern}` has too many files to look at"))
                    .help("name the directory more narrowly")
            }
        };
        self.diagnostics.push(diagnostic);
        Vec::new()
    }
}

fn short_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
