//! What can be used in a table and at a built-in chain.

use super::Chain;
use super::parse::{Opt, Parsed};
use crate::net::Protocol;
use crate::netfilter::extension::Extension;
use crate::netfilter::{Hook, TableKind};
use crate::read::iptables::{Refusal, refuse};
use crate::read::quoted;

/// Whether the parts of a rule can be used in a chain.
pub(super) fn check(parsed: &Parsed, chain: Chain) -> Result<(), Refusal> {
    if let Some(hook) = chain.hook {
        interfaces(parsed, hook)?;
    }
    for instance in parsed.matches.iter().chain(&parsed.target) {
        if let Some(known) = instance.known() {
            extension(known, instance.span(), chain)?;
        }
    }
    let Some(target) = &parsed.target else { return Ok(()) };
    if target.name == "DROP" && chain.table == TableKind::Nat {
        let help = "nat is asked for the first packet of a connection only: drop in the filter table";
        return Err(refuse(target.span(), "`DROP` cannot be used in the table nat", help));
    }
    if super::super::built_in(chain.table, target.name).is_some() {
        let message = format!("`{}` is a built-in chain: no rule can jump to it", target.name);
        return Err(refuse(target.span(), message, "jump to a chain of your own"));
    }
    if target.known().is_none() {
        return Ok(());
    }
    let protocol = parsed.protocol();
    if target.name == "REJECT" && target.options.iter().any(resets) && protocol != Some(Protocol::TCP) {
        return Err(refuse(
            target.span(),
            "only TCP connections can be reset",
            "say `-p tcp`, or refuse in another way",
        ));
    }
    let ports = target.options.iter().find(|option| writes_ports(option));
    if let Some(option) = ports.filter(|_| !protocol.is_some_and(Protocol::has_ports)) {
        let message = format!("`{}` writes ports, and the rule asks for no protocol that has them", option.name);
        return Err(refuse(option.span(), message, "say `-p tcp` or `-p udp` before it"));
    }
    Ok(())
}

fn resets(option: &Opt) -> bool {
    option.value().is_some_and(|value| value.to_ascii_lowercase().starts_with("tcp-"))
}

/// Whether an option of a translation has a port in it.
fn writes_ports(option: &Opt) -> bool {
    let Some(value) = option.value() else { return false };
    match option.name {
        "--to-ports" => true,
        "--to-destination" | "--to-source" if value.contains('.') || !value.contains("::") => {
            value.contains("]:") || (value.contains(':') && value.contains('.')) || value.starts_with(':')
        }
        "--to-destination" | "--to-source" => value.contains("]:"),
        _ => false,
    }
}

fn interfaces(parsed: &Parsed, hook: Hook) -> Result<(), Refusal> {
    for option in &parsed.basic {
        let (wrong, instead): (&[Hook], _) = match option.name {
            "-o" => (&[Hook::Prerouting, Hook::Input], "`-i` compares the interface of arrival"),
            "-i" => (&[Hook::Output, Hook::Postrouting], "`-o` compares the interface of departure"),
            _ => continue,
        };
        if wrong.contains(&hook) {
            let message = format!("`{}` cannot be used in {}", option.name, hook.chain());
            return Err(refuse(option.span(), message, instead));
        }
    }
    Ok(())
}

fn extension(known: &Extension, span: crate::span::Span, chain: Chain) -> Result<(), Refusal> {
    if let Some(table) = known.table.filter(|table| *table != chain.table) {
        let message = format!("`{}` cannot be used in the table {}", quoted(known.name), chain.table.name());
        return Err(refuse(span, message, &format!("it belongs to the table {}", table.name())));
    }
    if let Some(hook) = chain.hook.filter(|hook| !known.hooks.is_empty() && !known.hooks.contains(hook)) {
        let names: Vec<&str> = known.hooks.iter().map(|hook| hook.chain()).collect();
        let message = format!("`{}` cannot be used in {}", quoted(known.name), hook.chain());
        return Err(refuse(span, message, &format!("it can be used in {}", names.join(", "))));
    }
    Ok(())
}
