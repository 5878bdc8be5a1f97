//! What a rule does on the way, and what it decides.

use super::{INCOMPLETE_MATCH, UNUSABLE_TEXT, WRONG_TABLE, Writer, safe, write};
use crate::net::{Family, Protocol};
use crate::netfilter::{Effect, MarkWord, Match, MatchKind, Reject, Rule, TableKind, Verdict};

/// Longest log prefix (`NF_LOG_PREFIXLEN` less the final NUL).
const LOG_PREFIX: usize = 127;

impl<'a, 's> Writer<'a, 's> {
    pub(super) fn effect(&mut self, out: &mut String, effect: &Effect, rule: &Rule, family: Option<Family>) {
        use std::fmt::Write as _;
        match effect {
            Effect::Log { prefix, level } => {
                if prefix.len() > LOG_PREFIX {
                    let message = "the log prefix is longer than 127 bytes".to_owned();
                    self.fault(&UNUSABLE_TEXT, rule, message, "shorten it");
                }
                if prefix.contains('$') {
                    let message = format!("nft takes `$` in the log prefix `{prefix}` for the name of a variable");
                    self.fault(&UNUSABLE_TEXT, rule, message, "leave it out");
                }
                out.push_str(" log prefix ");
                write::quoted(out, prefix, LOG_PREFIX);
                let names = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
                out.push_str(" level ");
                out.push_str(names.get(usize::from(*level)).unwrap_or(&"warn"));
            }
            Effect::Unknown(text) | Effect::OpenMarks(text) => {
                out.push(' ');
                write::plain(out, text);
            }
            // Writing to a String cannot fail.
            Effect::SetMark { value, mask: u32::MAX } => {
                let _ = write!(out, " meta mark set 0x{value:x}");
            }
            Effect::SetMark { value, mask } => {
                let _ = write!(out, " meta mark set meta mark & 0x{:x} ^ 0x{value:x}", !mask);
            }
            Effect::SetConnectionMark { value, mask: u32::MAX } => {
                let _ = write!(out, " ct mark set 0x{value:x}");
            }
            Effect::SetConnectionMark { value, mask } => {
                let _ = write!(out, " ct mark set ct mark & 0x{:x} ^ 0x{value:x}", !mask);
            }
            Effect::CopyMark { to, cleared, copied, value } => {
                let (to, from) = match to {
                    MarkWord::Packet => ("meta", "ct"),
                    MarkWord::Connection => ("ct", "meta"),
                };
                // nft has no word for what keeps some bits of one mark and takes others from the other.
                if *cleared != u32::MAX {
                    let message = "nft copies a mark whole, or leaves bits of it out".to_owned();
                    self.fault(&INCOMPLETE_MATCH, rule, message, "copy all bits of the mark");
                }
                let _ = write!(out, " {to} mark set {from} mark & 0x{copied:x} ^ 0x{value:x}");
            }
            Effect::SetDscp(value) => {
                out.push_str(if family == Some(Family::Ipv6) { " ip6" } else { " ip" });
                let _ = write!(out, " dscp set 0x{value:02x}");
            }
            Effect::ClampMss => {
                let asked = |item: &Match| matches!(item.kind, MatchKind::TcpFlags { .. });
                if !rule.matches.iter().any(asked) {
                    out.push_str(" tcp flags & 0x6 == 0x2");
                }
                out.push_str(" tcp option maxseg size set rt mtu");
            }
            Effect::Notrack => {
                if self.kind != TableKind::Raw {
                    let message = format!("NOTRACK exists in the raw table only, not in {}", self.kind.name());
                    self.fault(&WRONG_TABLE, rule, message, "move the rule to a chain of that table");
                }
                out.push_str(" notrack");
            }
            Effect::Helper(name) => {
                let protocol = rule.matches.iter().find_map(|item| match &item.kind {
                    MatchKind::Protocol(list) if !item.negated => match &**list {
                        [one @ (Protocol::TCP | Protocol::UDP)] => one.name(),
                        _ => None,
                    },
                    _ => None,
                });
                let Some(protocol) = protocol else {
                    let message = format!("the helper `{name}` stands without its protocol");
                    self.fault(&INCOMPLETE_MATCH, rule, message, "name one: `tcp` or `udp`");
                    return;
                };
                let object = format!("fwc-{name}-{protocol}");
                if !safe(&object) {
                    let message = format!("`{name}` cannot be the name of a helper");
                    self.fault(&UNUSABLE_TEXT, rule, message, "use the name of a kernel module, such as `ftp`");
                }
                if self.named.insert(object.clone()) {
                    let _ = writeln!(
                        self.objects,
                        "\tct helper {object} {{\n\t\ttype \"{name}\" protocol {protocol};\n\t}}"
                    );
                }
                let _ = write!(out, " ct helper set \"{object}\"");
            }
        }
    }

    pub(super) fn verdict(&mut self, out: &mut String, verdict: &Verdict, rule: &Rule, family: Option<Family>) {
        use std::fmt::Write as _;
        if self.kind != TableKind::Nat
            && matches!(verdict, Verdict::Dnat { .. } | Verdict::Snat(_) | Verdict::Masquerade | Verdict::Redirect(_))
        {
            let message = format!("address translation exists in the nat table only, not in {}", self.kind.name());
            self.fault(&WRONG_TABLE, rule, message, "move the rule to a chain of that table");
        }
        let ip = if family == Some(Family::Ipv6) { "ip6" } else { "ip" };
        match verdict {
            Verdict::Accept => out.push_str(" accept"),
            Verdict::Drop => out.push_str(" drop"),
            Verdict::Return => out.push_str(" return"),
            Verdict::Jump(name) | Verdict::Goto(name) => {
                out.push_str(if matches!(verdict, Verdict::Jump(_)) { " jump " } else { " goto " });
                out.push_str(&self.chain_name(self.kind, name));
            }
            Verdict::Reject(how) => {
                if self.kind != TableKind::Filter {
                    let message = format!("REJECT exists in the filter table only, not in {}", self.kind.name());
                    self.fault(&WRONG_TABLE, rule, message, "move the rule to a chain of that table");
                }
                out.push_str(" reject with ");
                out.push_str(match (how, family) {
                    (Reject::TcpReset, _) => "tcp reset",
                    (Reject::PortUnreachable, _) => "icmpx port-unreachable",
                    (Reject::HostUnreachable, _) => "icmpx host-unreachable",
                    (Reject::NetworkUnreachable, _) => "icmpx no-route",
                    (Reject::AdminProhibited, _) => "icmpx admin-prohibited",
                    (_, Some(Family::Ipv6)) => "icmpv6 admin-prohibited",
                    (Reject::HostProhibited, _) => "icmp host-prohibited",
                    (Reject::NetworkProhibited, _) => "icmp net-prohibited",
                });
            }
            // Writing to a String cannot fail.
            Verdict::Dnat { address, port: None } => {
                let _ = write!(out, " dnat {ip} to {address}");
            }
            Verdict::Dnat { address, port: Some(port) } => {
                let _ = if address.is_ipv6() {
                    write!(out, " dnat {ip} to [{address}]:{port}")
                } else {
                    write!(out, " dnat {ip} to {address}:{port}")
                };
            }
            Verdict::Snat(address) => {
                let _ = write!(out, " snat {ip} to {address}");
            }
            Verdict::Masquerade => out.push_str(" masquerade"),
            Verdict::Redirect(port) => {
                let _ = write!(out, " redirect to :{port}");
            }
            Verdict::Map { fields, elements } => self.map(out, fields, elements, rule, family),
            Verdict::Unknown(text) => {
                out.push(' ');
                write::plain(out, text);
            }
        }
    }
}
