//! What a keystroke costs in the editor: `cargo bench --bench server [RULES…]`.
//!
//! Starts `fwc lsp` as an editor does and plays a session over its standard input and output: statements typed letter by letter at
//! places all over a policy, and edits that make a rule dead. Measured is the time from writing the change to having read the
//! diagnostics of that version. The clock counts, other programs included: look at the machine's load before believing a figure.

#[path = "../build/policies.rs"]
mod policies;

use std::io::{BufReader, BufWriter};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use lsp_server::{Message, Notification, Request};
use serde_json::{Value, json};

const URI: &str = "file:///fwc-bench/site.fw";
/// How many statements are typed.
const STATEMENTS: u32 = 12;
/// How many times a rule dies.
const DEATHS: u32 = 30;
/// What is typed, letter by letter.
const TYPED: &str = "    allow tcp 8443 from 203.0.113.77 to host\n";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let sizes: Vec<u32> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![1_000, 10_000] } else { sizes };
    println!("milliseconds from a keystroke to its diagnostics; peak memory of the server");
    println!("| policy | rules | typing: median | 99 % | worst | proof: median | 99 % | worst | MiB |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for kind in policies::Kind::ALL {
        for &rules in &sizes {
            let mut session = Session::new(kind, rules);
            let typing = Laps::new(session.typing());
            let proofs = Laps::new(session.deaths());
            let memory = session.memory() >> 10;
            println!("| {} | {rules} | {typing} | {proofs} | {memory} |", kind.name());
        }
    }
}

/// Times, sorted.
struct Laps(Vec<Duration>);

impl Laps {
    fn new(mut laps: Vec<Duration>) -> Self {
        laps.sort_unstable();
        Self(laps)
    }
}

impl std::fmt::Display for Laps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |part: f64| {
            let place = ((self.0.len() as f64 * part).ceil() as usize).clamp(1, self.0.len());
            self.0.get(place - 1).map_or(f64::NAN, |lap| lap.as_secs_f64() * 1e3)
        };
        write!(f, "{:.1} | {:.1} | {:.1}", at(0.5), at(0.99), at(1.0))
    }
}

struct Session {
    server: Child,
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
    version: i32,
    /// Where the edited statements begin.
    line: u32,
    rules: u32,
}

impl Session {
    /// Opens a policy of so many rules, with a few behind that a death is made of.
    fn new(kind: policies::Kind, rules: u32) -> Self {
        let policy = kind.policy(rules);
        let line = u32::try_from(policy.lines().count()).expect("a number");
        let text = policy
            + "interface bench = bench0\n\
               allow tcp 62000-62010 to host via bench\n\
               allow tcp 62011-62020 to host via bench\n\
               deny tcp 62005-62025 to host via bench\n";
        let mut command = Command::new(env!("CARGO_BIN_EXE_fwc"));
        let mut server = command.arg("lsp").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let input = BufWriter::new(server.stdin.take().expect("an input"));
        let output = BufReader::new(server.stdout.take().expect("an output"));
        let mut session = Self { server, input, output, version: 1, line, rules };
        let parameters = json!({ "processId": null, "rootUri": null, "capabilities": {
            "general": { "positionEncodings": ["utf-8"] },
            "workspace": { "didChangeWatchedFiles": { "dynamicRegistration": true } },
            "textDocument": { "publishDiagnostics": { "relatedInformation": true, "versionSupport": true } },
        }});
        session.write(Request::new(1.into(), "initialize".into(), parameters).into());
        session.tell("initialized", json!({}));
        let document = json!({ "uri": URI, "languageId": "fwc", "version": 1, "text": text });
        session.tell("textDocument/didOpen", json!({ "textDocument": document }));
        let first = session.published();
        let errors = first.iter().filter(|one| one["severity"] == 1).count();
        assert_eq!(errors, 0, "the policy has errors");
        session.rest(Duration::from_secs(2));
        session
    }

    /// Statements typed at places all over the text, a letter at a time. Each is taken out again.
    fn typing(&mut self) -> Vec<Duration> {
        let mut laps = Vec::new();
        for statement in 0..STATEMENTS {
            let line = 1 + self.rules / STATEMENTS * statement;
            let mut column = 0;
            let (mut at_line, before) = (line, laps.len());
            for letter in TYPED.chars() {
                laps.push(self.change(at_line, column, at_line, column, &letter.to_string()));
                (at_line, column) = if letter == '\n' { (at_line + 1, 0) } else { (at_line, column + 1) };
            }
            assert_eq!(laps.len() - before, TYPED.len());
            self.change(line, 0, line + 1, 0, "");
        }
        laps
    }

    /// Makes the last rule dead, and alive again. The time counts until the proof is there.
    fn deaths(&mut self) -> Vec<Duration> {
        let line = self.line + 3;
        let (from, to) = (18, 19);
        self.change(line, from, line, to, "2");
        (0..DEATHS)
            .map(|_| {
                self.rest(Duration::from_millis(300));
                let start = Instant::now();
                self.change(line, from, line, to, "1");
                while !self.last_is_dead() {}
                let lap = start.elapsed();
                self.change(line, from, line, to, "2");
                lap
            })
            .collect()
    }

    fn last_is_dead(&mut self) -> bool {
        self.published().iter().any(|one| one["code"] == "FW0801" && one["range"]["start"]["line"] == self.line + 3)
    }

    /// Edits, and waits for the diagnostics of that version.
    fn change(&mut self, line: u32, column: u32, end_line: u32, end_column: u32, text: &str) -> Duration {
        self.version += 1;
        let place = |line: u32, character: u32| json!({ "line": line, "character": character });
        let range = json!({ "start": place(line, column), "end": place(end_line, end_column) });
        let document = json!({ "uri": URI, "version": self.version });
        let parameters = json!({ "textDocument": document, "contentChanges": [{ "range": range, "text": text }] });
        let start = Instant::now();
        self.tell("textDocument/didChange", parameters);
        self.published();
        start.elapsed()
    }

    /// The next diagnostics of the present version.
    fn published(&mut self) -> Vec<Value> {
        loop {
            let message = Message::read(&mut self.output).expect("a message").expect("the server runs");
            if let Message::Notification(told) = message
                && told.method == "textDocument/publishDiagnostics"
                && told.params["version"] == self.version
            {
                return told.params["diagnostics"].as_array().cloned().unwrap_or_default();
            }
        }
    }

    /// Leaves the server alone, as somebody who thinks.
    fn rest(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn tell(&mut self, method: &str, parameters: Value) {
        self.write(Notification::new(method.into(), parameters).into());
    }

    fn write(&mut self, message: Message) {
        use std::io::Write as _;
        message.write(&mut self.input).expect("written");
        self.input.flush().expect("written");
    }

    /// KiB that the server held at most.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
        line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
