//! Several compose files. Those of one project are read over each other, as `docker compose -f` does; what two projects call by
//! the same name are two things, which Docker tells apart by the project's name.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::facts::merge::move_sources;
use crate::facts::{Facts, brief};
use crate::span::Location;

/// Two projects call something by one name.
pub static SHARED_NAME: Code = Code {
    number: "FW0430",
    name: "name-in-two-projects",
    level: Level::Note,
    summary: "two compose projects have a network or a service of the same name",
    explanation: "\
Docker puts the project's name before the names of a project's networks and containers: `shop_backend` and `blog_backend` are two
networks, whatever the compose files call them. A policy names what a compose file declares as the file does, and where two projects
use one name, as Docker does.

```text
compose \"shop/docker-compose.yml\"      # network backend, service web
compose \"blog/docker-compose.yml\"      # network backend, service web

allow https to container shop-web-1
deny from network blog_backend to network shop_backend
```

The project's name is `COMPOSE_PROJECT_NAME` in the `.env` file, else `name` at the top of the compose file, else the directory that
the file lies in. Files beside the policy itself keep their names as they are, unless they say what their project is called. A network
with a `name` of its own, or an `external` one, is called so by Docker too, and two projects that use it share it.

**Why it hurts.** Taken for one network, the two would seem to be neighbours, and a rule for one would speak of the other.

Nothing needs to be changed where the policy names neither of the two.
",
};

/// A compose file's facts, and the project that it belongs to; empty: the policy's own directory, and no name is said.
pub struct Read {
    /// What `name` or `.env` say, else the directory.
    pub project: String,
    /// Its facts.
    pub facts: Facts,
}

/// The name that Docker gives to a project in a directory: small letters, digits, `-` and `_`, and no such mark in front.
#[must_use]
pub fn name_of_directory(directory: &str) -> String {
    let plain: String = directory
        .to_lowercase()
        .chars()
        .filter(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '-' | '_'))
        .collect();
    plain.trim_start_matches(['-', '_']).to_owned()
}

/// More shared names of one kind than these are not told one by one.
const MOST_TOLD: usize = 20;

/// Gives what two projects call by the same name the names that Docker has for them.
#[must_use]
pub fn keep_apart(files: &mut [Read]) -> Vec<Diagnostic> {
    let networks = shared(files, |facts| {
        let docker = facts.docker.iter().flat_map(|docker| &docker.networks);
        let own = docker.filter(|(key, network)| network.compose_name.as_ref() == Some(key) && !network.external);
        own.map(|(key, network)| (key.clone(), network.location)).collect()
    });
    let services = shared(files, |facts| {
        let docker = facts.docker.iter().flat_map(|docker| &docker.containers);
        docker.map(|(key, container)| (key.clone(), container.location)).collect()
    });
    let mut out = Vec::new();
    for (kind, names) in [("network", &networks), ("service", &services)] {
        for (name, places) in names.iter().take(MOST_TOLD) {
            let [first, .., last] = places.as_slice() else { continue };
            // The network that nobody wrote is in every project, and no policy names it.
            let (Some(first), Some(last)) = (*first, *last) else { continue };
            let message = format!("two projects have a {kind} `{}`", brief(name));
            let help = "name it as Docker does, with its project in front";
            out.push(Diagnostic::new(&SHARED_NAME, last, message).related(first, "the other").help(help));
        }
    }
    for file in files.iter_mut().filter(|file| !file.project.is_empty()) {
        rename_networks(file, &networks);
        rename_services(file, &services);
    }
    out
}

/// Names that two projects give, and where they do.
type Names = BTreeMap<String, Vec<Option<Location>>>;

fn shared(files: &[Read], names: impl Fn(&Facts) -> Vec<(String, Option<Location>)>) -> Names {
    let mut given: BTreeMap<String, (BTreeSet<&str>, Vec<Option<Location>>)> = BTreeMap::new();
    for file in files {
        for (name, location) in names(&file.facts) {
            let (projects, places) = given.entry(name).or_default();
            if projects.insert(&file.project) {
                places.push(location);
            }
        }
    }
    given
        .into_iter()
        .filter(|(_, (projects, _))| projects.len() > 1)
        .map(|(name, (_, places))| (name, places))
        .collect()
}

fn rename_networks(file: &mut Read, shared: &Names) {
    let Some(docker) = &mut file.facts.docker else { return };
    let mut named = BTreeMap::new();
    for (key, mut network) in std::mem::take(&mut docker.networks) {
        let own = shared.contains_key(&key) && network.compose_name.as_ref() == Some(&key) && !network.external;
        if !own {
            docker.networks.insert(key, network);
            continue;
        }
        let name = format!("{}_{key}", file.project);
        move_sources(&mut file.facts.sources, "docker.networks", &key, Some(&name));
        network.project = Some(file.project.clone());
        docker.networks.insert(name.clone(), network);
        named.insert(key, name);
    }
    for network in docker.containers.values_mut().flat_map(|container| &mut container.networks) {
        if let Some(name) = named.get(network) {
            network.clone_from(name);
        }
    }
}

fn rename_services(file: &mut Read, shared: &Names) {
    let Some(docker) = &mut file.facts.docker else { return };
    let project = &file.project;
    let named: BTreeMap<String, String> = docker
        .containers
        .iter()
        .filter(|(key, _)| shared.contains_key(*key))
        .map(|(key, container)| {
            let own = container.container_name.clone();
            (key.clone(), own.unwrap_or_else(|| format!("{project}-{key}-1")))
        })
        .collect();
    for container in docker.containers.values_mut() {
        if let Some(name) = container.network_of.as_ref().and_then(|other| named.get(other)) {
            container.network_of = Some(name.clone());
        }
    }
    for (key, name) in named {
        let Some(mut container) = docker.containers.remove(&key) else { continue };
        container.project = Some(project.clone());
        move_sources(&mut file.facts.sources, "docker.containers", &key, Some(&name));
        docker.containers.insert(name, container);
    }
}
