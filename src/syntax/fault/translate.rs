//! Rules of ufw, iptables and nft in the words of the language. A line is translated only if each of its words is understood: one that
//! was left out would make the rule wider than it was.

/// A rule in the making.
#[derive(Default)]
struct Sentence {
    action: &'static str,
    protocol: Option<String>,
    ports: Option<String>,
    service: Option<String>,
    from: Option<String>,
    to: Option<String>,
    via: Option<String>,
    outgoing: bool,
}

/// The statement that a line of another firewall's language means.
pub(super) fn translated(text: &str) -> Option<String> {
    let line = text.split('#').next().unwrap_or(text);
    let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "sudo").collect();
    match words.as_slice() {
        ["ufw", rest @ ..] => ufw(rest),
        ["iptables", "-A" | "--append", rest @ ..] | ["-A", rest @ ..] => iptables(rest),
        ["default", action, direction] => default(action, direction),
        [.., "accept" | "drop" | "reject"] => nft(&words),
        _ => None,
    }
}

fn default(action: &str, direction: &str) -> Option<String> {
    let action = ["allow", "deny", "reject"].into_iter().find(|known| *known == action)?;
    let clause = match direction.trim_matches(['(', ')', ',']) {
        "incoming" | "in" | "input" => "to host",
        "outgoing" | "out" | "output" => "from host",
        _ => return None,
    };
    Some(format!("default {action} {clause}"))
}

fn ufw(words: &[&str]) -> Option<String> {
    if let ["default", action, direction] = words {
        return default(action, direction);
    }
    let (action, mut rest) = words.split_first()?;
    let action = ["allow", "deny", "reject"].into_iter().find(|known| known == action)?;
    let mut sentence = Sentence { action, ..Sentence::default() };
    while let [word, after @ ..] = rest {
        rest = match (*word, after) {
            ("in", ["on", interface, after @ ..]) | ("out", ["on", interface, after @ ..]) => {
                sentence.outgoing = *word == "out";
                sentence.via = Some((*interface).to_owned());
                after
            }
            ("in", after) => after,
            ("out", after) => {
                sentence.outgoing = true;
                after
            }
            ("from", [who, after @ ..]) => {
                sentence.from = address(who)?;
                after
            }
            ("to", [who, after @ ..]) => {
                sentence.to = address(who)?;
                after
            }
            ("port", [ports, after @ ..])
                if sentence.ports.is_none() && (sentence.from.is_none() || words.contains(&"to")) =>
            {
                sentence.ports = Some(port_list(ports)?);
                after
            }
            ("proto", [protocol, after @ ..]) => {
                sentence.protocol = Some(with_ports(protocol)?.to_owned());
                after
            }
            (what, after) if sentence.ports.is_none() && sentence.service.is_none() => {
                match what.split_once('/') {
                    Some((ports, protocol)) => {
                        sentence.protocol = Some(with_ports(protocol)?.to_owned());
                        sentence.ports = Some(port_list(ports)?);
                    }
                    None => match port_list(what) {
                        Some(ports) => sentence.ports = Some(ports),
                        None => sentence.service = Some(service(what)?),
                    },
                }
                after
            }
            _ => return None,
        };
    }
    sentence.written()
}

fn iptables(words: &[&str]) -> Option<String> {
    let (chain, mut rest) = words.split_first()?;
    let mut sentence = Sentence { outgoing: *chain == "OUTPUT", ..Sentence::default() };
    if !matches!(*chain, "INPUT" | "OUTPUT") {
        return None;
    }
    while let [option, value, after @ ..] = rest {
        match (*option, *value) {
            ("-p" | "--protocol", protocol) => sentence.protocol = Some(with_ports(protocol)?.to_owned()),
            ("--dport" | "--dports" | "--destination-port", ports) => sentence.ports = Some(port_list(ports)?),
            ("-s" | "--source", who) => sentence.from = address(who)?,
            ("-d" | "--destination", who) => sentence.to = address(who)?,
            ("-i" | "--in-interface", name) if !sentence.outgoing => sentence.via = Some(name.to_owned()),
            ("-o" | "--out-interface", name) if sentence.outgoing => sentence.via = Some(name.to_owned()),
            ("-m", "tcp" | "udp" | "multiport") => {}
            ("-j" | "--jump", verdict) => sentence.action = decided(verdict)?,
            _ => return None,
        }
        rest = after;
    }
    rest.is_empty().then(|| sentence.written())?
}

fn nft(words: &[&str]) -> Option<String> {
    let (verdict, mut rest) = words.split_last()?;
    let mut sentence = Sentence { action: decided(verdict)?, ..Sentence::default() };
    while let [key, field, after @ ..] = rest {
        rest = match (*key, *field, after) {
            ("tcp" | "udp" | "sctp", "dport", [ports, after @ ..]) => {
                sentence.protocol = Some((*key).to_owned());
                sentence.ports = Some(port_list(ports)?);
                after
            }
            ("ip" | "ip6", "saddr", [who, after @ ..]) => {
                sentence.from = address(who)?;
                after
            }
            ("iif" | "iifname", name, after) => {
                sentence.via = Some(name.trim_matches('"').to_owned());
                after
            }
            _ => return None,
        };
    }
    rest.is_empty().then(|| sentence.written())?
}

impl Sentence {
    /// In the language; `None` if it says too little to be sure what is meant.
    fn written(self) -> Option<String> {
        let what = match (self.service, self.protocol, self.ports) {
            (Some(service), None, None) => service,
            (None, Some(protocol), Some(ports)) => format!("{protocol} {ports}"),
            // ufw means both where it is told of neither.
            (None, None, Some(ports)) => format!("{{ tcp {ports}, udp {ports} }}"),
            (None, Some(protocol), None) => protocol,
            (None, None, None) if self.from.is_some() || self.to.is_some() || self.via.is_some() => String::new(),
            _ => return None,
        };
        let (from, to) = match (self.outgoing, self.from, self.to) {
            (true, None, to) => ("host".to_owned(), to.unwrap_or_else(|| "world".to_owned())),
            (false, from, None) => (from.unwrap_or_else(|| "any".to_owned()), "host".to_owned()),
            (false, from, Some(to)) => (from.unwrap_or_else(|| "any".to_owned()), format!("host at {to}")),
            (true, Some(_), _) => return None,
        };
        let space = if what.is_empty() { "" } else { " " };
        let via = self.via.map_or_else(String::new, |via| format!(" via {via}"));
        Some(format!("{}{space}{what} from {from} to {to}{via}", self.action))
    }
}

/// A place; the inner `None` is everyone.
#[allow(clippy::option_option)]
fn address(word: &str) -> Option<Option<String>> {
    if matches!(word, "any" | "anywhere" | "0.0.0.0/0" | "::/0") {
        return Some(None);
    }
    let plain = word.parse::<crate::net::AddressRange>().is_ok();
    plain.then(|| Some(word.to_owned()))
}

/// What a verdict of netfilter is called.
fn decided(verdict: &str) -> Option<&'static str> {
    match verdict {
        "ACCEPT" | "accept" => Some("allow"),
        "DROP" | "drop" => Some("deny"),
        "REJECT" | "reject" => Some("reject"),
        _ => None,
    }
}

fn with_ports(protocol: &str) -> Option<&str> {
    matches!(protocol, "tcp" | "udp" | "sctp").then_some(protocol)
}

/// `22`, `80,443`, `6000:6007` as the language writes them.
fn port_list(word: &str) -> Option<String> {
    let one = |part: &str| -> Option<String> {
        let (first, last) = part.split_once([':', '-']).unwrap_or((part, part));
        let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
        Some(if first == last { first.to_string() } else { format!("{first}-{last}") })
    };
    let ports: Vec<String> = word.split(',').map(one).collect::<Option<_>>()?;
    Some(ports.join(", "))
}

fn service(word: &str) -> Option<String> {
    let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    plain.then(|| crate::names::service::synonym(word).map_or_else(|| word.to_ascii_lowercase(), str::to_owned))
}

/// What the writer's own word for a service and its port means: `port 22 proto tcp`, `22/tcp`, `tcp/udp 53`, `http:8080`. A
/// replacement for the first words of `words`, and how many it replaces.
pub(super) fn traffic(words: &[&str]) -> Option<(String, usize)> {
    match words {
        ["port", ports, "proto" | "protocol", protocol, ..] => {
            Some((format!("{} {}", with_ports(protocol)?, port_list(ports)?), 4))
        }
        ["proto" | "protocol", protocol, "port", ports, ..] => {
            Some((format!("{} {}", with_ports(protocol)?, port_list(ports)?), 4))
        }
        ["tcp/udp" | "udp/tcp" | "tcp,udp" | "tcp+udp" | "tcpudp", ports, ..] => {
            let ports = port_list(ports)?;
            Some((format!("{{ tcp {ports}, udp {ports} }}"), 2))
        }
        [word, ..] => {
            if let Some((ports, protocol)) = word.split_once('/') {
                return Some((format!("{} {}", with_ports(protocol)?, port_list(ports)?), 1));
            }
            let (name, ports) = word.split_once(':')?;
            let over_tcp = matches!(name, "tcp" | "http" | "https" | "ssh");
            match name {
                "tcp" | "udp" | "sctp" => Some((format!("{name} {}", port_list(ports)?), 1)),
                _ if over_tcp => Some((format!("tcp {}", port_list(ports)?), 1)),
                _ => None,
            }
        }
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_others_keep_all_that_they_say() {
        for (theirs, ours) in [
            ("ufw allow 22/tcp", Some("allow tcp 22 from any to host")),
            ("sudo ufw allow OpenSSH", Some("allow ssh from any to host")),
            ("ufw allow 53", Some("allow { tcp 53, udp 53 } from any to host")),
            ("ufw allow 6000:6007/tcp", Some("allow tcp 6000-6007 from any to host")),
            ("ufw deny from 203.0.113.4", Some("deny from 203.0.113.4 to host")),
            ("ufw allow from 10.0.0.0/8 to any port 22 proto tcp", Some("allow tcp 22 from 10.0.0.0/8 to host")),
            ("ufw allow in on wg0 to any port 80 proto tcp", Some("allow tcp 80 from any to host via wg0")),
            ("ufw allow out 53/udp", Some("allow udp 53 from host to world")),
            ("ufw default deny incoming", Some("default deny to host")),
            ("default deny incoming", Some("default deny to host")),
            ("default allow outgoing", Some("default allow from host")),
            ("tcp dport 22 accept", Some("allow tcp 22 from any to host")),
            ("ip saddr 10.0.0.0/8 tcp dport 22 accept", Some("allow tcp 22 from 10.0.0.0/8 to host")),
            ("iifname \"wg0\" udp dport 53 drop", Some("deny udp 53 from any to host via wg0")),
            ("-A INPUT -p tcp --dport 22 -j ACCEPT", Some("allow tcp 22 from any to host")),
            (
                "iptables -A INPUT -i eth0 -s 192.0.2.0/24 -p tcp -m tcp --dport 443 -j DROP",
                Some("deny tcp 443 from 192.0.2.0/24 to host via eth0"),
            ),
            ("-A OUTPUT -p udp --dport 53 -j ACCEPT", Some("allow udp 53 from host to world")),
            // A word that is not understood, or a chain whose flow is not known: nothing is offered.
            ("-A INPUT -p tcp --dport 22 -m limit --limit 3/min -j ACCEPT", None),
            ("-A INPUT ! -s 10.0.0.0/8 -p tcp --dport 22 -j ACCEPT", None),
            ("-A FORWARD -p tcp --dport 22 -j ACCEPT", None),
            ("-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT", None),
            ("ct state established,related accept", None),
            ("tcp dport != 22 accept", None),
            ("tcp dport 22 ct count 5 accept", None),
            ("ufw limit ssh", None),
            ("ufw allow from 10.0.0.0/8 port 22", None),
            ("ufw allow", None),
            ("ufw enable", None),
            ("-A INPUT -j ACCEPT", None),
            ("accept", None),
        ] {
            assert_eq!(translated(theirs).as_deref(), ours, "{theirs}");
        }
    }

    #[test]
    fn ports_are_said_behind_their_protocol() {
        for (theirs, ours) in [
            ("port 22 proto tcp to host", Some(("tcp 22", 4))),
            ("proto udp port 53", Some(("udp 53", 4))),
            ("tcp/udp 53 to host", Some(("{ tcp 53, udp 53 }", 2))),
            ("6000:6007/tcp to host", Some(("tcp 6000-6007", 1))),
            ("22/tcp", Some(("tcp 22", 1))),
            ("http:8080", Some(("tcp 8080", 1))),
            ("dns:5353", None),
            ("port 22", None),
            ("22/icmp", None),
            ("70000/tcp", None),
        ] {
            let words: Vec<&str> = theirs.split_whitespace().collect();
            assert_eq!(traffic(&words), ours.map(|(text, count)| (text.to_owned(), count)), "{theirs}");
        }
    }
}
