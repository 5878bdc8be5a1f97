//! Texts that are fwc's own and that the user may want to read: explanations of diagnostics and the standard library. An editor opens
//! files, so they are written to a directory for such copies, when they are first asked for.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use gen_lsp_types::Uri;
use tempfile::NamedTempFile;

use super::address;
use crate::codes;
use crate::diagnostic::Code;
use crate::span::SourceText;

/// Where the copies are. Without a directory there are none.
#[derive(Clone, Debug, Default)]
pub struct Pages(Option<PathBuf>);

impl Pages {
    /// In this directory, which need not exist yet.
    pub fn new(directory: Option<PathBuf>) -> Self {
        Self(directory)
    }

    /// Whether a file is such a copy.
    pub fn has(&self, path: &std::path::Path) -> bool {
        self.0.as_ref().is_some_and(|directory| path.starts_with(directory))
    }

    /// The page of a code, Markdown.
    pub fn explanation(&self, code: &Code) -> Option<Uri> {
        self.page(&format!("{}.md", code.number), || format!("# {}", codes::page(code)))
    }

    /// A file of the standard library.
    pub fn library(&self, source: &SourceText) -> Option<Uri> {
        let name = source.path.strip_prefix("std:")?;
        self.page(&format!("std/{name}"), || source.text.to_string())
    }

    /// A copy, made if it is not there or was changed.
    fn page(&self, name: &str, text: impl FnOnce() -> String) -> Option<Uri> {
        let path = self.0.as_ref()?.join(name);
        let text = text();
        if fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
            let directory = path.parent()?;
            fs::create_dir_all(directory).ok()?;
            // Another server may write the same at this moment.
            let mut file = NamedTempFile::new_in(directory).ok()?;
            file.write_all(text.as_bytes()).ok()?;
            file.persist(&path).ok()?;
        }
        Some(address::uri(&path))
    }
}
