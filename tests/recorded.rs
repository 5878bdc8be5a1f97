//! Connections that were measured on hosts with real daemons, and what is known of those hosts.
//!
//! `data/connections/recorded.jsonl` has one measured connection a line: who opened it, what it dialled, the hooks of the filter
//! tables that its first packet passed with what was seen there, and how it ended. `data/connections/SCENARIO.json` has the
//! facts of the host it was measured on.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use fwc::facts::Facts;
use fwc::net::Protocol;
use fwc::platform::{Connection, Origin};
use serde::Deserialize;

/// A host on which connections were measured.
#[derive(Deserialize)]
pub struct Scenario {
    pub facts: Facts,
    /// The sockets of the host's own programs, docker-proxy's left out.
    pub listening: Vec<Socket>,
}

#[derive(Deserialize)]
pub struct Socket {
    protocol: String,
    address: Option<IpAddr>,
    port: u16,
    /// For a wildcard address: `ipv4` or `any`.
    family: Option<String>,
    /// A UDP service that answers; those of other programs (DNS, conmon) answer nobody here.
    #[serde(default)]
    pub answers: bool,
}

impl Socket {
    pub fn takes(&self, line: &Line) -> bool {
        self.protocol == line.protocol
            && self.port == line.port
            && self.address.is_none_or(|address| address == line.address)
            && (self.family.as_deref() != Some("ipv4") || line.address.is_ipv4())
    }
}

/// A measured connection.
#[derive(Deserialize)]
pub struct Line {
    pub scenario: String,
    pub from: String,
    pub protocol: String,
    pub address: IpAddr,
    pub port: u16,
    /// The mark that a rule of the test's own put on the packet.
    pub mark: Option<String>,
    pub answer: String,
    /// The opener's address as the target saw it, where the target says so.
    pub source: Option<IpAddr>,
    /// The hook in which the platform's own chains did not let the first packet through; absent where they did, also if the
    /// answer was stopped, and where nobody looked.
    pub dropped: Option<String>,
    pub hooks: Vec<Seen>,
    /// Which of the test's own matches counted the packet where a user's rules for forwarded packets belong (DOCKER-USER, or an own
    /// nft chain at priority -1); absent where none were loaded.
    pub user: Option<Vec<String>>,
    pub about: String,
}

/// What a hook saw of a connection's first packet.
#[derive(Debug, Deserialize)]
pub struct Seen {
    pub hook: String,
    #[serde(rename = "in")]
    pub input: Option<String>,
    #[serde(rename = "out")]
    pub output: Option<String>,
    pub address: IpAddr,
    pub port: u16,
    pub original: u16,
}

impl Line {
    pub fn connection(&self) -> Connection {
        let mark = self
            .mark
            .as_deref()
            .map_or(0, |mark| u32::from_str_radix(mark.trim_start_matches("0x"), 16).expect("a mark"));
        Connection { mark, ..connection(&self.from, &self.protocol, self.address, self.port) }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, from, protocol, address, port, about, answer, hooks, .. } = self;
        write!(f, "{scenario} ({about}): {from} to {protocol} {address} {port}, {answer}, {hooks:?}")
    }
}

/// A connection by whom it is opened: `outside`, `host`, or a container.
pub fn connection(from: &str, protocol: &str, address: IpAddr, port: u16) -> Connection {
    let origin = match from {
        "outside" => Origin::Outside { interface: None },
        "host" => Origin::Host,
        name => Origin::Inside(name.to_owned()),
    };
    Connection { origin, protocol: Protocol::by_name(protocol).expect("a protocol"), address, port, mark: 0 }
}

/// Where the recordings are.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/connections")
}

/// The host of a scenario.
pub fn scenario(name: &str) -> Scenario {
    let text = std::fs::read_to_string(directory().join(format!("{name}.json"))).expect("the scenario's file");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The scenarios that have a file.
pub fn scenarios() -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(directory()).expect("the recordings").map(|entry| entry.expect("an entry").path());
    let json = entries.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    json.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
}

/// Every measured connection.
pub fn lines() -> Vec<Line> {
    let text = std::fs::read_to_string(directory().join("recorded.jsonl")).expect("the recordings");
    let read =
        |(number, text)| serde_json::from_str(text).unwrap_or_else(|error| panic!("line {}: {error}", number + 1));
    text.lines().enumerate().map(read).collect()
}
