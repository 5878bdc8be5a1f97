//! A client in the same process: it says what an editor would, and keeps what it is told.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fwc::server::{Ended, Options, serve};
use lsp_server::{Connection, Message, Notification, Request, Response};
use serde_json::{Value, json};

/// Longer than anything here takes, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `initialize` says unless a test says otherwise: everything that the server makes use of, but no pulling.
pub fn capabilities() -> Value {
    json!({
        "general": { "positionEncodings": ["utf-8", "utf-16"] },
        "workspace": {
            "workspaceEdit": { "documentChanges": true },
            "didChangeWatchedFiles": { "dynamicRegistration": true },
        },
        "textDocument": {
            "publishDiagnostics": { "relatedInformation": true, "codeDescriptionSupport": true, "tagSupport": { "valueSet": [1] } },
            "codeAction": { "codeActionLiteralSupport": { "codeActionKind": { "valueSet": ["quickfix"] } } },
        },
    })
}

pub struct Client {
    connection: Connection,
    server: Option<JoinHandle<Ended>>,
    directory: tempfile::TempDir,
    versions: BTreeMap<String, i32>,
    texts: BTreeMap<String, String>,
    /// What came while something else was waited for.
    waiting: VecDeque<Message>,
    next: i32,
    /// What the server said of itself.
    pub greeting: Value,
}

impl Client {
    /// Begins a session in a directory with these files.
    pub fn new(files: &[(&str, &str)]) -> Self {
        Self::with(files, capabilities())
    }

    pub fn with(files: &[(&str, &str)], capabilities: Value) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, text).expect("a file");
        }
        let pages = directory.path().join("pages");
        let (own, other) = Connection::memory();
        let server = std::thread::Builder::new()
            .stack_size(64 << 20)
            .spawn(move || serve(&other, Options { pages: Some(pages) }))
            .expect("a thread");
        let mut client = Self {
            connection: own,
            server: Some(server),
            directory,
            versions: BTreeMap::new(),
            texts: BTreeMap::new(),
            waiting: VecDeque::new(),
            next: 0,
            greeting: Value::Null,
        };
        let folder = json!([{ "uri": client.uri(""), "name": "folder" }]);
        let parameters =
            json!({ "processId": null, "rootUri": null, "workspaceFolders": folder, "capabilities": capabilities });
        client.greeting = client.ask("initialize", parameters).expect("greeted");
        client.tell("initialized", json!({}));
        client
    }

    pub fn path(&self, name: &str) -> PathBuf {
        let root = self.directory.path().canonicalize().expect("a directory");
        if name.is_empty() { root } else { root.join(name) }
    }

    pub fn uri(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
    }

    pub fn tell(&self, method: &str, parameters: Value) {
        self.connection.sender.send(Notification::new(method.into(), parameters).into()).expect("sent");
    }

    /// Sends a request without waiting for its answer; gives its number.
    pub fn send(&mut self, method: &str, parameters: Value) -> i32 {
        self.next += 1;
        self.connection.sender.send(Request::new(self.next.into(), method.into(), parameters).into()).expect("sent");
        self.next
    }

    /// The answer to a request.
    pub fn answer(&mut self, number: i32) -> Result<Value, (i32, String)> {
        let id = lsp_server::RequestId::from(number);
        let response = self.wait(|message| match message {
            Message::Response(response) if response.id == id => Some(response.clone()),
            _ => None,
        });
        let Response { response_result, .. } = response;
        response_result.map_err(|error| (error.code, error.message))
    }

    pub fn ask(&mut self, method: &str, parameters: Value) -> Result<Value, (i32, String)> {
        let number = self.send(method, parameters);
        self.answer(number)
    }

    pub fn open(&mut self, name: &str, text: &str) {
        let language = match Path::new(name).extension().and_then(|extension| extension.to_str()) {
            Some("fw") => "fwc",
            Some("yml") => "yaml",
            Some("json") => "json",
            _ => "plaintext",
        };
        self.versions.insert(name.into(), 1);
        self.texts.insert(name.into(), text.into());
        let item = json!({ "uri": self.uri(name), "languageId": language, "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": item }));
    }

    /// Replaces the whole text.
    pub fn replace(&mut self, name: &str, text: &str) {
        self.texts.insert(name.into(), text.into());
        self.change(name, json!([{ "text": text }]));
    }

    pub fn change(&mut self, name: &str, changes: Value) {
        let version = self.versions.get_mut(name).expect("open");
        *version += 1;
        let document = json!({ "uri": self.uri(name), "version": self.versions[name] });
        self.tell("textDocument/didChange", json!({ "textDocument": document, "contentChanges": changes }));
    }

    pub fn close(&mut self, name: &str) {
        self.tell("textDocument/didClose", json!({ "textDocument": { "uri": self.uri(name) } }));
    }

    /// The next diagnostics of a file that are for its present version.
    pub fn published(&mut self, name: &str) -> Vec<Value> {
        let (uri, version) = (self.uri(name), self.versions.get(name).copied());
        self.wait(|message| match message {
            Message::Notification(told)
                if told.method == "textDocument/publishDiagnostics"
                    && told.params["uri"] == uri
                    && version.is_none_or(|version| told.params["version"] == version) =>
            {
                told.params["diagnostics"].as_array().cloned()
            }
            _ => None,
        })
    }

    /// The diagnostics of a file once they are such; says what it had last if that does not come.
    pub fn until(&mut self, name: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let start = Instant::now();
        loop {
            let diagnostics = self.published(name);
            if wanted(&diagnostics) {
                return diagnostics;
            }
            assert!(start.elapsed() < PATIENCE, "{diagnostics:#?}");
        }
    }

    /// Carries out the edits of an action, as an editor does: in its own text, and tells the server. UTF-8 columns.
    pub fn apply(&mut self, action: &Value) {
        for change in action["edit"]["documentChanges"].as_array().expect("changes") {
            let uri = change["textDocument"]["uri"].as_str().expect("a URI").to_owned();
            let name = self.texts.keys().find(|name| self.uri(name) == uri).expect("an open text").clone();
            assert_eq!(change["textDocument"]["version"], self.versions[&name]);
            let text = edited(&self.texts[&name], &change["edits"], offset);
            self.replace(&name, &text);
        }
    }

    /// The text of a file as the editor has it.
    pub fn text(&self, name: &str) -> &str {
        &self.texts[name]
    }

    /// What is offered to be done at a place.
    pub fn actions(&mut self, name: &str, range: &Value) -> Vec<Value> {
        let document = json!({ "uri": self.uri(name) });
        let parameters = json!({ "textDocument": document, "range": range, "context": { "diagnostics": [] } });
        let actions = self.ask("textDocument/codeAction", parameters).expect("actions");
        actions.as_array().cloned().unwrap_or_default()
    }

    /// The next message from the server that is wanted; others are kept.
    pub fn wait<T>(&mut self, wanted: impl Fn(&Message) -> Option<T>) -> T {
        if let Some(at) = self.waiting.iter().position(|message| wanted(message).is_some()) {
            let message = self.waiting.remove(at).expect("it is there");
            return wanted(&message).expect("it was wanted");
        }
        let end = Instant::now() + PATIENCE;
        loop {
            let message = match self.connection.receiver.recv_deadline(end) {
                Ok(message) => message,
                Err(error) => panic!("{error}; waiting: {:#?}", self.waiting),
            };
            if let Message::Request(request) = &message {
                let response = Response::new_ok(request.id.clone(), Value::Null);
                self.connection.sender.send(response.into()).expect("sent");
            }
            match wanted(&message) {
                Some(found) => return found,
                None => self.waiting.push_back(message),
            }
        }
    }

    /// How many of the messages that came, and were not waited for, are such.
    pub fn kept(&self, wanted: impl Fn(&Message) -> bool) -> usize {
        self.waiting.iter().filter(|message| wanted(message)).count()
    }

    /// Ends the session in the order that the protocol has.
    pub fn end(mut self) -> Ended {
        assert_eq!(self.ask("shutdown", Value::Null), Ok(Value::Null));
        self.exit()
    }

    pub fn exit(mut self) -> Ended {
        self.tell("exit", Value::Null);
        self.server.take().expect("it runs").join().expect("no panic")
    }
}

/// Carries edits out, none of which may reach into another. `offset` counts columns.
pub fn edited(text: &str, edits: &Value, offset: fn(&str, &Value) -> usize) -> String {
    let mut edits: Vec<_> = edits
        .as_array()
        .expect("edits")
        .iter()
        .map(|edit| {
            let (start, end) = (offset(text, &edit["range"]["start"]), offset(text, &edit["range"]["end"]));
            (start..end, edit["newText"].as_str().expect("a text"))
        })
        .collect();
    edits.sort_by_key(|(range, _)| range.start);
    assert!(edits.windows(2).all(|pair| pair[0].0.end <= pair[1].0.start), "{edits:?}");
    let mut out = text.to_owned();
    for (range, new) in edits.into_iter().rev() {
        out.replace_range(range, new);
    }
    out
}

/// The byte at a position with UTF-8 columns.
pub fn offset(text: &str, position: &Value) -> usize {
    start_of_line(text, position) + number(&position["character"])
}

/// The byte at a position with UTF-16 columns.
pub fn offset_utf16(text: &str, position: &Value) -> usize {
    let start = start_of_line(text, position);
    let mut left = number(&position["character"]);
    let letters = text[start..].chars().take_while(|letter| {
        let before = left > 0;
        left = left.saturating_sub(letter.len_utf16());
        before
    });
    start + letters.map(char::len_utf8).sum::<usize>()
}

fn start_of_line(text: &str, position: &Value) -> usize {
    text.split_inclusive('\n').take(number(&position["line"])).map(str::len).sum()
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().expect("a number")).expect("small")
}

/// Code and range of each diagnostic, one a line: `FW0102 1:4-1:9 message`.
pub fn shown(diagnostics: &[Value]) -> String {
    let line = |one: &Value| {
        let at = |end: &str| format!("{}:{}", one["range"][end]["line"], one["range"][end]["character"]);
        let message = one["message"].as_str().unwrap_or_default().lines().next().unwrap_or_default();
        format!("{} {}-{} {message}", one["code"].as_str().unwrap_or_default(), at("start"), at("end"))
    };
    diagnostics.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Whether a diagnostic has this code.
pub fn has(code: &'static str) -> impl Fn(&[Value]) -> bool {
    move |diagnostics| diagnostics.iter().any(|one| one["code"] == code)
}
