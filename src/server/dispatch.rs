//! Leads messages to what they ask for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use gen_lsp_types as lsp;
use gen_lsp_types::Request as _;
use lsp_server::{ErrorCode, Message, Notification, Request, RequestId, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::documents::{Document, Documents};
use super::pool::{Answer, Handler, Question};
use super::session::Session;
use super::snapshot::Snapshot;
use super::{Ended, actions, address, features, formatting, typing};

/// Why a request has no answer.
#[derive(Debug)]
pub struct Refused {
    code: ErrorCode,
    message: String,
}

impl Refused {
    /// In the words of the library.
    pub fn said(message: String) -> Self {
        Self { code: ErrorCode::RequestFailed, message }
    }

    /// A fault of fwc.
    pub fn fault() -> Self {
        let message = "a fault of fwc, not of the text; the server goes on";
        Self { code: ErrorCode::InternalError, message: message.to_owned() }
    }

    /// As the answer to a request.
    pub fn response(self, id: RequestId) -> Response {
        Response::new_err(id, self.code as i32, self.message)
    }
}

/// What answers each request, with the state that the session is in.
const HANDLERS: &[(lsp::LspRequestMethod<'static>, Handler)] = &[
    (lsp::CodeActionRequest::METHOD, |at, asked| on::<lsp::CodeActionRequest>(at, asked, actions::actions)),
    (lsp::CompletionRequest::METHOD, |at, asked| on::<lsp::CompletionRequest>(at, asked, typing::completion)),
    (lsp::DefinitionRequest::METHOD, |at, asked| on::<lsp::DefinitionRequest>(at, asked, features::definition)),
    (lsp::DocumentFormattingRequest::METHOD, |at, asked| {
        on::<lsp::DocumentFormattingRequest>(at, asked, formatting::whole)
    }),
    (lsp::DocumentHighlightRequest::METHOD, |at, asked| {
        on::<lsp::DocumentHighlightRequest>(at, asked, features::highlights)
    }),
    (lsp::DocumentLinkRequest::METHOD, |at, asked| on::<lsp::DocumentLinkRequest>(at, asked, features::links)),
    (lsp::DocumentRangeFormattingRequest::METHOD, |at, asked| {
        on::<lsp::DocumentRangeFormattingRequest>(at, asked, formatting::range)
    }),
    (lsp::DocumentSymbolRequest::METHOD, |at, asked| {
        on::<lsp::DocumentSymbolRequest>(at, asked, features::document_symbols)
    }),
    (lsp::FoldingRangeRequest::METHOD, |at, asked| on::<lsp::FoldingRangeRequest>(at, asked, features::folds)),
    (lsp::HoverRequest::METHOD, |at, asked| on::<lsp::HoverRequest>(at, asked, typing::hover)),
    (lsp::InlayHintRequest::METHOD, |at, asked| on::<lsp::InlayHintRequest>(at, asked, typing::inlays)),
    (lsp::PrepareRenameRequest::METHOD, |at, asked| {
        on::<lsp::PrepareRenameRequest>(at, asked, features::prepare_rename)
    }),
    (lsp::ReferencesRequest::METHOD, |at, asked| on::<lsp::ReferencesRequest>(at, asked, features::references)),
    (lsp::RenameRequest::METHOD, |at, asked| on::<lsp::RenameRequest>(at, asked, features::rename)),
    (lsp::SelectionRangeRequest::METHOD, |at, asked| on::<lsp::SelectionRangeRequest>(at, asked, features::selections)),
    (lsp::SemanticTokensRangeRequest::METHOD, |at, asked| {
        on::<lsp::SemanticTokensRangeRequest>(at, asked, features::tokens_in)
    }),
    (lsp::SemanticTokensRequest::METHOD, |at, asked| on::<lsp::SemanticTokensRequest>(at, asked, features::tokens)),
    (lsp::SignatureHelpRequest::METHOD, |at, asked| on::<lsp::SignatureHelpRequest>(at, asked, typing::signature)),
    (lsp::WorkspaceSymbolRequest::METHOD, |at, asked| {
        on::<lsp::WorkspaceSymbolRequest>(at, asked, features::workspace_symbols)
    }),
];

/// Reads the parameters of a request, answers it, and writes the answer.
fn on<R: lsp::Request>(
    snapshot: &Snapshot,
    parameters: Value,
    handle: fn(&Snapshot, R::Params) -> Result<R::Result, Refused>,
) -> Result<Value, Refused> {
    let result = handle(snapshot, read_asked::<R>(parameters)?)?;
    serde_json::to_value(result).map_err(|error| Refused { code: ErrorCode::InternalError, message: error.to_string() })
}

fn read_asked<R: lsp::Request>(parameters: Value) -> Result<R::Params, Refused> {
    serde_json::from_value(parameters).map_err(|error| Refused {
        code: ErrorCode::InvalidParams,
        message: format!("the parameters of `{}`: {error}", R::METHOD),
    })
}

impl Session {
    /// Takes a message. Says how the session ended, if it did.
    pub fn take(&mut self, message: Message) -> Option<Ended> {
        match message {
            Message::Request(request) => {
                self.asked(request);
                None
            }
            Message::Notification(notification) if notification.method == "exit" => {
                Some(if self.shut_down { Ended::Orderly } else { Ended::Abruptly })
            }
            Message::Notification(notification) => {
                // A fault of fwc costs the one message; the panic hook has told of it.
                let _ = catch_unwind(AssertUnwindSafe(|| self.hear(notification)));
                None
            }
            Message::Response(_) => None,
        }
    }

    /// Answers a request, or sees to it that it will be answered.
    fn asked(&mut self, request: Request) {
        let id = request.id.clone();
        let answered = if self.shut_down {
            Err(Refused { code: ErrorCode::InvalidRequest, message: "the server was shut down".to_owned() })
        } else {
            catch_unwind(AssertUnwindSafe(|| self.answer(request))).unwrap_or_else(|_| Err(Refused::fault()))
        };
        match answered {
            Ok(Some(response)) => self.send(response),
            // It is being worked on.
            Ok(None) => {}
            Err(refused) => self.send(refused.response(id)),
        }
    }

    fn answer(&mut self, request: Request) -> Result<Option<Response>, Refused> {
        if let Some((_, handler)) = HANDLERS.iter().find(|(method, _)| method.as_str() == request.method) {
            self.pending.insert(request.id.clone());
            let text = request.params.pointer("/textDocument/uri").cloned().and_then(read::<lsp::Uri>);
            let text = text.map(|uri| Documents::key(&uri));
            let question = Question { handler: *handler, snapshot: self.snapshot(text.as_deref()), request };
            self.questions.send(question).map_err(|_| Refused::fault())?;
            return Ok(None);
        }
        let id = request.id;
        let result = match request.method.as_str() {
            "shutdown" => {
                self.shut_down = true;
                self.give_up();
                Value::Null
            }
            "textDocument/diagnostic" => {
                let asked = read_asked::<lsp::DocumentDiagnosticRequest>(request.params)?;
                serde_json::to_value(pull(self, asked)).map_err(|_| Refused::fault())?
            }
            "initialize" => {
                let message = "the session has begun already".to_owned();
                return Err(Refused { code: ErrorCode::InvalidRequest, message });
            }
            method => {
                return Err(Refused {
                    code: ErrorCode::MethodNotFound,
                    message: format!("there is no method `{method}`"),
                });
            }
        };
        Ok(Some(Response::new_ok(id, result)))
    }

    /// Passes an answer on, unless nobody waits for it any more.
    pub fn answered(&mut self, answer: Answer) {
        if !self.pending.remove(answer.id()) {
            return;
        }
        match answer {
            Answer::Given(response) => self.send(response),
            Answer::Again(request) => self.asked(request),
        }
    }

    fn cancel(&mut self, parameters: Value) {
        let Some(id) = parameters.get("id").cloned().and_then(read::<RequestId>) else { return };
        if self.pending.remove(&id) {
            let message = "the client asked for it".to_owned();
            self.send(Refused { code: ErrorCode::RequestCanceled, message }.response(id));
        }
    }

    fn hear(&mut self, notification: Notification) {
        let Notification { method, params } = notification;
        match method.as_str() {
            "initialized" => self.begin(),
            "$/cancelRequest" => self.cancel(params),
            "textDocument/didOpen" => self.did_open(params),
            "textDocument/didChange" => self.did_change(params),
            "textDocument/didClose" => self.did_close(params),
            "textDocument/didSave" => {
                if let Some(saved) = read::<lsp::DidSaveTextDocumentParams>(params) {
                    self.changed_text(&Documents::key(&saved.text_document.uri));
                }
            }
            "workspace/didChangeWatchedFiles" => self.did_change_files(params),
            "workspace/didChangeWorkspaceFolders" => self.did_change_folders(params),
            _ => {}
        }
    }

    fn begin(&mut self) {
        if self.client.watches {
            let watchers =
                ["**/*.{fw,fwtest,yml,yaml,txt,list,netset,ipset}", "**/fwc.facts.json", "**/fwc.toml", "**/.env"];
            let watchers = watchers.map(|glob| serde_json::json!({ "globPattern": glob }));
            self.ask::<lsp::RegistrationRequest>(lsp::RegistrationParams {
                registrations: vec![lsp::Registration {
                    id: "files".to_owned(),
                    method: "workspace/didChangeWatchedFiles".to_owned(),
                    register_options: Some(serde_json::json!({ "watchers": watchers })),
                }],
            });
        }
        self.search();
    }

    fn did_open(&mut self, parameters: Value) {
        let Some(opened) = read::<lsp::DidOpenTextDocumentParams>(parameters) else { return };
        let item = opened.text_document;
        let key = Documents::key(&item.uri);
        let document = Document {
            uri: item.uri,
            version: item.version,
            language: item.language_id.to_string(),
            text: item.text.into(),
        };
        self.documents().open(key.clone(), document);
        self.opened(key);
    }

    fn did_change(&mut self, parameters: Value) {
        let Some(changed) = read::<lsp::DidChangeTextDocumentParams>(parameters) else { return };
        let key = Documents::key(&changed.text_document.text_document_identifier.uri);
        let version = changed.text_document.version;
        let encoding = self.client.encoding;
        if self.documents().change(&key, version, changed.content_changes, encoding) {
            self.edited(key);
        }
    }

    fn did_close(&mut self, parameters: Value) {
        let Some(closed) = read::<lsp::DidCloseTextDocumentParams>(parameters) else { return };
        let key = Documents::key(&closed.text_document.uri);
        self.documents().close(&key);
        self.closed(&key);
    }

    fn did_change_files(&mut self, parameters: Value) {
        let Some(changed) = read::<lsp::DidChangeWatchedFilesParams>(parameters) else { return };
        let mut policies = false;
        for event in changed.changes {
            let path = address::path(&event.uri);
            policies |= path.extension().is_some_and(|extension| extension == "fw");
            // Whether it is known by the name that was asked for, or by the one that links lead to.
            self.changed_text(&path);
            self.changed_text(&Documents::identity(&path));
            if let Some(directory) = path.parent().filter(|_| event.kind != lsp::FileChangeType::Changed) {
                self.changed_text(directory);
            }
        }
        if policies {
            self.search();
        }
    }

    fn did_change_folders(&mut self, parameters: Value) {
        let Some(changed) = read::<lsp::DidChangeWorkspaceFoldersParams>(parameters) else { return };
        let gone: Vec<_> = changed.event.removed.iter().map(|folder| Documents::key(&folder.uri)).collect();
        self.folders.retain(|folder| !gone.contains(folder));
        self.folders.extend(changed.event.added.iter().map(|folder| Documents::key(&folder.uri)));
        self.search();
    }
}

fn read<T: DeserializeOwned>(parameters: Value) -> Option<T> {
    serde_json::from_value(parameters).ok()
}

fn pull(session: &mut Session, parameters: lsp::DocumentDiagnosticParams) -> lsp::DocumentDiagnosticReport {
    let key = Documents::key(&parameters.text_document.uri);
    let (items, result_id) = session.pull(&key);
    if parameters.previous_result_id.as_ref() == Some(&result_id) {
        return lsp::RelatedUnchangedDocumentDiagnosticReport {
            related_documents: None,
            unchanged_document_diagnostic_report: lsp::UnchangedDocumentDiagnosticReport { result_id },
        }
        .into();
    }
    lsp::RelatedFullDocumentDiagnosticReport {
        related_documents: None,
        full_document_diagnostic_report: lsp::FullDocumentDiagnosticReport {
            result_id: Some(result_id),
            items: Arc::unwrap_or_clone(items),
        },
    }
    .into()
}
