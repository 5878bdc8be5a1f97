//! The language server: `fwc lsp`. Like the command line it is a shell about the library, and speaks the language server protocol
//! where the other speaks to a terminal.
//!
//! `session` has the state: open `documents`, the `workspace`'s policies, and for each root a `subject` with its database.
//! `dispatch` leads messages there. What is said of a text comes in steps: what reading, names and kinds say at once, what checks and
//! `proofs` say from a worker that is given up as soon as the text changes.

mod actions;
mod address;
mod client;
mod diagnostics;
mod dispatch;
mod documents;
mod features;
mod formatting;
mod pages;
mod pool;
mod proofs;
mod relation;
mod rules;
mod session;
mod snapshot;
mod subject;
mod text;
mod transport;
mod typing;
mod workspace;

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, select, tick, unbounded};
use gen_lsp_types::{
    CodeActionOptions, CompletionOptions, DiagnosticOptions, DocumentLinkOptions, InitializeResult, RenameOptions,
    Save, SemanticTokensOptions, ServerCapabilities, ServerInfo, SignatureHelpOptions, TextDocumentSyncKind,
    TextDocumentSyncOptions, WorkspaceFoldersServerCapabilities, WorkspaceOptions,
};
use lsp_server::{Connection, ErrorCode, Message, RequestId, Response};

use client::Client;
use pages::Pages;
use pool::Answer;
use proofs::Found;
use session::Session;

pub use transport::connect;

/// Room for trees that are deeply nested, as the command line has.
const STACK: usize = 64 << 20;
/// How often files on disk are looked at that the client does not watch.
const LOOK: Duration = Duration::from_secs(1);

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client asked for it, in the order that the protocol has.
    Orderly,
    /// The client went away, or told the server to exit before it told it to shut down.
    Abruptly,
}

/// What the server is told beside the protocol.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A directory for copies of texts that are fwc's own, so that an editor can open them; it need not exist.
    pub pages: Option<PathBuf>,
}

/// Serves one client until it is gone.
#[must_use]
pub fn serve(connection: &Connection, options: Options) -> Ended {
    let Some((id, parameters)) = greeting(connection) else { return Ended::Abruptly };
    let client = Client::new(&parameters, Pages::new(options.pages));
    let result = InitializeResult {
        capabilities: capabilities(&client),
        server_info: Some(ServerInfo { name: "fwc".to_owned(), version: Some(env!("CARGO_PKG_VERSION").to_owned()) }),
    };
    let greeted = connection.sender.send(Message::Response(Response::new_ok(id, result)));
    if greeted.is_err() {
        return Ended::Abruptly;
    }
    let (jobs, waiting) = unbounded();
    let (results, found) = unbounded();
    // It ends with the session, which has the other end of the channel.
    let worker = move || proofs::work(&waiting, &results);
    if thread::Builder::new().name("fwc proofs".to_owned()).stack_size(STACK).spawn(worker).is_err() {
        return Ended::Abruptly;
    }
    let Ok((questions, answers)) = pool::start() else { return Ended::Abruptly };
    let looking = tick(LOOK);
    let mut session = Session::new(connection.sender.clone(), client, jobs, questions);
    let ended = attend(connection, &mut session, &found, &answers, &looking);
    session.give_up();
    ended
}

/// The request that a session begins with: its number and parameters. Requests before it are refused. None if the client is gone first.
fn greeting(connection: &Connection) -> Option<(RequestId, serde_json::Value)> {
    for message in &connection.receiver {
        match message {
            Message::Request(request) if request.method == "initialize" => return Some((request.id, request.params)),
            Message::Request(request) => {
                let (code, message) = (ErrorCode::ServerNotInitialized as i32, "the first request is `initialize`");
                connection.sender.send(Response::new_err(request.id, code, message.to_owned()).into()).ok()?;
            }
            Message::Notification(told) if told.method == "exit" => return None,
            Message::Notification(_) | Message::Response(_) => {}
        }
    }
    None
}

/// Takes what comes. Everything that waits is taken in before anything is worked out, so that many keystrokes cost one check.
fn attend(
    connection: &Connection,
    session: &mut Session,
    found: &Receiver<Found>,
    answers: &Receiver<Answer>,
    looking: &Receiver<std::time::Instant>,
) -> Ended {
    loop {
        select! {
            recv(connection.receiver) -> message => {
                let Ok(message) = message else { return Ended::Abruptly };
                if let Some(ended) = session.take(message) {
                    return ended;
                }
            }
            recv(found) -> result => {
                if let Ok(result) = result {
                    session.found(result);
                }
            }
            recv(answers) -> answer => {
                if let Ok(answer) = answer {
                    session.answered(answer);
                }
            }
            recv(looking) -> _ => session.look_at_disk(),
        }
        while let Ok(message) = connection.receiver.try_recv() {
            if let Some(ended) = session.take(message) {
                return ended;
            }
        }
        session.settle();
    }
}

fn capabilities(client: &Client) -> ServerCapabilities {
    let actions = CodeActionOptions {
        code_action_kinds: Some(actions::KINDS.to_vec()),
        documentation: None,
        resolve_provider: None,
        work_done_progress_options: Default::default(),
    };
    let pull = DiagnosticOptions {
        identifier: Some("fwc".to_owned()),
        inter_file_dependencies: true,
        workspace_diagnostics: false,
        work_done_progress_options: Default::default(),
    };
    ServerCapabilities {
        position_encoding: Some(client.encoding.kind()),
        text_document_sync: Some(
            TextDocumentSyncOptions {
                open_close: Some(true),
                change: Some(TextDocumentSyncKind::Incremental),
                will_save: None,
                will_save_wait_until: None,
                save: Some(Save::Bool(true)),
            }
            .into(),
        ),
        code_action_provider: Some(actions.into()),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some([" ", "{", ",", "\"", "(", "/"].map(str::to_owned).to_vec()),
            ..CompletionOptions::default()
        }),
        definition_provider: Some(true.into()),
        document_formatting_provider: Some(true.into()),
        document_highlight_provider: Some(true.into()),
        document_link_provider: Some(DocumentLinkOptions::default()),
        document_range_formatting_provider: Some(true.into()),
        document_symbol_provider: Some(true.into()),
        folding_range_provider: Some(true.into()),
        hover_provider: Some(true.into()),
        inlay_hint_provider: Some(true.into()),
        references_provider: Some(true.into()),
        rename_provider: Some(
            RenameOptions { prepare_provider: Some(true), work_done_progress_options: Default::default() }.into(),
        ),
        selection_range_provider: Some(true.into()),
        semantic_tokens_provider: Some(
            SemanticTokensOptions {
                legend: features::legend(),
                range: Some(true.into()),
                full: Some(true.into()),
                work_done_progress_options: Default::default(),
            }
            .into(),
        ),
        signature_help_provider: Some(SignatureHelpOptions {
            trigger_characters: Some(vec![" ".to_owned()]),
            ..SignatureHelpOptions::default()
        }),
        workspace_symbol_provider: Some(true.into()),
        // Who asks and cannot be told when to would be pushed everything besides, and show it twice.
        diagnostic_provider: (client.pulls && client.refreshes).then(|| pull.into()),
        workspace: Some(WorkspaceOptions {
            workspace_folders: Some(WorkspaceFoldersServerCapabilities {
                supported: Some(true),
                change_notifications: Some(true.into()),
            }),
            file_operations: None,
            text_document_content: None,
        }),
        ..ServerCapabilities::default()
    }
}
