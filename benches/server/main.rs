//! What a keystroke costs in the editor: `cargo bench --bench server [RULES…] [POLICY…]`.
//!
//! Starts `fwc lsp` as an editor does and plays a session over its standard input and output: statements typed letter by letter at
//! places all over a policy, thirty letters a second or as many as are answered, and edits that make a rule dead. Measured is the time
//! from writing the change to having received the diagnostics of that version, to their last byte; what an editor makes of them is its
//! own time. The clock counts, other programs included: look at the machine's load before believing a figure.

#[path = "../build/policies.rs"]
mod policies;

use std::io::{BufRead as _, BufReader, BufWriter, Read as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use lsp_server::{Message, Notification, Request};
use serde::Deserialize;
use serde_json::{Value, json};

const URI: &str = "file:///fwc-bench/site.fw";
/// How many statements are typed.
const STATEMENTS: u32 = 12;
/// How many times a rule dies.
const DEATHS: u32 = 30;
/// The least time from one letter to the next: that of a key that is held down.
const PACE: Duration = Duration::from_millis(33);
/// What is typed, letter by letter.
const TYPED: &str = "    allow tcp 8443 from 203.0.113.77 to host\n";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let sizes: Vec<u32> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![1_000, 10_000] } else { sizes };
    println!(
        "milliseconds from a keystroke to its diagnostics, and of processor time for it; from the question what is at a place to the"
    );
    println!("answer, after an edit and again; peak memory of the server");
    println!(
        "| policy | rules | places in | typing: median | 99 % | worst | processor | proof: median | 99 % | worst | hover: after an edit | \
         again | MiB |"
    );
    println!("|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    let named = |kind: &policies::Kind| arguments.iter().any(|argument| argument == kind.name());
    let all = !policies::Kind::ALL.iter().any(named);
    for kind in policies::Kind::ALL.into_iter().filter(|kind| all || named(kind)) {
        for &rules in &sizes {
            for client in [Client::Places, Client::Words] {
                let mut session = Session::new(kind, rules, client);
                let before = session.processor_time();
                let typing = session.typing();
                let processor = (session.processor_time() - before).as_secs_f64() * 1e3 / typing.len() as f64;
                let (typing, proofs) = (Laps::new(typing), Laps::new(session.deaths()));
                let [edited, again] = session.hovers().map(|laps| Laps::new(laps).at(0.5));
                let memory = session.memory() >> 10;
                println!(
                    "| {} | {rules} | {} | {typing} | {processor:.0} | {proofs} | {edited:.1} | {again:.1} | {memory} |",
                    kind.name(),
                    client.name()
                );
            }
        }
    }
}

/// How a client is told of the other places that a diagnostic is about.
#[derive(Clone, Copy)]
enum Client {
    /// As places, as VS Code and Neovim understand them.
    Places,
    /// In words, in the message, as for Emacs.
    Words,
}

impl Client {
    fn name(self) -> &'static str {
        match self {
            Self::Places => "places",
            Self::Words => "words",
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

    /// Milliseconds that a part of them took at most.
    fn at(&self, part: f64) -> f64 {
        let place = ((self.0.len() as f64 * part).ceil() as usize).clamp(1, self.0.len());
        self.0.get(place - 1).map_or(f64::NAN, |lap| lap.as_secs_f64() * 1e3)
    }
}

impl std::fmt::Display for Laps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} | {:.1} | {:.1}", self.at(0.5), self.at(0.99), self.at(1.0))
    }
}

/// Of a message, what tells whether it is diagnostics, and of which version. The rest is not looked at: a message is as long as the list
/// of diagnostics.
#[derive(Deserialize)]
struct Head {
    id: Option<i32>,
    method: Option<String>,
    params: Option<Version>,
}

#[derive(Deserialize)]
struct Version {
    version: Option<i32>,
}

/// Receives messages, each with when its last byte was there, until the server has ended.
fn receive(mut output: BufReader<ChildStdout>, messages: &Sender<(Instant, String)>) {
    let mut line = String::new();
    let mut length = 0;
    while output.read_line(&mut line).is_ok_and(|read| read > 0) {
        let header = line.trim_end();
        if let Some(value) = header.strip_prefix("Content-Length: ") {
            length = value.parse().expect("a length");
        } else if header.is_empty() {
            let mut text = vec![0; length];
            if output.read_exact(&mut text).is_err() {
                break;
            }
            let text = String::from_utf8(text).expect("text");
            if messages.send((Instant::now(), text)).is_err() {
                break;
            }
        }
        line.clear();
    }
}

struct Session {
    server: Child,
    input: BufWriter<ChildStdin>,
    messages: Receiver<(Instant, String)>,
    version: i32,
    /// The number of the last request.
    asked: i32,
    /// Where the edited statements begin.
    line: u32,
    rules: u32,
}

impl Session {
    /// Opens a policy of so many rules, with a few behind that a death is made of.
    fn new(kind: policies::Kind, rules: u32, client: Client) -> Self {
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
        let (sender, messages) = channel();
        std::thread::spawn(move || receive(output, &sender));
        let mut session = Self { server, input, messages, version: 1, asked: 1, line, rules };
        let related = matches!(client, Client::Places);
        let parameters = json!({ "processId": null, "rootUri": null, "capabilities": {
            "general": { "positionEncodings": ["utf-8"] },
            "workspace": { "didChangeWatchedFiles": { "dynamicRegistration": true } },
            "textDocument": { "publishDiagnostics": { "relatedInformation": related, "versionSupport": true } },
        }});
        session.write(Request::new(1.into(), "initialize".into(), parameters).into());
        session.tell("initialized", json!({}));
        let document = json!({ "uri": URI, "languageId": "fwc", "version": 1, "text": text });
        session.tell("textDocument/didOpen", json!({ "textDocument": document }));
        let (_, first) = session.published();
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
                let lap = self.change(at_line, column, at_line, column, &letter.to_string());
                laps.push(lap);
                self.rest(PACE.saturating_sub(lap));
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
                let end = loop {
                    let (arrived, told) = self.published();
                    if self.is_last_dead(&told) {
                        break arrived;
                    }
                };
                self.change(line, from, line, to, "2");
                end - start
            })
            .collect()
    }

    /// Asks what is at places all over the text, each after an edit, and again. Of each kind, how long it took.
    fn hovers(&mut self) -> [Vec<Duration>; 2] {
        let (mut edited, mut again) = (Vec::new(), Vec::new());
        for question in 0..STATEMENTS {
            let line = 1 + self.rules / STATEMENTS * question;
            self.change(self.line, 0, self.line, 0, " ");
            // The worker has the other processor for a while.
            self.rest(Duration::from_millis(500));
            edited.push(self.hover(line));
            again.push(self.hover(line));
        }
        [edited, again]
    }

    /// Asks what is at the beginning of a line, and waits for the answer.
    fn hover(&mut self, line: u32) -> Duration {
        self.asked += 1;
        let place = json!({ "line": line, "character": 1 });
        let parameters = json!({ "textDocument": { "uri": URI }, "position": place });
        let start = Instant::now();
        self.write(Request::new(self.asked.into(), "textDocument/hover".into(), parameters).into());
        loop {
            let (arrived, text) = self.messages.recv().expect("the server runs");
            let head: Head = serde_json::from_str(&text).expect("a message");
            if head.method.is_none() && head.id == Some(self.asked) {
                return arrived - start;
            }
        }
    }

    fn is_last_dead(&self, told: &[Value]) -> bool {
        told.iter().any(|one| one["code"] == "FW0801" && one["range"]["start"]["line"] == self.line + 3)
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
        self.arrival().0 - start
    }

    /// The next message with diagnostics of the present version.
    fn arrival(&mut self) -> (Instant, String) {
        loop {
            let (arrived, text) = self.messages.recv().expect("the server runs");
            let head: Head = serde_json::from_str(&text).expect("a message");
            let version = head.params.and_then(|params| params.version);
            if head.method.is_some_and(|method| method == "textDocument/publishDiagnostics")
                && version == Some(self.version)
            {
                return (arrived, text);
            }
        }
    }

    /// The next diagnostics of the present version, and when they were there.
    fn published(&mut self) -> (Instant, Vec<Value>) {
        let (arrived, text) = self.arrival();
        let message: Value = serde_json::from_str(&text).expect("a message");
        (arrived, message["params"]["diagnostics"].as_array().cloned().unwrap_or_default())
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

    /// How long the server has kept processors busy.
    fn processor_time(&self) -> Duration {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", self.server.id())).expect("it runs");
        // The name, in parentheses, may have anything in it. Then the 12th and 13th numbers are hundredths of a second.
        let (_, numbers) = status.rsplit_once(") ").expect("a name");
        let ticks = numbers.split(' ').skip(11).take(2).map(|number| number.parse::<u64>().expect("a number"));
        Duration::from_millis(10 * ticks.sum::<u64>())
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
