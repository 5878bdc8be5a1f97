//! Leads messages to what they ask for.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gen_lsp_types as lsp;
use lsp_server::{ErrorCode, Message, Notification, Request, Response};
use serde::de::DeserializeOwned;

use super::documents::{Document, Documents};
use super::session::Session;
use super::{Ended, actions, address};

/// Why a request has no answer.
#[derive(Debug)]
pub struct Refused {
    code: ErrorCode,
    message: String,
}

impl Session {
    /// Takes a message. Says how the session ended, if it did.
    pub fn take(&mut self, message: Message) -> Option<Ended> {
        match message {
            Message::Request(request) => {
                let response = self.answer(request);
                self.send(response);
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

    fn answer(&mut self, request: Request) -> Response {
        let id = request.id.clone();
        if self.shut_down {
            return Response::new_err(id, ErrorCode::InvalidRequest as i32, "the server was shut down".to_owned());
        }
        let result = guarded(|| Route { session: self, request: Some(request), response: None }.lead());
        match result {
            Ok(response) => response,
            Err(refused) => Response::new_err(id, refused.code as i32, refused.message),
        }
    }

    fn hear(&mut self, notification: Notification) {
        let Notification { method, params } = notification;
        match method.as_str() {
            "initialized" => self.begin(),
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

    fn did_open(&mut self, parameters: serde_json::Value) {
        let Some(opened) = read::<lsp::DidOpenTextDocumentParams>(parameters) else { return };
        let item = opened.text_document;
        let key = Documents::key(&item.uri);
        let document = Document {
            uri: item.uri,
            version: item.version,
            language: item.language_id.to_string(),
            text: item.text.into(),
        };
        self.documents.open(key.clone(), document);
        self.opened(key);
    }

    fn did_change(&mut self, parameters: serde_json::Value) {
        let Some(changed) = read::<lsp::DidChangeTextDocumentParams>(parameters) else { return };
        let key = Documents::key(&changed.text_document.text_document_identifier.uri);
        let version = changed.text_document.version;
        if self.documents.change(&key, version, changed.content_changes, self.client.encoding) {
            self.edited(key);
        }
    }

    fn did_close(&mut self, parameters: serde_json::Value) {
        let Some(closed) = read::<lsp::DidCloseTextDocumentParams>(parameters) else { return };
        let key = Documents::key(&closed.text_document.uri);
        self.documents.close(&key);
        self.closed(&key);
    }

    fn did_change_files(&mut self, parameters: serde_json::Value) {
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

    fn did_change_folders(&mut self, parameters: serde_json::Value) {
        let Some(changed) = read::<lsp::DidChangeWorkspaceFoldersParams>(parameters) else { return };
        let gone: Vec<_> = changed.event.removed.iter().map(|folder| Documents::key(&folder.uri)).collect();
        self.client.folders.retain(|folder| !gone.contains(folder));
        self.client.folders.extend(changed.event.added.iter().map(|folder| Documents::key(&folder.uri)));
        self.search();
    }
}

fn read<T: DeserializeOwned>(parameters: serde_json::Value) -> Option<T> {
    serde_json::from_value(parameters).ok()
}

/// A fault of fwc is answered as one, and ends nothing.
fn guarded<T>(work: impl FnOnce() -> Result<T, Refused>) -> Result<T, Refused> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let message = "a fault of fwc, not of the text; the server goes on";
        Err(Refused { code: ErrorCode::InternalError, message: message.to_owned() })
    })
}

/// A request on its way.
struct Route<'s> {
    session: &'s mut Session,
    request: Option<Request>,
    response: Option<Response>,
}

impl Route<'_> {
    fn lead(mut self) -> Result<Response, Refused> {
        self.on::<lsp::ShutdownRequest>(|session, ()| {
            session.shut_down = true;
            session.give_up();
            Ok(())
        })?
        .on::<lsp::CodeActionRequest>(|session, parameters| Ok(Some(actions::actions(session, &parameters))))?
        .on::<lsp::DocumentDiagnosticRequest>(|session, parameters| Ok(pull(session, parameters)))?;
        match (self.response, self.request) {
            (Some(response), _) => Ok(response),
            (None, Some(request)) => Err(Refused {
                code: ErrorCode::MethodNotFound,
                message: format!("there is no method `{}`", request.method),
            }),
            (None, None) => Err(Refused { code: ErrorCode::InternalError, message: "no answer".to_owned() }),
        }
    }

    fn on<R: lsp::Request>(
        &mut self,
        handle: impl FnOnce(&mut Session, R::Params) -> Result<R::Result, Refused>,
    ) -> Result<&mut Self, Refused> {
        let Some(request) = self.request.take_if(|request| request.method == R::METHOD.as_str()) else {
            return Ok(self);
        };
        let parameters = serde_json::from_value(request.params).map_err(|error| Refused {
            code: ErrorCode::InvalidParams,
            message: format!("the parameters of `{}`: {error}", request.method),
        })?;
        let result = handle(self.session, parameters)?;
        self.response = Some(Response::new_ok(request.id, result));
        Ok(self)
    }
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
        full_document_diagnostic_report: lsp::FullDocumentDiagnosticReport { result_id: Some(result_id), items },
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_a_request_is_its_answer() {
        let refused = guarded::<()>(|| panic!("a fault")).expect_err("refused");
        assert_eq!(refused.code as i32, ErrorCode::InternalError as i32);
        assert!(guarded(|| Ok(1)).is_ok_and(|one| one == 1));
    }
}
