//! The exposure table as one page of HTML that needs nothing else: a picture of the host, and the table below it.

use std::fmt::Write as _;

use super::picture::picture;
use super::text::{Part, asides, from, parts, place, services, to};
use crate::cli::render::harmless;
use crate::exposure::{Exposure, Report, Row, ThroughKind};
use crate::host::Host;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Text as it stands in HTML and in attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in harmless(text).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}

/// The page.
pub(super) fn page(host: &Host, report: &Report, all: bool) -> String {
    let parts = parts(report, all);
    let rows: Vec<&Row> = parts.iter().flat_map(|part| part.rows.iter().copied()).collect();
    let title = format!("Who can reach what: {}", host.name);
    let mut out = String::new();
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{}</h1>\n<p>{}</p>\n",
        escaped(&title),
        escaped(&title),
        escaped(&summary(&rows))
    );
    legend(&mut out, &rows);
    out.push_str("</header>\n<main>\n");
    if !rows.is_empty() {
        let _ = writeln!(out, "<div class=\"picture\">{}</div>", picture(host, &rows));
    }
    if !report.unknown.is_empty() {
        list(&mut out, "notes unknown", "Not known", &report.unknown);
    }
    let policy = host.policy_files > 0 && host.says_rules();
    let mut number = 0;
    for part in &parts {
        table(&mut out, host, part, policy, &mut number);
    }
    if !report.notes.is_empty() {
        list(&mut out, "notes", "Notes", &report.notes);
    }
    let hidden = report.rows.iter().filter(|row| row.basic).count();
    out.push_str("</main>\n<footer>");
    if hidden > 0 && !all {
        let _ = write!(out, "Not shown: {hidden} that the prelude lets live. ");
    }
    let _ = write!(
        out,
        "First packets of connections, exact over all addresses and ports; what is said with “possibly” rests on something that is not known. Written by fwc {}.</footer>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    out
}

fn summary(rows: &[&Row]) -> String {
    let world = rows.iter().filter(|row| matches!(row.exposure, Exposure::World | Exposure::Anyone)).count();
    let unmentioned = rows.iter().filter(|row| row.unmentioned).count();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let mut text = match (rows.len(), world) {
        (0, _) => "Nothing can be reached from elsewhere.".to_owned(),
        (all, 0) => format!("{all} exposure{}, none of them to the Internet.", plural(all)),
        (all, world) => format!("{all} exposure{}, {world} of them to the Internet or to anyone.", plural(all)),
    };
    if unmentioned > 0 {
        let _ = write!(text, " {unmentioned} that no rule says anything about.");
    }
    text
}

/// What colours mean, and how many rows have each.
fn legend(out: &mut String, rows: &[&Row]) {
    let kinds =
        [Exposure::World, Exposure::Anyone, Exposure::Some, Exposure::Network, Exposure::Private, Exposure::Inside];
    out.push_str("<ul class=\"sum\">\n");
    for kind in kinds {
        let count = rows.iter().filter(|row| row.exposure == kind).count();
        if count > 0 {
            let _ = writeln!(
                out,
                "<li><button type=\"button\" aria-pressed=\"true\" data-of=\"{}\" class=\"{}\"><span class=\"dot\"></span><b>{count}</b>{}</button></li>",
                kind.name(),
                kind.name(),
                escaped(kind.means())
            );
        }
    }
    out.push_str("</ul>\n");
}

fn list(out: &mut String, class: &str, title: &str, lines: &[String]) {
    let _ = write!(out, "<div class=\"{class}\"><strong>{title}</strong><ul>");
    for line in lines {
        let _ = write!(out, "<li>{}</li>", escaped(line));
    }
    out.push_str("</ul></div>\n");
}

fn table(out: &mut String, host: &Host, part: &Part<'_>, policy: bool, number: &mut usize) {
    let _ = write!(
        out,
        "<section>\n<h2 class=\"{}\"><span class=\"dot\"></span>{}</h2>\n<table>\n<thead><tr><th class=\"to\" scope=\"col\">To</th><th class=\"service\" scope=\"col\">Service</th><th class=\"who\" scope=\"col\">From</th><th class=\"via\" scope=\"col\">Via</th><th scope=\"col\">Through</th></tr></thead>\n<tbody>\n",
        part.exposure.name(),
        escaped(&part.title)
    );
    for row in &part.rows {
        *number += 1;
        line(out, host, row, policy, *number);
    }
    out.push_str("</tbody>\n</table>\n</section>\n");
}

fn line(out: &mut String, host: &Host, row: &Row, policy: bool, number: usize) {
    let said = services(row, host);
    let (numbers, names) = match said.rsplit_once(" (") {
        Some((numbers, names)) => (numbers, names.strip_suffix(')')),
        None => (said.as_str(), None),
    };
    let names = names.map(|names| format!("<span class=\"names\">{}</span>", escaped(names))).unwrap_or_default();
    let _ = write!(
        out,
        "<tr id=\"r{number}\" class=\"{}\" data-exposure=\"{}\" tabindex=\"0\"><td data-head=\"To\">{}</td><td data-head=\"Service\">{}{names}</td><td data-head=\"From\">{}</td><td data-head=\"Via\">{}</td><td data-head=\"Through\">",
        row.exposure.name(),
        row.exposure.name(),
        escaped(&to(row)),
        escaped(numbers),
        escaped(&from(row)),
        escaped(row.via.as_deref().unwrap_or("any card"))
    );
    let by_policy = row.through.iter().any(|through| through.kind == ThroughKind::Policy);
    for through in row.through.iter().filter(|through| !by_policy || through.kind == ThroughKind::Policy) {
        let _ = write!(
            out,
            "<span class=\"rule\"><b>{}</b> <code>{}</code></span>",
            escaped(&place(through)),
            escaped(&through.text)
        );
    }
    for aside in asides(row, policy) {
        let kind = if aside.starts_with("no rule of") {
            " bad"
        } else if aside.starts_with("possibly") {
            " maybe"
        } else {
            ""
        };
        let _ = write!(out, "<span class=\"aside{kind}\">{}</span>", escaped(&aside));
    }
    out.push_str("</td></tr>\n");
}
