//! Reads a Docker Compose file as far as it says which ports are open and on which networks: the same facts as if the
//! containers were running. What it does not read and what could change ports is said, never passed over.

pub mod codes;
mod network;
mod ports;
pub mod projects;
mod published;
mod service;
pub mod variables;

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::rc::Rc;

use super::document::{Node, Value};
use super::{DockerFact, Facts, brief, validate, yaml};
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::span::{FileId, Location, Span};
use codes::{COMPOSE_SYNTAX, COMPOSE_TOO_LARGE, COMPOSE_VALUE, NOT_READ, UNSET_VARIABLE};
use variables::Variables;

/// The facts of a compose file, and what is wrong with it. `env` is the text of the `.env` file beside it, if there is one.
/// A network's name here is its name in the file, or its `name` where it has one; the network that compose makes without being
/// asked is `default`, or `PROJECT_default` where the project's name is said.
#[must_use]
pub fn read(text: &str, env: Option<&str>, file: FileId) -> (Facts, Vec<Diagnostic>) {
    let (facts, _, diagnostics) = read_project(text, env, file);
    (facts, diagnostics)
}

/// As [`read`], with the project's name where the file or its `.env` says one.
#[must_use]
pub fn read_project(text: &str, env: Option<&str>, file: FileId) -> (Facts, Option<String>, Vec<Diagnostic>) {
    let mut reader = Reader {
        file,
        variables: Variables::new(),
        diagnostics: Vec::new(),
        told: HashSet::new(),
        docker: DockerFact::default(),
        ports: 0,
        project: None,
        default_network: "default".to_owned(),
    };
    reader.environment(env);
    let facts = match yaml::parse(text) {
        Ok(Some(root)) => {
            reader.root(&root);
            Facts { docker: Some(std::mem::take(&mut reader.docker)), ..Facts::default() }
        }
        Ok(None) => {
            let message = "the compose file is empty";
            reader.diagnostics.push(Diagnostic::new(
                &COMPOSE_SYNTAX,
                Location { file, span: Span::default() },
                message,
            ));
            Facts::default()
        }
        Err(fault) => {
            let code = if fault.too_large { &COMPOSE_TOO_LARGE } else { &COMPOSE_SYNTAX };
            let mut diagnostic = Diagnostic::new(code, Location { file, span: fault.span }, fault.message);
            if let Some(help) = fault.help {
                diagnostic = diagnostic.help(help);
            }
            reader.diagnostics.push(diagnostic);
            Facts::default()
        }
    };
    let (mut diagnostics, project) = (reader.diagnostics, reader.project);
    let facts = with_sources(facts);
    let whole = Location { file, span: Span::default() };
    diagnostics.extend(validate::validate(&facts, whole));
    (facts, project, diagnostics)
}

/// Records where networks, containers and ports are said, by path, as for a facts file.
fn with_sources(mut facts: Facts) -> Facts {
    let mut sources = BTreeMap::new();
    if let Some(docker) = &facts.docker {
        for (name, network) in &docker.networks {
            if let Some(location) = network.location {
                sources.insert(format!("docker.networks.{name}"), location);
            }
        }
        for (name, container) in &docker.containers {
            if let Some(location) = container.location {
                sources.insert(format!("docker.containers.{name}"), location);
            }
            if let Some(location) = container.ports.first().and_then(|port| port.location) {
                sources.insert(format!("docker.containers.{name}.ports"), location);
            }
        }
    }
    facts.sources = sources;
    facts
}

struct Reader {
    file: FileId,
    variables: Variables,
    diagnostics: Vec<Diagnostic>,
    /// Faults of scalars that have been told: a scalar that an alias repeats is one fault.
    told: HashSet<(Span, String)>,
    docker: DockerFact,
    ports: usize,
    project: Option<String>,
    default_network: String,
}

impl Reader {
    fn location(&self, span: Span) -> Location {
        Location { file: self.file, span }
    }

    /// Tells a fault once, however many aliases lead to it.
    fn tell(&mut self, diagnostic: Diagnostic) {
        if self.told.insert((diagnostic.primary.location.span, diagnostic.message.clone())) {
            self.diagnostics.push(diagnostic);
        }
    }

    fn fault(&mut self, code: &'static Code, span: Span, message: impl Into<String>, help: &str) {
        let mut diagnostic = Diagnostic::new(code, self.location(span), message);
        if !help.is_empty() {
            diagnostic = diagnostic.help(help);
        }
        self.tell(diagnostic);
    }

    fn environment(&mut self, env: Option<&str>) {
        let Some(env) = env else { return };
        let (variables, faults) = variables::read(env);
        self.variables = variables;
        for (line, fault) in faults {
            let message = format!("line {line} of the `.env` file: {fault}");
            self.fault(&COMPOSE_SYNTAX, Span::default(), message, "write `NAME=value`, one a line");
        }
    }

    /// A scalar with its variables filled in. `None`: it is no scalar, or a fault has been told.
    fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        self.scalar(node, what, &UNSET_VARIABLE)
    }

    fn scalar(&mut self, node: &Node, what: &str, unset: &'static Code) -> Option<String> {
        let written = match &node.value {
            Value::Text(text) => text,
            Value::Null => return None,
            _ => {
                let message = format!("{what} is {}, a text was expected", node.kind());
                self.fault(&COMPOSE_VALUE, node.span, message, "");
                return None;
            }
        };
        let filled = variables::interpolate(written, &self.variables);
        let faulty = !filled.faults.is_empty();
        for fault in filled.faults {
            let code = if unset.level == Level::Error { unset } else { &COMPOSE_VALUE };
            self.fault(code, node.span, format!("{what}: {fault}"), "");
        }
        let missing = !filled.missing.is_empty();
        for name in filled.missing {
            let message = format!("{what} rests on the variable `{}`, which has no value", brief(&name));
            let help = format!("put `{}=…` into the `.env` file, or write a default: `${{{0}:-…}}`", brief(&name));
            self.fault(unset, node.span, message, &help);
        }
        let usable = !faulty && (!missing || unset.level != Level::Error);
        usable.then_some(filled.text)
    }

    fn flag(&mut self, node: &Node, what: &str) -> Option<bool> {
        let text = self.text(node, what)?;
        match text.to_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "1" => Some(true),
            "false" | "no" | "off" | "n" | "0" => Some(false),
            _ => {
                let message = format!("{what} is `{}`, expected `true` or `false`", brief(&text));
                self.fault(&COMPOSE_VALUE, node.span, message, "");
                None
            }
        }
    }

    fn address(&mut self, node: &Node, what: &str) -> Option<IpAddr> {
        let text = self.text(node, what).filter(|text| !text.is_empty())?;
        let address = text.parse().ok();
        if address.is_none() {
            self.fault(&COMPOSE_VALUE, node.span, format!("{what} is `{}`, expected an IP address", brief(&text)), "");
        }
        address
    }

    /// The items of a list; anything else is a fault.
    fn items<'a>(&mut self, node: &'a Node, what: &str) -> &'a [Rc<Node>] {
        match &node.value {
            Value::List(items) => items,
            Value::Null => &[],
            _ => {
                let message = format!("{what} is {}, expected a list", node.kind());
                self.fault(&COMPOSE_VALUE, node.span, message, "begin each item with `-`, or put them into brackets");
                &[]
            }
        }
    }

    fn expect_map(&mut self, node: &Node, what: &str) -> bool {
        let fits = matches!(node.value, Value::Map(_) | Value::Null);
        if !fits {
            self.fault(&COMPOSE_VALUE, node.span, format!("{what} is {}, expected an object", node.kind()), "");
        }
        fits
    }

    fn root(&mut self, root: &Node) {
        if !matches!(root.value, Value::Map(_)) {
            let message = format!("the file is {}, expected an object with `services`", root.kind());
            self.fault(&COMPOSE_SYNTAX, root.span, message, "");
            return;
        }
        // The variable goes before the file's own word, as it does for `docker compose`.
        let said = root.get("name").and_then(|node| self.text(node, "`name`"));
        let variable = self.variables.get("COMPOSE_PROJECT_NAME").cloned().filter(|name| !name.is_empty());
        self.project = variable.or(said).filter(|name| !name.is_empty());
        if let Some(project) = &self.project {
            self.default_network = format!("{project}_default");
        }
        if let Some(entry) = root.entry("include") {
            let (span, message) = (entry.key_span, "`include` brings in files that are not read here");
            self.fault(&NOT_READ, span, message, "name each of those files in a `compose` line of its own");
        }
        let mut names = BTreeMap::new();
        if let Some(networks) = root.get("networks")
            && self.expect_map(networks, "`networks`")
        {
            for entry in networks.entries().iter().filter(|entry| !entry.key.starts_with("x-")) {
                if self.expect_map(&entry.value, &format!("the network `{}`", brief(&entry.key))) {
                    let name = self.network(&entry.key, entry.key_span, &entry.value);
                    names.insert(entry.key.to_string(), name);
                }
            }
        }
        let Some(services) = root.get("services") else {
            let (message, help) = ("the compose file has no `services`", "is this a compose file?");
            self.fault(&COMPOSE_SYNTAX, Span::default(), message, help);
            return;
        };
        if !self.expect_map(services, "`services`") {
            return;
        }
        for entry in services.entries().iter().filter(|entry| !entry.key.starts_with("x-")) {
            let what = format!("the service `{}`", brief(&entry.key));
            if self.expect_map(&entry.value, &what) {
                self.service(&entry.key, entry.key_span, &entry.value, services, &names);
            }
        }
    }
}
