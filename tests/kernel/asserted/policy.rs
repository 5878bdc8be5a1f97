//! Random policies for a recorded host, and asserts about them.

use std::fmt::Write as _;

use fwc::facts::PublishedPort;

use crate::interpreter::Class;
use crate::kernel::platforms::RecordedHost;
use crate::kernel::traffic::Random;

/// What a build is told of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Known {
    /// All of it.
    Complete,
    /// What a compose file says.
    Compose,
    /// Nothing.
    Nothing,
}

/// A policy and asserts about it.
pub struct Case {
    /// Declarations and rules.
    pub policy: String,
    /// Each with what it claims.
    pub asserts: Vec<(&'static str, String)>,
    /// The compose file and the facts, if the build has them.
    pub files: Vec<(String, String)>,
}

impl Case {
    /// The source, with the asserts or with each of them as a rule behind the others.
    pub fn source(&self, word: &str) -> String {
        let mut text = self.policy.clone();
        for (claim, sentence) in &self.asserts {
            writeln!(text, "{word}{claim} {sentence}").expect("a string takes everything");
        }
        text
    }

    /// The project of a source: its files, the policy first.
    pub fn project(&self, source: String) -> Vec<(String, String)> {
        let policy = (crate::fixture::POLICY.to_owned(), source);
        std::iter::once(policy).chain(self.files.iter().cloned()).collect()
    }
}

const DECLARED: &str = "interface wan = ens33
interface lan = eth1
set office = { 198.51.100.0/24, 2001:db8:1::/48 }
";

const OUTSIDE: &[&str] = &[
    "any",
    "world",
    "office",
    "not office",
    "198.51.100.128/25",
    "{ office, 192.168.2.0/24 }",
    "lan",
    "2001:db8:1::/48",
];
const ACTIONS: &[&str] = &["allow", "allow", "allow", "deny", "deny", "reject"];
const SERVICES: &[&str] = &["ssh", "{ ssh, udp 53 }", "udp 53", "ping", "ipv4 tcp 80-443", "ipv6 tcp", "udp", "tcp"];

/// Writes the cases of a host.
pub struct Writer<'h> {
    host: &'h RecordedHost,
    known: Known,
    random: Random,
    /// The word of those behind the host's bridges.
    local: &'static str,
    /// What is published, and whose it is.
    published: Vec<(&'h str, &'h PublishedPort)>,
}

impl<'h> Writer<'h> {
    /// The same cases from the same seed.
    pub fn new(host: &'h RecordedHost, known: Known, seed: u64) -> Self {
        let local = match host.model.bridges.values().next() {
            Some(Class::Instance) => "instance",
            Some(Class::Guest) => "guest",
            _ => "container",
        };
        let docker = host.facts.docker.iter().flat_map(|docker| &docker.containers);
        let podman = host.facts.podman.iter().flat_map(|podman| &podman.containers);
        let containers = docker.chain(podman).filter(|(name, _)| host.model.names.values().any(|known| known == *name));
        let published =
            containers.flat_map(|(name, one)| one.ports.iter().map(move |port| (name.as_str(), port))).collect();
        Self { host, known, random: Random::new(seed), local, published }
    }

    /// A policy with so many asserts. `more` are lines that the tool which loads it needs.
    pub fn case(&mut self, more: &str, asserts: usize) -> Case {
        let mut policy = format!("{}\n{more}{DECLARED}", self.host.uses);
        let mut files = Vec::new();
        match self.known {
            Known::Complete => {
                let facts = serde_json::to_string(&self.host.facts).expect("facts are data");
                files.push(("fwc.facts.json".to_owned(), facts));
            }
            Known::Compose => {
                policy.push_str("compose \"docker-compose.yml\"\n");
                files.push(("docker-compose.yml".to_owned(), self.compose()));
            }
            Known::Nothing => {}
        }
        let mut sentences = Vec::new();
        for _ in 0..1 + self.random.below(5) {
            let (action, sentence) = (self.random.pick(ACTIONS), self.sentence());
            let limit = if action == "allow" && self.random.one_in(12) { " limit 10/minute" } else { "" };
            writeln!(policy, "{action} {sentence}{limit}").expect("a string takes everything");
            sentences.push((action, sentence));
        }
        for _ in 0..self.random.below(3) {
            let (from, to) = (self.random.pick(&["any", "world", "host", self.local]), self.target());
            let action = self.random.pick(&["deny", "deny", "reject", "allow"]);
            writeln!(policy, "default {action} from {from} to {to}").expect("a string takes everything");
        }
        let asserts = (0..asserts).map(|_| {
            // Most of them are about what a rule says, so that many hold.
            let (action, sentence) = &sentences[self.random.below(sentences.len())];
            let claim = self.random.pick(&["allow", "deny", "deny", "reject"]);
            match self.random.below(4) {
                0 => (claim, self.sentence()),
                1 => (claim, sentence.clone()),
                _ => (*action, sentence.clone()),
            }
        });
        let asserts = asserts.collect();
        Case { policy, asserts, files }
    }

    /// What the host's containers publish, as a compose file says it.
    fn compose(&self) -> String {
        let mut text = "services:\n".to_owned();
        let containers = self.host.facts.docker.iter().flat_map(|docker| &docker.containers);
        for (name, container) in containers {
            write!(text, "  {name}:\n    image: test\n").expect("a string takes everything");
            if !container.ports.is_empty() {
                text.push_str("    ports:\n");
            }
            for port in &container.ports {
                let at = match port.address {
                    Some(address) if address.is_ipv6() => format!("[{address}]:"),
                    Some(address) => format!("{address}:"),
                    None => String::new(),
                };
                let range = |first: u16, last: Option<u16>| match last {
                    Some(last) if last > first => format!("{first}-{last}"),
                    _ => first.to_string(),
                };
                let first = port.port.expect("recorded publications have a port");
                let inside = port.last_port.map(|last| port.container_port + (last - first));
                let (outer, inner) = (range(first, port.last_port), range(port.container_port, inside));
                writeln!(text, "      - \"{at}{outer}:{inner}/{}\"", port.protocol).expect("a string takes everything");
            }
        }
        text
    }

    fn what(&mut self) -> String {
        let Some(&(_, port)) = self.published.get(self.random.below(self.published.len().max(1))) else {
            return if self.random.one_in(3) { String::new() } else { self.random.pick(SERVICES).to_owned() };
        };
        let (protocol, first) = (&port.protocol, port.port.expect("recorded publications have a port"));
        match self.random.below(10) {
            0 | 1 => String::new(),
            2..=4 => format!("{protocol} {first}"),
            5 => format!("{protocol} {}", port.container_port),
            6 => format!("{protocol} {}-{}", first - 1, first + 2),
            7 => format!("{{ {protocol} {first}, udp 53, ssh }}"),
            _ => self.random.pick(SERVICES).to_owned(),
        }
    }

    fn target(&mut self) -> &'static str {
        self.random.pick(&["host", self.local, "world"])
    }

    /// Those behind the bridges, as a target.
    fn local_target(&mut self) -> String {
        match self.random.below(5) {
            0 if self.local == "container" => "container direct".to_owned(),
            1 if self.known != Known::Nothing && !self.published.is_empty() => {
                format!("container {}", self.published[self.random.below(self.published.len())].0)
            }
            2 => format!("{{ host, {} }}", self.local),
            _ => self.local.to_owned(),
        }
    }

    fn sentence(&mut self) -> String {
        let what = self.what();
        let outside = |random: &mut Random| random.pick(OUTSIDE).to_owned();
        let (from, to, crosses) = match self.random.below(10) {
            0 | 1 => (self.local.to_owned(), outside(&mut self.random), true),
            2 => (outside(&mut self.random), outside(&mut self.random), false),
            3 => ("host".to_owned(), self.local_target(), false),
            4 => (self.local.to_owned(), self.local_target(), false),
            5 => ("any".to_owned(), self.local_target(), false),
            6 => (outside(&mut self.random), "host".to_owned(), true),
            7 => (self.local.to_owned(), "host".to_owned(), false),
            _ => (outside(&mut self.random), self.local_target(), true),
        };
        let names_interface = [&from, &to].into_iter().any(|place| place == "lan" || place == "any");
        let via = if crosses && !names_interface && self.random.one_in(4) {
            self.random.pick(&[" via wan", " via lan"])
        } else {
            ""
        };
        format!("{what} from {from} to {to}{via}")
    }
}
