//! A picture of a host and of who reaches what on it, as SVG: networks on the left, cards, hooks with their chains, and on the right
//! what is reached.

use std::fmt::Write as _;

use super::page::escaped;
use super::text::{from, services};
use crate::exposure::{Certainty, Exposure, Row};
use crate::host::Host;
use crate::net::Family;
use crate::netfilter::Hook;
use crate::policy::Class;

/// Where columns begin, and how wide they are.
const SOURCES: (f64, f64) = (24.0, 196.0);
const CARDS: (f64, f64) = (300.0, 132.0);
const HOST: (f64, f64) = (372.0, 824.0);
const HOOKS: (f64, f64) = (512.0, 206.0);
const TARGETS: (f64, f64) = (816.0, 356.0);
const WIDTH: f64 = 1220.0;
/// The height of a line of text, and of what stands around it.
const LINE: f64 = 20.0;
const TOP: f64 = 74.0;
const GAP: f64 = 16.0;
/// How far below the top a column begins at most.
const LOWEST: f64 = 170.0;
/// Services of one target that are written out.
const LISTED: usize = 7;

/// A box: what it says, and which rows it is about.
struct Box {
    key: String,
    title: String,
    lines: Vec<(String, Exposure, bool)>,
    exposure: Exposure,
    rows: Vec<usize>,
    y: f64,
    height: f64,
}

impl Box {
    fn middle(&self) -> f64 {
        self.y + self.height / 2.0
    }
}

/// Boxes in a column, by key.
#[derive(Default)]
struct Column(Vec<Box>);

impl Column {
    fn add(&mut self, key: String, title: String, exposure: Exposure, row: usize) -> &mut Box {
        let new = Box { key, title, lines: Vec::new(), exposure, rows: Vec::new(), y: 0.0, height: 0.0 };
        let at = self.0.iter().position(|known| known.key == new.key);
        let at = at.unwrap_or_else(|| {
            self.0.push(new);
            self.0.len() - 1
        });
        let known = &mut self.0[at];
        known.exposure = known.exposure.min(exposure);
        if !known.rows.contains(&row) {
            known.rows.push(row);
        }
        known
    }

    fn find(&self, key: &str) -> Option<&Box> {
        self.0.iter().find(|known| known.key == key)
    }

    fn height(&self, gap: f64) -> f64 {
        self.0.iter().map(|one| one.height + gap).sum::<f64>() - if self.0.is_empty() { 0.0 } else { gap }
    }

    /// Stands the boxes one below the other, in the middle of a height.
    fn place(&mut self, whole: f64, gap: f64) {
        // Beside a very long column, the others stay where they are seen with its beginning.
        let mut y = TOP + ((whole - self.height(gap)).max(0.0) / 2.0).min(LOWEST);
        for one in &mut self.0 {
            one.y = y;
            y += one.height + gap;
        }
    }
}

/// A curve between two columns, of one colour.
struct Edge {
    from: (f64, f64),
    to: (f64, f64),
    exposure: Exposure,
    maybe: bool,
    rows: Vec<usize>,
}

/// The hook that judges what a row says.
fn hook(row: &Row) -> Hook {
    match (row.from.class, row.to.class) {
        (Class::Host, _) => Hook::Output,
        (_, Class::Host) => Hook::Input,
        _ => Hook::Forward,
    }
}

fn source_of(row: &Row) -> (String, String) {
    let who = from(row);
    match row.exposure {
        Exposure::World => ("world".to_owned(), "the Internet".to_owned()),
        Exposure::Anyone | Exposure::Network => {
            let via = row.via.clone().unwrap_or_else(|| "other cards".to_owned());
            if who.starts_with("any") {
                (format!("net {via}"), format!("anyone on {via}"))
            } else {
                (format!("net {who} {via}"), who)
            }
        }
        _ => (format!("who {who}"), who),
    }
}

/// Text that fits a width, with three points where it was cut.
fn fitted(text: &str, width: f64) -> String {
    let room = (width / 7.1).max(4.0);
    let count = text.chars().count();
    if (count as f64) <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room as usize - 1).collect();
    format!("{}…", kept.trim_end())
}

/// The picture.
pub(super) fn picture(host: &Host, rows: &[&Row]) -> String {
    let (mut sources, mut cards, mut hooks, mut targets) =
        (Column::default(), Column::default(), Column::default(), Column::default());
    let mut ways: Vec<[String; 4]> = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let (source, title) = source_of(row);
        sources.add(source.clone(), title, row.exposure, number);
        let card = row.via.clone().unwrap_or_else(|| "any card".to_owned());
        cards.add(card.clone(), card.clone(), row.exposure, number);
        let hook = hook(row);
        hooks.add(hook.chain().to_owned(), hook.chain().to_owned(), row.exposure, number);
        let target = row.to.says.clone();
        let maybe = row.certainty != Certainty::Certain;
        let line = (services(row, host), row.exposure, maybe);
        let known = targets.add(target.clone(), target.clone(), row.exposure, number);
        if !known.lines.contains(&line) {
            known.lines.push(line);
        }
        ways.push([source, card, hook.chain().to_owned(), target]);
    }
    for one in &mut sources.0 {
        one.height = 44.0;
    }
    for one in &mut cards.0 {
        one.height = 30.0;
    }
    hooks.0.sort_by_key(|one| one.key != "INPUT");
    let chains: Vec<Vec<String>> = hooks.0.iter().map(|one| chains(host, &one.key)).collect();
    for (one, chains) in hooks.0.iter_mut().zip(&chains) {
        one.height = 40.0 + chains.len() as f64 * 17.0;
    }
    for one in &mut targets.0 {
        one.height = 38.0 + (one.lines.len().min(LISTED + 1)) as f64 * LINE;
    }
    targets.0.sort_by_key(|one| {
        let first = one.rows.first().and_then(|row| rows.get(*row));
        first.map(|row| (row.to.class != Class::Host, one.exposure, one.rows.first().copied()))
    });
    let columns = [(&sources, GAP), (&cards, GAP), (&hooks, 40.0), (&targets, GAP)];
    let whole = columns.iter().map(|(column, gap)| column.height(*gap)).fold(150.0, f64::max);
    for (column, gap) in [(&mut sources, GAP), (&mut cards, GAP), (&mut hooks, 40.0), (&mut targets, GAP)] {
        column.place(whole, gap);
    }
    let height = TOP + whole + 34.0;
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"picture-title\"><title id=\"picture-title\">{}</title>",
        escaped(
            "who reaches what: networks on the left, this host with its cards, chains, containers and guests on the right; the table below says the same"
        )
    );
    let _ = write!(
        out,
        "<rect class=\"host\" x=\"{}\" y=\"44\" width=\"{}\" height=\"{}\" rx=\"16\"/>",
        HOST.0,
        HOST.1,
        height - 44.0 - 14.0
    );
    for (x, text) in [(SOURCES.0, "FROM"), (CARDS.0, "CARDS"), (HOOKS.0, "CHAINS"), (TARGETS.0, "REACHED")] {
        let _ = write!(out, "<text class=\"label\" x=\"{x}\" y=\"30\">{text}</text>");
    }
    let name = fitted(&host.name, TARGETS.0 - HOOKS.0 + 300.0);
    let _ = write!(out, "<text class=\"small\" x=\"{}\" y=\"63\">{}</text>", HOST.0 + 16.0, escaped(&name));
    edges(&mut out, rows, &ways, [&sources, &cards, &hooks, &targets]);
    for one in &sources.0 {
        source(&mut out, one);
    }
    for one in &cards.0 {
        card(&mut out, one);
    }
    for (one, chains) in hooks.0.iter().zip(&chains) {
        hook_box(&mut out, one, chains);
    }
    for one in &targets.0 {
        target(&mut out, one);
    }
    out.push_str("</svg>");
    out
}

fn edges(out: &mut String, rows: &[&Row], ways: &[[String; 4]], columns: [&Column; 4]) {
    let [sources, cards, hooks, targets] = columns;
    let ends = [
        (sources, SOURCES.0 + SOURCES.1, cards, CARDS.0),
        (cards, CARDS.0 + CARDS.1, hooks, HOOKS.0),
        (hooks, HOOKS.0 + HOOKS.1, targets, TARGETS.0),
    ];
    let mut edges: Vec<(_, Edge)> = Vec::new();
    for (number, (row, way)) in rows.iter().zip(ways).enumerate() {
        for (at, (left, from, right, to)) in ends.iter().enumerate() {
            let (Some(one), Some(other)) = (way.get(at), way.get(at + 1)) else { continue };
            let (Some(one), Some(other)) = (left.find(one), right.find(other)) else { continue };
            let maybe = row.certainty != Certainty::Certain;
            let key = (at, &one.key, &other.key, row.exposure, maybe);
            match edges.iter_mut().find(|(known, _)| *known == key) {
                Some((_, edge)) => edge.rows.push(number),
                None => {
                    let shift = row.exposure as u8 as f64 * 3.0 - 6.0;
                    let edge = Edge {
                        from: (*from, one.middle() + shift),
                        to: (*to, other.middle() + shift),
                        exposure: row.exposure,
                        maybe,
                        rows: vec![number],
                    };
                    edges.push((key, edge));
                }
            }
        }
    }
    // What is most exposed is drawn last, over the others.
    edges.sort_by_key(|(_, edge)| std::cmp::Reverse(edge.exposure));
    for (_, edge) in edges {
        let bend = (edge.to.0 - edge.from.0) * 0.5;
        let _ = write!(
            out,
            "<path class=\"edge {}{}\" data-exposure=\"{}\" data-rows=\"{}\" d=\"M{:.1} {:.1}C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}\"/>",
            edge.exposure.name(),
            if edge.maybe { " maybe" } else { "" },
            edge.exposure.name(),
            numbers(&edge.rows),
            edge.from.0,
            edge.from.1,
            edge.from.0 + bend,
            edge.from.1,
            edge.to.0 - bend,
            edge.to.1,
            edge.to.0,
            edge.to.1
        );
    }
}

fn numbers(rows: &[usize]) -> String {
    rows.iter().map(|row| (row + 1).to_string()).collect::<Vec<_>>().join(" ")
}

fn open(out: &mut String, one: &Box) {
    let label = escaped(&one.title);
    let _ = write!(
        out,
        "<g class=\"{}\" data-rows=\"{}\" tabindex=\"0\" role=\"button\" aria-label=\"{label}\"><title>{label}</title>",
        one.exposure.name(),
        numbers(&one.rows)
    );
}

fn source(out: &mut String, one: &Box) {
    open(out, one);
    let (x, width) = SOURCES;
    let title = escaped(&fitted(&one.title, width - 34.0));
    let _ = write!(
        out,
        "<rect class=\"box\" x=\"{x}\" y=\"{:.1}\" width=\"{width}\" height=\"{:.1}\" rx=\"10\"/><rect class=\"bar\" x=\"{x}\" y=\"{:.1}\" width=\"5\" height=\"{:.1}\" rx=\"2.5\"/><text class=\"head\" x=\"{}\" y=\"{:.1}\">{title}</text></g>",
        one.y,
        one.height,
        one.y + 8.0,
        one.height - 16.0,
        x + 16.0,
        one.middle() + 4.5
    );
}

fn card(out: &mut String, one: &Box) {
    open(out, one);
    let (x, width) = CARDS;
    let title = escaped(&fitted(&one.title, width - 12.0));
    let _ = write!(
        out,
        "<rect class=\"box\" x=\"{x}\" y=\"{:.1}\" width=\"{width}\" height=\"{:.1}\" rx=\"15\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"middle\">{title}</text></g>",
        one.y,
        one.height,
        x + width / 2.0,
        one.middle() + 4.5
    );
}

fn hook_box(out: &mut String, one: &Box, chains: &[String]) {
    open(out, one);
    let (x, width) = HOOKS;
    let _ = write!(
        out,
        "<rect class=\"box\" x=\"{x}\" y=\"{:.1}\" width=\"{width}\" height=\"{:.1}\" rx=\"10\"/><text class=\"head\" x=\"{}\" y=\"{:.1}\">{}</text>",
        one.y,
        one.height,
        x + 14.0,
        one.y + 24.0,
        escaped(&one.title)
    );
    for (number, chain) in chains.iter().enumerate() {
        let _ = write!(
            out,
            "<text class=\"small\" x=\"{}\" y=\"{:.1}\">{}</text>",
            x + 14.0,
            one.y + 43.0 + number as f64 * 17.0,
            escaped(&fitted(chain, width - 10.0))
        );
    }
    out.push_str("</g>");
}

fn target(out: &mut String, one: &Box) {
    open(out, one);
    let (x, width) = TARGETS;
    let _ = write!(
        out,
        "<rect class=\"box\" x=\"{x}\" y=\"{:.1}\" width=\"{width}\" height=\"{:.1}\" rx=\"10\"/><text class=\"head\" x=\"{}\" y=\"{:.1}\">{}</text>",
        one.y,
        one.height,
        x + 16.0,
        one.y + 24.0,
        escaped(&fitted(&one.title, width - 30.0))
    );
    let more = one.lines.len().saturating_sub(LISTED);
    for (number, (text, exposure, maybe)) in one.lines.iter().take(LISTED).enumerate() {
        let y = one.y + 44.0 + number as f64 * LINE;
        let possibly = if *maybe { "possibly " } else { "" };
        let _ = write!(
            out,
            "<g class=\"{}\"><circle class=\"mark\" cx=\"{}\" cy=\"{:.1}\" r=\"4\"/><text x=\"{}\" y=\"{y:.1}\">{}</text></g>",
            exposure.name(),
            x + 20.0,
            y - 4.5,
            x + 32.0,
            escaped(&fitted(&format!("{possibly}{text}"), width - 46.0))
        );
    }
    if more > 0 {
        let y = one.y + 44.0 + LISTED as f64 * LINE;
        let _ = write!(out, "<text class=\"small\" x=\"{}\" y=\"{y:.1}\">and {more} more</text>", x + 32.0);
    }
    out.push_str("</g>");
}

/// Chains that are named at a hook.
const CHAINS: usize = 6;

/// The chains that are asked at a hook, with what becomes of a packet at their end.
fn chains(host: &Host, hook: &str) -> Vec<String> {
    let hooks = [Hook::Input, Hook::Forward, Hook::Output];
    let Some(hook) = hooks.into_iter().find(|known| known.chain() == hook) else { return Vec::new() };
    let mut found: Vec<String> = Vec::new();
    for family in Family::BOTH.into_iter().filter(|family| host.families.contains(family)) {
        for entry in host.entries(family, hook) {
            let chain = host.ruleset.tables.get(entry.table).and_then(|table| table.chains.get(entry.chain));
            let rules = chain.map_or(0, |chain| chain.rules.len());
            if entry.base.kind == crate::netfilter::TableKind::Nat || (rules == 0 && entry.base.accept) {
                continue;
            }
            let policy = if entry.base.accept { "accept" } else { "drop" };
            let name = host.chain_name(entry.table, entry.chain);
            // Of a policy alone, what stands behind its own chains is not known.
            let text = if host.policy_alone() { name } else { format!("{name}, else {policy}") };
            if !found.contains(&text) {
                found.push(text);
            }
        }
    }
    found.truncate(CHAINS);
    if found.is_empty() {
        found.push("no rules".to_owned());
    }
    found
}
