//! The exposure table as JSON, as docs/who.md describes it.

use serde_json::{Value, json};

use super::text::services;
use crate::exposure::{Certainty, End, Report, Row, Section, Service, Through, called};
use crate::host::Host;
use crate::net::Protocol;

/// The whole report as one object.
pub(super) fn object(host: &Host, report: &Report) -> String {
    let rows: Vec<Value> = report.rows.iter().map(|row| of_row(host, row)).collect();
    let object = json!({
        "version": 1,
        "host": host.name,
        "families": report.families.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "rows": rows,
        "unknown": report.unknown,
        "notes": report.notes,
    });
    serde_json::to_string_pretty(&object).unwrap_or_default() + "\n"
}

/// The word for a section.
pub(super) fn section(section: Section) -> &'static str {
    match section {
        Section::Inbound => "inbound",
        Section::Inside => "inside",
        Section::Outbound => "outbound",
    }
}

fn of_row(host: &Host, row: &Row) -> Value {
    let (certain, reasons) = match &row.certainty {
        Certainty::Certain => (true, Vec::new()),
        Certainty::Possibly(reasons) => (false, reasons.clone()),
    };
    let addresses: Vec<String> = row.sources.ranges().iter().map(ToString::to_string).collect();
    json!({
        "section": section(row.section),
        "exposure": row.exposure.name(),
        "certain": certain,
        "possibly": reasons,
        "unmentioned": row.unmentioned,
        "prelude": row.basic,
        "from": { "class": row.from.class.name(), "says": row.sources_say, "end": end(&row.from), "addresses": addresses, "via": row.via },
        "to": { "end": end(&row.to), "at": row.at },
        "service": services(row, host),
        "services": row.services.iter().map(|one| service(host, one)).collect::<Vec<_>>(),
        "except": row.except.iter().map(|one| service(host, one)).collect::<Vec<_>>(),
        "families": row.families.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "limits": row.limits,
        "through": row.through.iter().map(through).collect::<Vec<_>>(),
        "remarks": row.remarks,
    })
}

fn end(end: &End) -> Value {
    json!({
        "class": end.class.name(),
        "name": end.name,
        "network": end.network,
        "address": end.address.map(|address| address.to_string()),
        "says": end.says,
    })
}

fn service(host: &Host, one: &Service) -> Value {
    let range = |ports: Option<(u16, u16)>| ports.map(|(first, last)| json!([first, last]));
    json!({
        "protocol": one.protocol.map(|number| Protocol(number).to_string()),
        "ports": range(one.ports),
        "own_ports": range(one.own_ports.or(one.ports)),
        "icmp": one.icmp.map(|(kind, code)| json!({ "type": kind, "code": code })),
        "name": called(std::slice::from_ref(one), &host.names).first(),
        "besides": one.besides,
        "except_protocols": one.but.iter().map(|number| Protocol(*number).to_string()).collect::<Vec<_>>(),
    })
}

fn through(one: &Through) -> Value {
    json!({ "kind": one.kind.name(), "file": one.file, "line": one.line, "chain": one.chain, "text": one.text })
}
