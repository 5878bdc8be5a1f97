//! The exposure table for a terminal, and as Markdown.

use std::fmt::Write as _;

use crate::cli::render::harmless;
use crate::exposure::{Certainty, Exposure, Report, Row, Section, Through, ThroughKind, called, numbers};
use crate::host::Host;

/// The columns.
const HEADS: [&str; 5] = ["TO", "SERVICE", "FROM", "VIA", "THROUGH"];
/// A column is not made wider than this for the sake of one row.
const WIDEST: usize = 36;

/// Rows under one heading.
pub(super) struct Part<'r> {
    pub(super) title: String,
    pub(super) exposure: Exposure,
    pub(super) rows: Vec<&'r Row>,
}

/// The rows by section and exposure; what the prelude lets live only if it is wanted.
pub(super) fn parts(report: &Report, all: bool) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for row in report.rows.iter().filter(|row| all || !row.basic) {
        let title = title(row);
        match parts.iter_mut().find(|part| part.title == title) {
            Some(part) => part.rows.push(row),
            None => parts.push(Part { title, exposure: row.exposure, rows: vec![row] }),
        }
    }
    parts
}

fn title(row: &Row) -> String {
    if row.unmentioned && row.certainty != Certainty::Certain {
        return "Left to others: no rule of this policy says anything".to_owned();
    }
    match row.section {
        Section::Inside => "Between this host and the machines on it".to_owned(),
        Section::Outbound => "From this host and the machines on it to elsewhere".to_owned(),
        Section::Inbound => {
            let who = match row.exposure {
                Exposure::World => "The Internet",
                Exposure::Anyone => "Anyone, by a card of which it is not known where it leads,",
                Exposure::Some => "Some public addresses",
                Exposure::Network => "Anyone on a network beside the Internet's",
                Exposure::Private | Exposure::Inside => "Private addresses",
            };
            let what = if row.basic { "can reach what the prelude lets live" } else { "can reach" };
            format!("{who} {what}")
        }
    }
}

/// Services in words: `tcp 80, 443 (http, https)`.
pub(super) fn services(row: &Row, host: &Host) -> String {
    let numbers = numbers(&row.services);
    if !row.except.is_empty() {
        return format!("{numbers} but {}", crate::exposure::numbers(&row.except));
    }
    let names = called(&row.services, &host.names);
    match names.as_slice() {
        [] => numbers,
        [one] if numbers.strip_prefix("icmp ") == Some("echo-request") => one.clone(),
        _ => format!("{numbers} ({})", names.join(", ")),
    }
}

/// Who opens the connections, in words.
pub(super) fn from(row: &Row) -> String {
    if row.from.class == crate::policy::Class::Outside {
        return row.sources_say.clone();
    }
    let whole = row.sources_say.starts_with("any") && !row.sources_say.contains(" but ");
    if whole || row.from.address.is_some() {
        row.from.says.clone()
    } else {
        format!("{} at {}", row.from.says, row.sources_say)
    }
}

/// Who is reached, in words.
pub(super) fn to(row: &Row) -> String {
    match &row.at {
        Some(at) => format!("{} at {at}", row.to.says),
        None => row.to.says.clone(),
    }
}

/// `FILE:LINE` of a rule, without directories.
pub(super) fn place(through: &Through) -> String {
    match (&through.file, through.line) {
        (Some(file), Some(line)) => format!("{}:{line}", file.rsplit('/').next().unwrap_or(file)),
        _ => through.chain.clone(),
    }
}

/// What is to be said of a row besides its columns.
pub(super) fn asides(row: &Row, policy: bool) -> Vec<String> {
    let mut out = Vec::new();
    if !row.limits.is_empty() {
        out.push(format!("limit: {}", row.limits.join(", ")));
    }
    if let Certainty::Possibly(reasons) = &row.certainty {
        out.push(format!("possibly: {}", reasons.join("; ")));
    }
    if row.unmentioned && policy && row.certainty == Certainty::Certain {
        out.push("no rule of this policy says anything about it".to_owned());
    }
    out.extend(row.remarks.iter().cloned());
    out
}

/// The first of what lets a row through, and the rest.
pub(super) fn through(row: &Row) -> Vec<String> {
    let policy = row.through.iter().any(|through| through.kind == ThroughKind::Policy);
    // A line of the policy says enough; the platform's own rules behind it are in the JSON.
    let shown = row.through.iter().filter(|through| !policy || through.kind == ThroughKind::Policy);
    shown.map(|through| format!("{}: {}", place(through), through.text)).collect()
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// The table.
pub(super) fn table(host: &Host, report: &Report, all: bool, color: bool) -> String {
    let paint = |code: &str, text: &str| if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let mut out = String::new();
    for note in &report.notes {
        let _ = writeln!(out, "note: {}", harmless(note));
    }
    let policy = host.policy_files > 0 && host.says_rules();
    let parts = parts(report, all);
    let cells = |row: &Row| {
        [to(row), services(row, host), from(row), row.via.clone().unwrap_or_else(|| "any".to_owned())]
            .map(|cell| harmless(&cell))
    };
    let mut widths = HEADS.map(width);
    for row in parts.iter().flat_map(|part| &part.rows) {
        for (slot, cell) in widths.iter_mut().zip(cells(row)) {
            *slot = (*slot).max(width(&cell).min(WIDEST));
        }
    }
    let line = |cells: &[String], last: &str| {
        let mut text = String::from("  ");
        for (cell, width) in cells.iter().zip(widths) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        text.push_str(last);
        text.trim_end().to_owned()
    };
    for part in &parts {
        let code = match part.exposure {
            Exposure::World | Exposure::Anyone => "1;31",
            Exposure::Some => "1;33",
            _ => "1",
        };
        let gap = if out.is_empty() { "" } else { "\n" };
        let _ = writeln!(out, "{gap}{}", paint(code, &part.title));
        let heads: Vec<String> = HEADS.iter().take(4).map(ToString::to_string).collect();
        let _ = writeln!(out, "{}", paint("2", &line(&heads, HEADS.last().copied().unwrap_or_default())));
        for row in &part.rows {
            let through = through(row);
            let mut lines = through.iter().map(|text| harmless(text));
            let first = lines.next().unwrap_or_default();
            let _ = writeln!(out, "{}", line(&cells(row), &first));
            let indent = " ".repeat(2 + widths.iter().take(4).map(|width| width + 2).sum::<usize>());
            for text in lines {
                let _ = writeln!(out, "{indent}{text}");
            }
            for aside in asides(row, policy) {
                let code = if aside.starts_with("no rule of") { "1;31" } else { "33" };
                let _ = writeln!(out, "    {}", paint(code, &harmless(&aside)));
            }
        }
    }
    if parts.is_empty() {
        out.push_str(if report.unknown.is_empty() {
            "nothing can be reached from elsewhere\n"
        } else {
            "nothing was found that can be reached\n"
        });
    }
    for unknown in &report.unknown {
        let _ = writeln!(out, "\n{}: {unknown}", paint("1;33", "unknown"));
    }
    let hidden = report.rows.iter().filter(|row| row.basic).count();
    if hidden > 0 && !all {
        let _ = writeln!(out, "\nnot shown: {hidden} that the prelude lets live (--all)");
    }
    out
}

/// The table in Markdown.
pub(super) fn markdown(host: &Host, report: &Report, all: bool) -> String {
    let cell = |text: &str| {
        harmless(text)
            .replace('\\', "\\\\")
            .replace('|', "\\|")
            .replace('<', "&lt;")
            .replace('*', "\\*")
            .replace('_', "\\_")
            .replace('`', "'")
    };
    let code = |text: &str| format!("`{}`", harmless(text).replace('`', "'").replace('|', "\\|"));
    let mut out = String::new();
    let _ = writeln!(out, "### Who can reach what: {}", code(&host.name));
    let policy = host.policy_files > 0 && host.says_rules();
    for unknown in &report.unknown {
        let _ = writeln!(out, "\n**Unknown:** {}", cell(unknown));
    }
    for part in parts(report, all) {
        let _ =
            writeln!(out, "\n#### {}\n\n| to | service | from | via | through |\n|---|---|---|---|---|", part.title);
        for row in part.rows {
            let mut last: Vec<String> = through(row).iter().map(|text| code(text)).collect();
            last.extend(asides(row, policy).iter().map(|aside| format!("**{}**", cell(aside))));
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} |",
                cell(&to(row)),
                cell(&services(row, host)),
                cell(&from(row)),
                cell(row.via.as_deref().unwrap_or("any")),
                last.join("<br>")
            );
        }
    }
    if !report.notes.is_empty() {
        out.push('\n');
    }
    for note in &report.notes {
        let _ = writeln!(out, "> {}", cell(note));
    }
    out
}
