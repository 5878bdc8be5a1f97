//! What `-j` and `-g` decide or do.

use std::sync::Arc;

use super::parse::{Instance, Opt};
use super::{Builder, begins, masked};
use thin_vec::{ThinVec, thin_vec};

use crate::names;
use crate::net::Family;
use crate::netfilter::{Effect, MarkWord, Reject, Verdict, extension};
use crate::read::{address, shell};

impl<'t> Builder<'t, '_> {
    pub(super) fn target(&mut self, target: &Instance<'t>, goto: bool) {
        let (name, options) = (target.name, target.options.as_slice());
        let declared = self.chains.get_key_value(name).map(|(name, _)| name.clone());
        let chain = || declared.clone().unwrap_or_else(|| Arc::from(name));
        if shell::has_parameter(name) {
            self.rule.verdict = Some(Verdict::Unknown(shell::shown(&target.text(self.line))));
            return;
        }
        if goto {
            self.rule.verdict = Some(Verdict::Goto(chain()));
            return;
        }
        if declared.is_some() && options.is_empty() {
            self.rule.verdict = Some(Verdict::Jump(chain()));
            return;
        }
        let text = shell::shown(&target.text(self.line));
        let known = if options.iter().any(Opt::is_open) { None } else { self.extension(name, options) };
        match known {
            Some(Action::Decides(verdict, detail)) => {
                self.rule.effects.extend(detail.map(Effect::Unknown));
                self.rule.verdict = Some(verdict);
            }
            Some(Action::Does(effects)) => self.rule.effects = effects,
            None if SETS_MARKS.contains(&name) => self.rule.effects.push(Effect::OpenMarks(text)),
            None if NEVER_DECIDES.contains(&name) => self.rule.effects.push(Effect::Unknown(text)),
            None if options.is_empty() && !DECIDES.contains(&name) && !extension::ADDED_TARGETS.contains(&name) => {
                self.rule.verdict = Some(Verdict::Jump(chain()));
            }
            None => self.rule.verdict = Some(Verdict::Unknown(text)),
        }
    }

    fn extension(&self, name: &str, options: &[Opt<'t>]) -> Option<Action> {
        use Action::{Decides, Does};
        let only = || match options {
            [one] if !one.negated => Some((one.name, one.value().unwrap_or_default())),
            _ => None,
        };
        let decides = |verdict| options.is_empty().then_some(Decides(verdict, None));
        match name {
            "ACCEPT" => decides(Verdict::Accept),
            "DROP" => decides(Verdict::Drop),
            "RETURN" => decides(Verdict::Return),
            "REJECT" if options.is_empty() => Some(Decides(Verdict::Reject(Reject::PortUnreachable), None)),
            "REJECT" => match only()? {
                ("--reject-with", how) => Some(Decides(Verdict::Reject(reject(self.family, how)?), None)),
                _ => None,
            },
            "LOG" => self.log(options),
            "NOTRACK" if options.is_empty() => Some(Does(thin_vec![Effect::Notrack])),
            "CT" => Some(Does(thin_vec![match only()? {
                ("--notrack", "") => Effect::Notrack,
                ("--helper", helper) if !helper.is_empty() => Effect::Helper(Arc::from(helper)),
                _ => return None,
            }])),
            "MARK" => {
                let (option, text) = only()?;
                let (value, mask) = mark_set(option, text)?;
                Some(Does(thin_vec![Effect::SetMark { value, mask }]))
            }
            "CONNMARK" => {
                let copied = options.iter().find_map(|option| match option.name {
                    "--save-mark" => Some(MarkWord::Connection),
                    "--restore-mark" => Some(MarkWord::Packet),
                    _ => None,
                });
                Some(Does(thin_vec![match copied {
                    Some(to) => copied_mark(to, options)?,
                    None => {
                        let (option, text) = only()?;
                        let (value, mask) = mark_set(option, text)?;
                        Effect::SetConnectionMark { value, mask }
                    }
                }]))
            }
            "DSCP" => Some(Does(thin_vec![match only()? {
                ("--set-dscp", value) => {
                    Effect::SetDscp(u8::try_from(address::number(value)?).ok().filter(|value| *value < 64)?)
                }
                ("--set-dscp-class", class) => Effect::SetDscp(names::dscp::lookup(class)?),
                _ => return None,
            }])),
            "TCPMSS" => (only()? == ("--clamp-mss-to-pmtu", "")).then(|| Does(thin_vec![Effect::ClampMss])),
            "MASQUERADE" => Some(Decides(Verdict::Masquerade, self.rest(options, ""))),
            "REDIRECT" => {
                let port = address::named_port(plain(options, "--to-ports")?)?;
                Some(Decides(Verdict::Redirect(port), self.rest(options, "--to-ports")))
            }
            "SNAT" => {
                let to: std::net::IpAddr = plain(options, "--to-source")?.parse().ok()?;
                (Family::of(to) == self.family).then(|| Decides(Verdict::Snat(to), self.rest(options, "--to-source")))
            }
            "DNAT" => {
                let (address, port) = address::socket(plain(options, "--to-destination")?)?;
                (Family::of(address) == self.family)
                    .then(|| Decides(Verdict::Dnat { address, port }, self.rest(options, "--to-destination")))
            }
            _ => None,
        }
    }

    /// The text of all options but one: what is not modelled of a target that is.
    fn rest(&self, options: &[Opt<'t>], but: &str) -> Option<Arc<str>> {
        let mut out = String::new();
        for option in options.iter().filter(|option| option.name != but) {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(self.line.get(option.start..option.end).unwrap_or_default());
        }
        (!out.is_empty()).then(|| Arc::from(out))
    }

    /// What else a line of the log shows is kept beside it.
    fn log(&self, options: &[Opt<'t>]) -> Option<Action> {
        let (mut prefix, mut level) = (Arc::from(""), 4);
        let mut shows = String::new();
        for option in options {
            match (option.name, option.values.as_slice()) {
                ("--log-prefix", [text]) => prefix = Arc::from(&*text.value()),
                ("--log-level", [text]) => level = names::syslog::lookup(&text.text.to_ascii_lowercase())?,
                _ => {
                    shows.push_str(if shows.is_empty() { "" } else { " " });
                    shows.push_str(self.line.get(option.start..option.end).unwrap_or_default());
                }
            }
        }
        let mut effects = thin_vec![Effect::Log { prefix, level }];
        if !shows.is_empty() {
            effects.push(Effect::Unknown(shows.into()));
        }
        Some(Action::Does(effects))
    }
}

enum Action {
    /// A verdict, and what is not modelled of it.
    Decides(Verdict, Option<Arc<str>>),
    Does(ThinVec<Effect>),
}

/// The names that are meant, perhaps, where no chain is.
pub(in crate::read::iptables) const TARGETS: &[&str] =
    &["ACCEPT", "DROP", "REJECT", "RETURN", "LOG", "MASQUERADE", "DNAT", "SNAT", "REDIRECT"];

/// Targets behind which the next rule is considered (`XT_CONTINUE` in their kernel modules).
const NEVER_DECIDES: &[&str] = &[
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CONNSECMARK",
    "CT",
    "DNPT",
    "DSCP",
    "ECN",
    "HL",
    "IDLETIMER",
    "LED",
    "LOG",
    "NFLOG",
    "NOTRACK",
    "RATEEST",
    "SECMARK",
    "SET",
    "SNPT",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TEE",
    "TOS",
    "TRACE",
    "TTL",
    "ULOG",
];

/// Targets that change a mark.
pub(in crate::read) const SETS_MARKS: &[&str] = &["CONNMARK", "HMARK", "MARK"];

/// Targets that may decide and take no option: their names are no chains.
const DECIDES: &[&str] = &[
    "ACCEPT",
    "CLUSTERIP",
    "DNAT",
    "DROP",
    "MASQUERADE",
    "NETMAP",
    "NFQUEUE",
    "QUEUE",
    "REDIRECT",
    "REJECT",
    "RETURN",
    "SNAT",
    "SYNPROXY",
    "TPROXY",
];

/// The value and the mask of an option that sets a mark.
fn mark_set(option: &str, text: &str) -> Option<(u32, u32)> {
    let (value, mask) = masked(text)?;
    let bare = !text.contains('/');
    Some(match option {
        "--set-xmark" => (value, mask),
        "--set-mark" => (value, mask | value),
        "--and-mark" if bare => (0, !value),
        "--or-mark" if bare => (value, value),
        "--xor-mark" if bare => (value, 0),
        _ => return None,
    })
}

/// `--save-mark` and `--restore-mark`, with the masks of the packet's mark and of the connection's.
fn copied_mark(to: MarkWord, options: &[Opt<'_>]) -> Option<Effect> {
    let (mut packet, mut connection) = (u32::MAX, u32::MAX);
    for option in options {
        let mask = || address::number(option.value()?);
        match (option.name, option.negated) {
            ("--save-mark" | "--restore-mark", false) => {}
            ("--nfmask", false) => packet = mask()?,
            ("--ctmask", false) => connection = mask()?,
            ("--mask", false) => (packet, connection) = (mask()?, mask()?),
            _ => return None,
        }
    }
    let (cleared, copied) = if to == MarkWord::Packet { (packet, connection) } else { (connection, packet) };
    Some(Effect::CopyMark { to, cleared, copied, value: 0 })
}

/// The value of the one option of this name.
fn plain<'t>(options: &[Opt<'t>], name: &str) -> Option<&'t str> {
    let mut found = options.iter().filter(|option| option.name == name);
    let one = found.next().filter(|option| !option.negated)?;
    if found.next().is_some() { None } else { one.value() }
}

/// The ways to refuse that a family's `--reject-with` takes.
pub(super) fn rejects(family: Family) -> &'static [&'static str] {
    match family {
        Family::Ipv4 => &[
            "icmp-net-unreachable",
            "net-unreach",
            "icmp-host-unreachable",
            "host-unreach",
            "icmp-proto-unreachable",
            "proto-unreach",
            "icmp-port-unreachable",
            "port-unreach",
            "icmp-net-prohibited",
            "net-prohib",
            "icmp-host-prohibited",
            "host-prohib",
            "tcp-reset",
            "tcp-rst",
            "icmp-admin-prohibited",
            "admin-prohib",
        ],
        Family::Ipv6 => &[
            "icmp6-no-route",
            "no-route",
            "icmp6-adm-prohibited",
            "adm-prohibited",
            "icmp6-addr-unreachable",
            "addr-unreach",
            "icmp6-port-unreachable",
            "tcp-reset",
            "icmp6-policy-fail",
            "policy-fail",
            "icmp6-reject-route",
            "reject-route",
        ],
    }
}

/// The way to refuse that a word means, cut short or not; inner `None`: one that is not modelled.
#[allow(clippy::option_option)]
pub(super) fn reject_named(family: Family, word: &str) -> Option<Option<Reject>> {
    let name = rejects(family).iter().find(|name| begins(name, word))?;
    Some(names::reject::lookup(name))
}

fn reject(family: Family, word: &str) -> Option<Reject> {
    reject_named(family, word)?
}
