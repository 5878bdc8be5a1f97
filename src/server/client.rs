//! What the client at the other end can do, from what it said when it began.

use std::path::PathBuf;

use gen_lsp_types::Uri;
use serde_json::Value;

use super::address;
use super::documents::Documents;
use super::pages::Pages;
use super::text::Encoding;

/// What a client can do.
#[derive(Clone, Debug)]
pub struct Client {
    /// How columns are counted.
    pub encoding: Encoding,
    /// What it can open beside the user's files.
    pub pages: Pages,
    /// Its folders.
    pub folders: Vec<PathBuf>,
    /// Diagnostics may name other places.
    pub related_information: bool,
    /// Diagnostics may lead to an explanation.
    pub code_descriptions: bool,
    /// It asks for diagnostics.
    pub pulls: bool,
    /// It can be told to ask again.
    pub refreshes: bool,
    /// Edits may say which version of a text they are for.
    pub document_changes: bool,
    /// Code actions may be more than commands.
    pub action_literals: bool,
    /// A definition may be told with all that it spans.
    pub links: bool,
    /// Symbols may stand in one another.
    pub symbol_trees: bool,
    /// It can be asked to watch files.
    pub watches: bool,
}

impl Client {
    /// Reads the parameters of `initialize`. What is not said, or said otherwise than the protocol has it, is not there.
    pub fn new(parameters: &Value, pages: Pages) -> Self {
        let capability = |path: &str| parameters.pointer(&format!("/capabilities/{path}"));
        let can = |path: &str| capability(path).and_then(Value::as_bool).unwrap_or(false);
        let offered = capability("general/positionEncodings").and_then(Value::as_array);
        let offered: Vec<&str> = offered.into_iter().flatten().filter_map(Value::as_str).collect();
        Self {
            encoding: Encoding::agreed(&offered),
            pages,
            folders: folders(parameters),
            related_information: can("textDocument/publishDiagnostics/relatedInformation"),
            code_descriptions: can("textDocument/publishDiagnostics/codeDescriptionSupport"),
            pulls: capability("textDocument/diagnostic").is_some_and(Value::is_object),
            refreshes: can("workspace/diagnostics/refreshSupport"),
            document_changes: can("workspace/workspaceEdit/documentChanges"),
            action_literals: capability("textDocument/codeAction/codeActionLiteralSupport").is_some(),
            links: can("textDocument/definition/linkSupport"),
            symbol_trees: can("textDocument/documentSymbol/hierarchicalDocumentSymbolSupport"),
            watches: can("workspace/didChangeWatchedFiles/dynamicRegistration"),
        }
    }
}

fn folders(parameters: &Value) -> Vec<PathBuf> {
    let uri = |value: &Value| value.as_str().map(|uri| Documents::identity(&address::path(&Uri(uri.to_owned()))));
    let named = parameters.pointer("/workspaceFolders").and_then(Value::as_array);
    let named: Vec<PathBuf> =
        named.into_iter().flatten().filter_map(|folder| folder.get("uri").and_then(uri)).collect();
    if named.is_empty() { parameters.get("rootUri").and_then(uri).into_iter().collect() } else { named }
}
