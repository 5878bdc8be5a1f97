//! The server as a process: whatever bytes come, they are answered, and what follows is answered as well.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use lsp_server::ErrorCode;
use serde_json::{Value, json};

/// Longer than anything here takes, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(60);

struct Server {
    child: Child,
    answers: Receiver<Value>,
}

impl Server {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fwc"));
        command.arg("lsp").stdin(Stdio::piped()).stdout(Stdio::piped()).env_remove("HOME");
        let mut child = command.spawn().expect("it starts");
        let mut output = BufReader::new(child.stdout.take().expect("an output"));
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            while output.read_line(&mut line).is_ok_and(|read| read > 0) {
                let length = line.trim_end().strip_prefix("Content-Length: ").expect("a header");
                let mut body = vec![0; 2 + length.parse::<usize>().expect("a length")];
                output.read_exact(&mut body).expect("a body");
                sender.send(serde_json::from_slice(&body).expect("JSON")).expect("somebody listens");
                line.clear();
            }
        });
        Self { child, answers }
    }

    fn write(&mut self, bytes: &[u8]) {
        let input = self.child.stdin.as_mut().expect("an input");
        input.write_all(bytes).and_then(|()| input.flush()).expect("the server runs");
    }

    fn answer(&self) -> Value {
        self.answers.recv_timeout(PATIENCE).expect("an answer")
    }

    /// Asks for what there is no method for, and expects to be told.
    fn lives(&mut self, number: i32) {
        self.write(&framed(&json!({ "jsonrpc": "2.0", "id": number, "method": "fwc/nothing" })));
        let answer = self.answer();
        assert_eq!(told(&answer), (json!(number), ErrorCode::MethodNotFound as i32), "{answer}");
    }

    fn initialize(&mut self) {
        self.write(&framed(&json!({ "id": 0, "method": "initialize", "params": { "capabilities": {} } })));
        let answer = self.answer();
        assert!(answer["result"]["capabilities"].is_object(), "{answer}");
        self.write(&framed(&json!({ "method": "initialized", "params": {} })));
    }

    /// Ends the session as the protocol has it.
    fn end(mut self) {
        self.write(&framed(&json!({ "id": "last", "method": "shutdown" })));
        assert_eq!(self.answer(), json!({ "jsonrpc": "2.0", "id": "last", "result": null }));
        self.write(&framed(&json!({ "method": "exit" })));
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0));
    }

    /// Ends the input. The exit status.
    fn leave(mut self) -> Option<i32> {
        drop(self.child.stdin.take());
        self.child.wait().expect("it ends").code()
    }
}

fn framed(message: &Value) -> Vec<u8> {
    let body = message.to_string();
    format!("Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The number and the error code of an answer.
fn told(answer: &Value) -> (Value, i32) {
    let code = answer["error"]["code"].as_i64().and_then(|code| i32::try_from(code).ok());
    (answer["id"].clone(), code.unwrap_or_else(|| panic!("no error: {answer}")))
}

/// Bytes that are no message, by what is wrong with them.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let body = |text: &str| format!("Content-Length: {}\r\n\r\n{text}", text.len()).into_bytes();
    let mut list = vec![
        ("no JSON", body("{\"id\": 1, \"method\": ")),
        ("not UTF-8", [&b"Content-Length: 18\r\n\r\n{\"method\": \"\xff\xfe\xff\""[..], b"}  "].concat()),
        ("nothing in it", b"Content-Length: 0\r\n\r\n".to_vec()),
        ("a length of more than there is memory", b"Content-Length: 18446744073709551615\r\n\r\n{}".to_vec()),
        ("a length that is longer than any message", b"Content-Length: 999999999999\r\n\r\n{\"id\": 1}".to_vec()),
        ("a length that is none", b"Content-Length: many\r\n\r\n{}".to_vec()),
        ("a negative length", b"Content-Length: -1\r\n\r\n{}".to_vec()),
        ("a length that is too short", b"Content-Length: 4\r\n\r\n{\"id\": 1, \"method\": \"x\"}".to_vec()),
        ("a length that is too great", b"Content-Length: 30\r\n\r\n{\"method\": \"x\"}".to_vec()),
        ("no length", b"Content-Type: application/vscode-jsonrpc\r\n\r\n{}\r\n".to_vec()),
        ("no header", b"{\"id\": 1, \"method\": \"x\"}".to_vec()),
        ("lines of another protocol", b"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n".to_vec()),
        ("nested", body(&"[".repeat(100_000))),
    ];
    // Whatever lies about, without a line end in it.
    list.push(("noise", (0..300_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8 | 0x80).collect()));
    list
}

#[test]
fn what_is_no_message_is_answered_and_ends_nothing() {
    let mut server = Server::start();
    server.initialize();
    for (number, (what, bytes)) in (1..).zip(malformed()) {
        println!("{what}");
        server.write(&bytes);
        // What has no line end is known to be no header when the next one comes.
        let request = framed(&json!({ "id": number, "method": "fwc/nothing" }));
        server.write(&request);
        assert_eq!(told(&server.answer()), (Value::Null, ErrorCode::ParseError as i32), "{what}");
        assert_eq!(told(&server.answer()), (json!(number), ErrorCode::MethodNotFound as i32), "{what}");
    }
    server.end();
}

#[test]
fn json_that_is_no_request_is_answered() {
    let mut server = Server::start();
    server.initialize();
    for (text, id) in [
        ("[]", Value::Null),
        ("7", Value::Null),
        ("{}", Value::Null),
        ("{\"id\": 5}", json!(5)),
        ("{\"id\": 6, \"method\": 7}", json!(6)),
        ("{\"id\": 1.5, \"method\": \"shutdown\"}", json!(1.5)),
        ("{\"id\": 99999999999, \"method\": \"shutdown\"}", json!(99_999_999_999_u64)),
        ("{\"id\": [1], \"method\": \"shutdown\"}", Value::Null),
    ] {
        server.write(format!("Content-Length: {}\r\n\r\n{text}", text.len()).as_bytes());
        assert_eq!(told(&server.answer()), (id, ErrorCode::InvalidRequest as i32), "{text}");
    }
    server.lives(1);
    server.end();
}

#[test]
fn whoever_asks_before_the_beginning_or_begins_twice_is_refused() {
    let mut server = Server::start();
    for message in [json!({ "method": "initialized" }), json!({ "id": 3, "result": null })] {
        server.write(&framed(&message));
    }
    for (number, method) in (1..).zip(["textDocument/hover", "shutdown", "fwc/nothing"]) {
        server.write(&framed(&json!({ "id": number, "method": method })));
        assert_eq!(told(&server.answer()), (json!(number), ErrorCode::ServerNotInitialized as i32), "{method}");
    }
    server.initialize();
    server.write(&framed(&json!({ "id": 9, "method": "initialize", "params": { "capabilities": {} } })));
    assert_eq!(told(&server.answer()), (json!(9), ErrorCode::InvalidRequest as i32));
    server.end();
}

#[test]
fn headers_are_read_as_the_protocol_has_them() {
    let mut server = Server::start();
    server.initialize();
    let body = "{\"id\": 1, \"method\": \"fwc/nothing\"}";
    let header = format!(
        "Content-Type: application/vscode-jsonrpc; charset=utf-8\r\ncontent-length:{}\r\nX-Other: 1\r\n\r\n",
        body.len()
    );
    // A byte at a time.
    for byte in header.bytes().chain(body.bytes()) {
        server.write(&[byte]);
    }
    assert_eq!(told(&server.answer()), (json!(1), ErrorCode::MethodNotFound as i32));
    server.end();
}

#[test]
fn a_client_that_is_gone_ends_the_server() {
    for rest in ["", "Content-Length: 10", "Content-Length: 10\r\n\r\n{", "Content-Len"] {
        let mut server = Server::start();
        server.initialize();
        server.write(rest.as_bytes());
        assert_eq!(server.leave(), Some(1), "{rest}");
    }
}
