//! Compose files as people write them (`tests/data/compose/*.yml`). What each line means stands at its end: `#=` a published
//! port, a container's network and addresses, or a network; `#!` a diagnostic. Every fact must be there, and no other.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fwc::facts::{DockerContainer, DockerNetwork, PublishedPort, compose};
use fwc::span::{FileId, LineIndex, Location};

fn port(port: &PublishedPort) -> String {
    let address = match port.address {
        None => "*".to_owned(),
        Some(std::net::IpAddr::V6(address)) => format!("[{address}]"),
        Some(address) => address.to_string(),
    };
    let host = match (port.port, port.last_port) {
        (None, _) => "random".to_owned(),
        (Some(first), None) => first.to_string(),
        (Some(first), Some(last)) if port.one_of_range => format!("one of {first}-{last}"),
        (Some(first), Some(last)) => format!("{first}-{last}"),
    };
    let ingress = if port.ingress { " ingress" } else { "" };
    format!("{} {address} {host} > {}{ingress}", port.protocol, port.container_port)
}

fn container(name: &str, container: &DockerContainer) -> String {
    let mut words = vec![format!("{name} on {}", container.networks.join(" "))];
    words.extend(container.network_of.iter().map(|other| format!("in {other}")));
    words.extend(container.addresses.iter().map(ToString::to_string));
    words.extend(container.container_name.iter().map(|name| format!("called {name}")));
    words.join(", ").replace(" on ,", ",").trim_end().trim_end_matches(" on").to_owned()
}

fn network(name: &str, network: &DockerNetwork) -> String {
    let driver = network.driver.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    let mut words = vec![format!("network {name} {driver}")];
    words.extend(network.bridge.iter().map(|bridge| format!("bridge {bridge}")));
    words.extend(network.subnets.iter().map(ToString::to_string));
    words.extend(network.gateways.iter().map(|gateway| format!("gateway {gateway}")));
    words.extend(network.ipv6.iter().map(|on| format!("ipv6 {on}")));
    words.extend(network.icc.iter().map(|on| format!("icc {on}")));
    words.extend(network.gateway_mode_ipv4.iter().map(|mode| format!("mode4 {mode}")));
    words.extend(network.gateway_mode_ipv6.iter().map(|mode| format!("mode6 {mode}")));
    words.extend(network.parent.iter().map(|parent| format!("parent {parent}")));
    words.extend(network.trusted_host_interfaces.iter().map(|card| format!("trusts {card}")));
    words.extend(network.internal.then(|| "internal".to_owned()));
    words.extend(network.external.then(|| "external".to_owned()));
    words.join(", ")
}

/// What is written at the end of each line, by line number.
fn written(text: &str) -> BTreeMap<u32, Vec<String>> {
    let mut lines: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut rest = line;
        while let Some(at) = ["#= ", "#! "].iter().filter_map(|mark| rest.find(mark)).min() {
            let (mark, after) = rest[at..].split_at(3);
            let end = ["#= ", "#! "].iter().filter_map(|mark| after.find(mark)).min().unwrap_or(after.len());
            lines.entry(number).or_default().push(format!("{mark}{}", after[..end].trim()));
            rest = &after[end..];
        }
    }
    lines
}

/// The file with what was found written at the end of each line, for reading through after a change (`FWC_UPDATE=1`).
fn annotated(text: &str, found: &BTreeMap<u32, Vec<String>>) -> String {
    let mut out = String::new();
    for (number, line) in (1..).zip(text.lines()) {
        let end = ["#= ", "#! "].iter().filter_map(|mark| line.find(mark)).min().unwrap_or(line.len());
        let bare = line[..end].trim_end();
        match found.get(&number) {
            Some(words) => out.push_str(&format!("{bare:<40}  {}\n", words.join(" "))),
            None => out.push_str(&format!("{bare}\n")),
        }
    }
    out
}

fn check(path: &Path) {
    let text = fs::read_to_string(path).expect("fixture");
    let env = fs::read_to_string(path.with_extension("env")).ok();
    let (facts, diagnostics) = compose::read(&text, env.as_deref(), FileId(0));
    let index = LineIndex::new(&text);
    let line = |location: Option<Location>| location.map_or(0, |at| index.line_column(at.span.start).0);
    let mut found: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let docker = facts.docker.unwrap_or_default();
    for (name, one) in &docker.networks {
        // Networks that nobody wrote are checked at the containers that are on them.
        if one.location.is_some() {
            found.entry(line(one.location)).or_default().push(format!("#= {}", network(name, one)));
        }
    }
    for (name, one) in &docker.containers {
        for network in &one.networks {
            assert!(docker.networks.contains_key(network) || network == "host" || network == "none", "{network}");
        }
        found.entry(line(one.location)).or_default().push(format!("#= {}", container(name, one)));
        for published in &one.ports {
            found.entry(line(published.location)).or_default().push(format!("#= {}", port(published)));
        }
    }
    for one in &diagnostics {
        assert!(one.message.chars().count() < 100, "too long: {}", one.message);
        let text = format!("#! {} {}", one.code.number, one.message);
        found.entry(line(Some(one.primary.location))).or_default().push(text);
    }
    let mut written = written(&text);
    for lines in found.values_mut().chain(written.values_mut()) {
        lines.sort();
    }
    if std::env::var_os("FWC_UPDATE").is_some() {
        fs::write(path, annotated(&text, &found)).expect("write");
        return;
    }
    let show = |lines: &BTreeMap<u32, Vec<String>>| {
        lines.iter().map(|(line, words)| format!("{line}: {}\n", words.join(" "))).collect::<String>()
    };
    let (found, written) = (show(&found), show(&written));
    assert!(found == written, "{}:\nwritten in the file:\n{written}\nfound:\n{found}", path.display());
}

#[test]
fn every_line_means_what_stands_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/compose");
    let mut files: Vec<_> = fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    assert!(files.len() >= 6);
    files.iter().for_each(|path| check(path));
}

#[test]
fn what_cannot_be_read_is_an_error() {
    for (text, number) in [
        ("", "FW0420"),
        ("- a\n- b\n", "FW0420"),
        ("version: '3'\n", "FW0420"),
        ("services:\n  web: [\n", "FW0420"),
        ("services:\n  web:\n    ports: [\"80:80\"]\n  web: {}\n", "FW0420"),
        ("services:\n\0  web: {}\n", "FW0420"),
        ("services: {}\n---\nservices: {}\n", "FW0420"),
        ("services: [web]\n", "FW0421"),
        ("services:\n  web:\n    ports: [\"1-65535\", \"1-65535/udp\"]\n", "FW0541"),
    ] {
        let (_, diagnostics) = compose::read(text, None, FileId(0));
        assert!(diagnostics.iter().any(|one| one.code.number == number && one.is_error()), "{text}: {diagnostics:?}");
    }
}

#[test]
fn hostile_files_are_read_in_bounded_time() {
    // Every service names every alias of a list that names itself many times: a billion ports if they were copied.
    let mut text = "x-a0: &a0 [\"80:80\"]\n".to_owned();
    for level in 1..30 {
        let alias = format!("*a{}, ", level - 1).repeat(10);
        text.push_str(&format!("x-a{level}: &a{level} [{}]\n", alias.trim_end_matches(", ")));
    }
    text.push_str("services:\n  web:\n    ports: *a29\n");
    let started = std::time::Instant::now();
    let (_, diagnostics) = compose::read(&text, None, FileId(0));
    assert!(!diagnostics.is_empty());
    // One list of ports, used by thousands of services.
    let ports: Vec<String> = (1..=1000).map(|port| format!("\"{port}:{port}\"")).collect();
    let mut text = format!("x-p: &p [{}]\nservices:\n", ports.join(", "));
    (0..5000).for_each(|service| text.push_str(&format!("  s{service}: {{ ports: *p }}\n")));
    let (facts, diagnostics) = compose::read(&text, None, FileId(0));
    assert!(diagnostics.iter().any(|one| one.code.number == "FW0541"));
    let ports: usize =
        facts.docker.iter().flat_map(|docker| docker.containers.values()).map(|one| one.ports.len()).sum();
    assert!(ports <= 101_000, "{ports}");
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
