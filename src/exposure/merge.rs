//! Rows that say the same of both families, or of several services, as one; and the order in which they stand.

use rustc_hash::FxHashMap;

use super::naming::{self, everyone};
use super::rows::ip;
use super::{Certainty, End, Row, Section, Service, Through, ThroughKind};
use crate::host::Host;
use crate::net::Family;
use crate::policy::Class;

/// Rows that say the same of both families, or of several services, become one; then the most exposed first.
pub(super) fn merged(host: &Host, rows: Vec<Row>, families: &[Family]) -> Vec<Row> {
    let mut merged: Vec<Row> = Vec::new();
    let mut places: FxHashMap<_, usize> = FxHashMap::default();
    // The services that the same people reach in the same way.
    for row in rows {
        let key = (way(&row), row.families.clone(), row.sources.clone());
        let at = *places.entry(key).or_insert(merged.len());
        match merged.get_mut(at) {
            Some(known) => {
                known.dialled = known.dialled.union(&row.dialled);
                known.services.extend(row.services);
                known.services.sort();
                known.services.dedup();
                also_through(known, row.through);
                add(&mut known.remarks, row.remarks);
            }
            None => merged.push(row),
        }
    }
    let mut both: Vec<Row> = Vec::new();
    let mut places: FxHashMap<_, Vec<usize>> = FxHashMap::default();
    for row in merged {
        let list = places.entry((way(&row), one_name(&row.services))).or_default();
        let other = list.iter().find(|at| both.get(**at).is_some_and(|known: &Row| known.families != row.families));
        match other.and_then(|at| both.get_mut(*at)) {
            Some(known) => {
                known.sources = known.sources.union(&row.sources);
                known.dialled = known.dialled.union(&row.dialled);
                known.exposure = known.exposure.min(row.exposure);
                known.families.extend(row.families);
                known.families.sort_unstable();
                known.families.dedup();
                known.services.extend(row.services.into_iter().filter(|service| service.protocol == Some(58)));
                also_through(known, row.through);
                add(&mut known.remarks, row.remarks);
            }
            None => {
                list.push(both.len());
                both.push(row);
            }
        }
    }
    for row in &mut both {
        let all = everyone(&row.families);
        row.sources_say = naming::people(&row.sources, &row.families, &host.names);
        if row.families.len() < families.len() && row.sources.covers(&all) {
            row.sources_say = format!("any {}", row.families.first().map_or("", |family| ip(*family)));
        }
    }
    both.sort_by_cached_key(key);
    both
}

fn also_through(known: &mut Row, more: Vec<Through>) {
    for through in more {
        let same = |one: &Through| {
            one.kind == through.kind && (&one.file, one.line, &one.text) == (&through.file, through.line, &through.text)
        };
        if !known.through.iter().any(same) {
            known.through.push(through);
        }
    }
}

fn add(known: &mut Vec<String>, more: Vec<String>) {
    for text in more {
        if !known.contains(&text) {
            known.push(text);
        }
    }
}

/// Services by what they are in either family: an echo request is one.
fn one_name(services: &[Service]) -> Vec<String> {
    let mut each: Vec<String> = services.iter().map(|service| naming::numbers(std::slice::from_ref(service))).collect();
    each.sort();
    each.dedup();
    each
}

/// Everything of a row but families, sources and services: rows that share it say the same of them.
#[derive(PartialEq, Eq, Hash)]
struct Way {
    section: Section,
    from: End,
    /// A machine with a name is one, at whatever address.
    to: (Class, String),
    via: Option<String>,
    at: Option<String>,
    limits: Vec<String>,
    certainty: Certainty,
    unmentioned: bool,
    basic: bool,
    except: Vec<String>,
    lines: Vec<(Option<String>, Option<u32>, String)>,
}

fn way(row: &Row) -> Way {
    let policy = row.through.iter().any(|through| through.kind == ThroughKind::Policy);
    // A policy's line says enough: rules of the platform behind it are one for each port and family.
    let lines = row.through.iter().filter(|through| !policy || through.kind == ThroughKind::Policy);
    let text = |through: &Through| if policy { String::new() } else { through.text.clone() };
    Way {
        section: row.section,
        from: row.from.clone(),
        to: (row.to.class, row.to.name.as_ref().unwrap_or(&row.to.says).clone()),
        via: row.via.clone(),
        at: row.at.clone(),
        limits: row.limits.clone(),
        certainty: row.certainty.clone(),
        unmentioned: row.unmentioned,
        basic: row.basic,
        except: one_name(&row.except),
        lines: lines.map(|through| (through.file.clone(), through.line, text(through))).collect(),
    }
}

/// Whether nothing but what others do decides about a row.
fn left_to_others(row: &Row) -> bool {
    row.unmentioned && row.certainty != Certainty::Certain
}

/// What decides where a row stands.
fn key(row: &Row) -> impl Ord + use<> {
    let place = Class::ALL.iter().position(|class| *class == row.to.class);
    (
        (row.section, row.basic, left_to_others(row), row.exposure, matches!(row.certainty, Certainty::Possibly(_))),
        std::cmp::Reverse(naming::size(&row.sources)),
        (place, row.to.says.clone(), row.services.clone(), row.via.clone()),
        (row.sources_say.clone(), row.at.clone(), row.limits.clone()),
        row.through
            .iter()
            .map(|through| (through.file.clone(), through.line, through.chain.clone()))
            .collect::<Vec<_>>(),
    )
}
