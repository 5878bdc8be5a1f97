//! What a line ends in: a target and its options.

use super::matches::masked;
use super::{End, INCOMPLETE_MATCH, UNUSABLE_TEXT, WRONG_TABLE, Writer, write};
use crate::net::{Family, Protocol};
use crate::netfilter::{Effect, MarkWord, Reject, TableKind, Verdict};

/// Longest log prefix; the kernel cuts what is longer.
const LOG_PREFIX: usize = 29;

impl<'a, 's> Writer<'a, 's> {
    pub(super) fn end(
        &mut self,
        out: &mut String,
        end: End,
        protocol: Option<Protocol>,
        origin: Option<crate::span::Location>,
    ) {
        let mut only_in = |kind: TableKind, what: &str| {
            if self.kind != kind {
                let message = format!("{what} exists in the {} table only, not in {}", kind.name(), self.kind.name());
                self.state.fault(&WRONG_TABLE, origin, message, "move the rule to a chain of that table");
            }
        };
        match end {
            End::Nothing => {}
            End::Jump(name) => {
                out.push_str(" -j ");
                out.push_str(name);
            }
            End::Goto(name) => {
                out.push_str(" -g ");
                out.push_str(name);
            }
            End::Effect(Effect::Log { prefix, level }) => {
                if prefix.len() > LOG_PREFIX {
                    let message = format!("the log prefix `{prefix}` is longer than 29 bytes");
                    self.state.fault(&UNUSABLE_TEXT, origin, message, "shorten it: iptables cuts the rest off");
                }
                out.push_str(" -j LOG");
                // iptables takes no empty text.
                if !prefix.is_empty() {
                    out.push_str(" --log-prefix ");
                    write::quoted(out, prefix, LOG_PREFIX);
                }
                out.push_str(" --log-level ");
                write::number(out, *level);
            }
            End::Effect(Effect::SetMark { value, mask }) => {
                out.push_str(" -j MARK --set-xmark ");
                masked(out, *value, *mask);
            }
            End::Effect(Effect::SetConnectionMark { value, mask }) => {
                out.push_str(" -j CONNMARK --set-xmark ");
                masked(out, *value, *mask);
            }
            End::Effect(Effect::CopyMark { to, cleared, copied, value }) => {
                if *value != 0 {
                    let message = "iptables copies a mark as it is".to_owned();
                    self.state.fault(&INCOMPLETE_MATCH, origin, message, "set further bits by a rule of their own");
                }
                let (what, packet, connection) = match to {
                    MarkWord::Packet => ("restore", cleared, copied),
                    MarkWord::Connection => ("save", copied, cleared),
                };
                out.push_str(&format!(" -j CONNMARK --{what}-mark --nfmask {packet:#x} --ctmask {connection:#x}"));
            }
            End::Effect(Effect::SetDscp(value)) => {
                only_in(TableKind::Mangle, "DSCP");
                out.push_str(" -j DSCP --set-dscp ");
                write::number(out, *value);
            }
            End::Effect(Effect::ClampMss) => out.push_str(" -j TCPMSS --clamp-mss-to-pmtu"),
            End::Effect(Effect::Notrack) => {
                only_in(TableKind::Raw, "NOTRACK");
                out.push_str(" -j CT --notrack");
            }
            End::Effect(Effect::Helper(name)) => {
                only_in(TableKind::Raw, "a connection helper");
                out.push_str(" -j CT --helper ");
                out.push_str(name);
            }
            End::Effect(Effect::Unknown(text) | Effect::OpenMarks(text)) => {
                out.push(' ');
                write::plain(out, text);
            }
            End::Verdict(verdict) => match verdict {
                Verdict::Accept => out.push_str(" -j ACCEPT"),
                Verdict::Drop => out.push_str(" -j DROP"),
                Verdict::Return => out.push_str(" -j RETURN"),
                Verdict::Reject(how) => {
                    only_in(TableKind::Filter, "REJECT");
                    if *how == Reject::TcpReset && protocol != Some(Protocol::TCP) {
                        let message = "a TCP reset answers a rule that is not about TCP alone".to_owned();
                        self.state.fault(&INCOMPLETE_MATCH, origin, message, "name the protocol: `tcp`");
                    }
                    out.push_str(" -j REJECT --reject-with ");
                    out.push_str(reject(*how, self.family));
                }
                Verdict::Jump(name) => {
                    out.push_str(" -j ");
                    out.push_str(name);
                }
                Verdict::Goto(name) => {
                    out.push_str(" -g ");
                    out.push_str(name);
                }
                Verdict::Dnat { address, port } => {
                    only_in(TableKind::Nat, "DNAT");
                    out.push_str(" -j DNAT --to-destination ");
                    match (address.is_ipv6(), port) {
                        (true, Some(_)) => {
                            out.push('[');
                            write::address(out, *address);
                            out.push(']');
                        }
                        _ => write::address(out, *address),
                    }
                    if let Some(port) = port {
                        out.push(':');
                        write::number(out, *port);
                    }
                }
                Verdict::Snat(address) => {
                    only_in(TableKind::Nat, "SNAT");
                    out.push_str(" -j SNAT --to-source ");
                    write::address(out, *address);
                }
                Verdict::Masquerade => {
                    only_in(TableKind::Nat, "MASQUERADE");
                    out.push_str(" -j MASQUERADE");
                }
                Verdict::Redirect(port) => {
                    only_in(TableKind::Nat, "REDIRECT");
                    out.push_str(" -j REDIRECT --to-ports ");
                    write::number(out, *port);
                }
                // Was taken apart before.
                Verdict::Map { .. } => {}
                Verdict::Unknown(text) => {
                    out.push(' ');
                    write::plain(out, text);
                }
            },
        }
    }
}

pub(super) fn reject(how: Reject, family: Family) -> &'static str {
    match (how, family) {
        (Reject::TcpReset, _) => "tcp-reset",
        (Reject::PortUnreachable, Family::Ipv4) => "icmp-port-unreachable",
        (Reject::HostUnreachable, Family::Ipv4) => "icmp-host-unreachable",
        (Reject::NetworkUnreachable, Family::Ipv4) => "icmp-net-unreachable",
        (Reject::HostProhibited, Family::Ipv4) => "icmp-host-prohibited",
        (Reject::NetworkProhibited, Family::Ipv4) => "icmp-net-prohibited",
        (Reject::AdminProhibited, Family::Ipv4) => "icmp-admin-prohibited",
        (Reject::PortUnreachable, Family::Ipv6) => "icmp6-port-unreachable",
        (Reject::HostUnreachable, Family::Ipv6) => "icmp6-addr-unreachable",
        (Reject::NetworkUnreachable, Family::Ipv6) => "icmp6-no-route",
        (Reject::HostProhibited | Reject::NetworkProhibited | Reject::AdminProhibited, Family::Ipv6) => {
            "icmp6-adm-prohibited"
        }
    }
}
