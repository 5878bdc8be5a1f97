//! `nft -j list ruleset`: put into the words of nft's other listing, one line an object, and read like that.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::super::{Fault, FaultKind, Object, Reading, quoted};
use crate::span::{FileId, Location, Span};

/// Reads the listing of `nft -j list ruleset`. A rule's place is that of its object in the text.
#[must_use]
pub fn nft_json(file: FileId, text: &str) -> Reading {
    let mut faults = Vec::new();
    let mut out = String::with_capacity(text.len());
    // Where each line of `out` begins, and the object that it came from.
    let mut lines: Vec<(usize, Span)> = Vec::new();
    match objects(text) {
        Ok(objects) => {
            for (start, end) in objects {
                let span = Span::new(start, end);
                let value: Result<Value, _> = serde_json::from_str(text.get(start..end).unwrap_or_default());
                let object = value.ok().and_then(|value| match value {
                    Value::Object(object) => Some(object),
                    _ => None,
                });
                lines.push((out.len(), span));
                let written = object
                    .is_some_and(|object| object.iter().all(|(kind, value)| command(&mut out, kind, value).is_some()));
                if !written {
                    out.truncate(lines.last().map_or(0, |(at, _)| *at));
                    let message = format!(
                        "`{}` is no object of an nft listing",
                        quoted(text.get(start..end).unwrap_or_default())
                    );
                    let help = "list the rules with `nft -j list ruleset`".to_owned();
                    faults.push(Fault::new(FaultKind::Broken, file, span, message, help));
                }
                out.push('\n');
            }
        }
        Err((span, message)) => {
            let help = "list the rules with `nft -j list ruleset`".to_owned();
            faults.push(Fault::new(FaultKind::Broken, file, span, message, help));
        }
    }
    let mut reading = super::nft(file, &out);
    let back = |span: Span| {
        let at = lines.partition_point(|(start, _)| *start <= span.start as usize).saturating_sub(1);
        lines.get(at).map_or(span, |(_, span)| *span)
    };
    for rule in reading.ruleset.tables.iter_mut().flat_map(|table| &mut table.chains).flat_map(|chain| &mut chain.rules)
    {
        if let Some(origin) = rule.origin {
            rule.origin = Some(Location { file: origin.file, span: back(origin.span) });
        }
    }
    for fault in &mut reading.faults {
        fault.span = back(fault.span);
    }
    for Object { location, .. } in &mut reading.objects {
        location.span = back(location.span);
    }
    faults.append(&mut reading.faults);
    reading.faults = faults;
    reading
}

/// The bounds of the objects in the list under `"nftables"`. Found by their brackets alone, so that one bad object costs itself.
fn objects(text: &str) -> Result<Vec<(usize, usize)>, (Span, &'static str)> {
    let bytes = text.as_bytes();
    let Some(start) = text.find("\"nftables\"").and_then(|at| Some(at + text.get(at..)?.find('[')?)) else {
        return Err((Span::new(0, text.len()), "this is no listing of nft"));
    };
    let mut out = Vec::new();
    let mut depth = 0usize;
    let mut from = 0;
    let mut in_text = false;
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => {
                if depth == 0 {
                    from = at;
                }
                depth += 1;
            }
            b']' if depth == 0 => return Ok(out),
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    out.push((from, at + 1));
                }
            }
            _ => {}
        }
        at += 1;
    }
    if depth > 0 {
        return Err((Span::new(from, text.len()), "this object is never closed"));
    }
    Ok(out)
}

/// A name that stands as one word.
fn name(value: Option<&Value>) -> Option<&str> {
    let text = value?.as_str()?;
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b";{}(),\"#\\".contains(&byte));
    plain.then_some(text)
}

/// A text that stands in quotation marks.
fn string(out: &mut String, text: &str) {
    out.push('"');
    out.extend(text.chars().map(|c| if c == '"' || c.is_control() { ' ' } else { c }));
    out.push('"');
}

/// Writes one object of the listing as a command.
fn command(out: &mut String, kind: &str, value: &Value) -> Option<()> {
    if kind == "metainfo" {
        return Some(());
    }
    let object = value.as_object()?;
    let family = name(object.get("family"))?;
    let table = || name(object.get("table"));
    match kind {
        "table" => {
            // Writing to a String cannot fail.
            let _ = write!(out, "table {family} {}", name(object.get("name"))?);
            if flags(object.get("flags")).contains(&"dormant") {
                out.push_str(" { flags dormant; }");
            }
        }
        "chain" => {
            let _ = write!(out, "add chain {family} {} {} {{ ", table()?, name(object.get("name"))?);
            if let Some(hook) = name(object.get("hook")) {
                let _ = write!(out, "type {} hook {hook} ", name(object.get("type"))?);
                if let Some(device) = object.get("dev").or(object.get("devices")) {
                    out.push_str("devices = { ");
                    for (at, device) in list(device).iter().enumerate() {
                        out.push_str(if at > 0 { ", " } else { "" });
                        string(out, device.as_str()?);
                    }
                    out.push_str(" } ");
                }
                let _ = write!(out, "priority {}; ", object.get("prio")?.as_i64()?);
                if let Some(policy) = name(object.get("policy")) {
                    let _ = write!(out, "policy {policy}; ");
                }
            }
            out.push('}');
        }
        "set" | "map" | "meter" => {
            let kind = if kind == "meter" { "set" } else { kind };
            let _ = write!(out, "add {kind} {family} {} {} {{ type ", table()?, name(object.get("name"))?);
            types(out, object.get("type")?)?;
            if let Some(data) = object.get("map") {
                out.push_str(" : ");
                types(out, data)?;
            }
            out.push_str("; ");
            let flags = flags(object.get("flags"));
            if !flags.is_empty() {
                let _ = write!(out, "flags {}; ", flags.join(","));
            }
            if let Some(elements) = object.get("elem").and_then(Value::as_array).filter(|list| !list.is_empty()) {
                let quotes = object.get("type").is_some_and(|kind| kind.as_str() == Some("ifname"));
                out.push_str("elements = { ");
                for (at, element) in elements.iter().enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    set_element(out, element, if quotes { Style::Quoted } else { Style::Plain })?;
                }
                out.push_str(" } ");
            }
            out.push('}');
        }
        "rule" => {
            let _ = write!(out, "add rule {family} {} {} ", table()?, name(object.get("chain"))?);
            for item in object.get("expr")?.as_array()? {
                let before = out.len();
                if statement(out, item).is_none() {
                    // What is not known here is read as not known there.
                    out.truncate(before);
                    out.push_str("unread ");
                    string(out, &item.to_string());
                }
                out.push(' ');
            }
            if let Some(remark) = object.get("comment").and_then(Value::as_str) {
                out.push_str("comment ");
                string(out, remark);
            }
        }
        "ct helper" => {
            let _ = write!(out, "add ct helper {family} {} {} {{ type ", table()?, name(object.get("name"))?);
            string(out, object.get("type")?.as_str()?);
            let _ = write!(out, " protocol {}; }}", name(object.get("protocol"))?);
        }
        "element" => {
            let _ = write!(out, "add element {family} {} {} {{ ", table()?, name(object.get("name"))?);
            for (at, element) in object.get("elem")?.as_array()?.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                set_element(out, element, Style::Plain)?;
            }
            out.push('}');
        }
        "counter" | "quota" | "limit" | "flowtable" | "secmark" | "synproxy" | "ct timeout" | "ct expectation"
        | "tunnel" => {
            let _ = write!(out, "add {kind} {family} {} {} {{ json ", table()?, name(object.get("name"))?);
            string(out, &value.to_string());
            out.push_str(" }");
        }
        _ => return None,
    }
    Some(())
}

/// A value that may be a list of values.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

fn flags(value: Option<&Value>) -> Vec<&str> {
    value.map(list).unwrap_or_default().iter().filter_map(Value::as_str).collect()
}

fn types(out: &mut String, value: &Value) -> Option<()> {
    for (at, one) in list(value).iter().enumerate() {
        out.push_str(if at > 0 { " . " } else { "" });
        match one {
            Value::String(_) => out.push_str(name(Some(one))?),
            // `typeof`, as newer versions list it: no type by name.
            _ => out.push_str("unread"),
        }
    }
    Some(())
}

/// How values of a field are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    /// Interfaces, days, times.
    Quoted,
    /// Marks, as eight digits.
    Hexadecimal,
}

fn style(left: &Value) -> Style {
    let key = |kind: &str| left.get(kind).and_then(|of| of.get("key")).and_then(Value::as_str);
    match (key("meta"), key("ct")) {
        (
            Some(
                "iif" | "oif" | "iifname" | "oifname" | "hour" | "day" | "ibrname" | "obrname" | "iifkind" | "oifkind"
                | "sdifname",
            ),
            _,
        ) => Style::Quoted,
        (Some("mark"), _) | (_, Some("mark")) => Style::Hexadecimal,
        (_, Some("helper")) => Style::Quoted,
        _ => match left.get("&").or(left.get("|")).or(left.get("^")).and_then(Value::as_array) {
            Some(parts) => parts.first().map_or(Style::Plain, style),
            None => Style::Plain,
        },
    }
}

/// An element of a set: a value, a value with details, or a pair of key and verdict.
fn set_element(out: &mut String, value: &Value, style: Style) -> Option<()> {
    if let Some([key, data]) = value.as_array().map(Vec::as_slice) {
        set_element(out, key, style)?;
        out.push_str(" : ");
        return match data {
            Value::Object(object) if object.keys().any(|key| VERDICTS.contains(&key.as_str())) => statement(out, data),
            _ => expression(out, data, Style::Plain),
        };
    }
    if let Some(inner) = value.get("elem").and_then(Value::as_object) {
        expression(out, inner.get("val")?, style)?;
        for key in ["timeout", "expires"] {
            if let Some(seconds) = inner.get(key).and_then(Value::as_u64) {
                let _ = write!(out, " {key} {seconds}s");
            }
        }
        if let Some(remark) = inner.get("comment").and_then(Value::as_str) {
            out.push_str(" comment ");
            string(out, remark);
        }
        return Some(());
    }
    expression(out, value, style)
}

const VERDICTS: &[&str] = &["accept", "drop", "return", "continue", "jump", "goto"];

/// A value as the listing writes it.
fn expression(out: &mut String, value: &Value, style: Style) -> Option<()> {
    match value {
        Value::String(text) => {
            if text.starts_with('@') {
                out.push_str(name(Some(value))?);
            } else if style == Style::Quoted {
                string(out, text);
            } else {
                out.push_str(name(Some(value))?);
            }
        }
        Value::Number(number) => match (style, number.as_u64()) {
            (Style::Hexadecimal, Some(number)) => {
                let _ = write!(out, "0x{number:08x}");
            }
            _ => {
                let _ = write!(out, "{number}");
            }
        },
        Value::Bool(there) => out.push_str(if *there { "exists" } else { "missing" }),
        Value::Array(list) => {
            for (at, one) in list.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                expression(out, one, style)?;
            }
        }
        Value::Object(object) => {
            let (kind, inner) = object.iter().next()?;
            return compound(out, kind, inner, style);
        }
        Value::Null => return None,
    }
    Some(())
}

fn compound(out: &mut String, kind: &str, inner: &Value, style: Style) -> Option<()> {
    let text = |key: &str| name(inner.get(key));
    match kind {
        "prefix" => {
            let _ = write!(out, "{}/{}", text("addr")?, inner.get("len")?.as_u64()?);
        }
        "range" => {
            let [first, last] = inner.as_array()?.as_slice() else { return None };
            expression(out, first, style)?;
            out.push('-');
            expression(out, last, style)?;
        }
        "set" => {
            out.push_str("{ ");
            for (at, element) in list(inner).iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                set_element(out, element, style)?;
            }
            out.push_str(" }");
        }
        "concat" => {
            for (at, part) in list(inner).iter().enumerate() {
                out.push_str(if at > 0 { " . " } else { "" });
                expression(out, part, style)?;
            }
        }
        "elem" => expression(out, inner.get("val")?, style)?,
        "payload" => match (text("protocol"), text("field")) {
            (Some(protocol), Some(field)) => {
                let _ = write!(out, "{protocol} {field}");
            }
            // Bits at a place in a header: `@th,96,24`.
            _ => {
                let number = |key| inner.get(key).and_then(Value::as_u64);
                let _ = write!(out, "@{},{},{}", text("base")?, number("offset")?, number("len")?);
            }
        },
        "meta" => {
            let key = text("key")?;
            if !matches!(key, "iif" | "oif" | "iifname" | "oifname" | "iifgroup" | "oifgroup") {
                out.push_str("meta ");
            }
            out.push_str(key);
        }
        "ct" => {
            out.push_str("ct ");
            if let Some(direction) = text("dir") {
                let _ = write!(out, "{direction} ");
            }
            // `ip daddr`: two words.
            let key = inner.get("key")?.as_str()?;
            if !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -".contains(&byte)) {
                return None;
            }
            out.push_str(key);
        }
        "fib" => {
            let flags = flags(inner.get("flags"));
            let _ = write!(out, "fib {} {}", flags.join(" . "), text("result")?);
        }
        "rt" => {
            let _ = write!(
                out,
                "rt {}{}",
                text("family").map_or(String::new(), |family| format!("{family} ")),
                text("key")?
            );
        }
        "exthdr" => {
            let _ = write!(out, "{} {}", text("name")?, text("field")?);
        }
        "tcp option" => {
            let _ = write!(out, "tcp option {}", text("name")?);
            if let Some(field) = text("field") {
                let _ = write!(out, " {field}");
            }
        }
        "&" | "|" | "^" | "<<" | ">>" => {
            let [left, right] = inner.as_array()?.as_slice() else { return None };
            operand(out, kind, left, style)?;
            let _ = write!(out, " {kind} ");
            operand(out, kind, right, style)?;
        }
        "map" => {
            expression(out, inner.get("key")?, Style::Plain)?;
            out.push_str(" map ");
            expression(out, inner.get("data")?, Style::Plain)?;
        }
        _ => return None,
    }
    Some(())
}

/// A part of an operation: in brackets where it binds less tightly.
fn operand(out: &mut String, around: &str, value: &Value, style: Style) -> Option<()> {
    let strength = |op: &str| match op {
        "<<" | ">>" => 3,
        "&" => 2,
        "^" => 1,
        _ => 0,
    };
    let inner = value
        .as_object()
        .and_then(|object| object.keys().next())
        .filter(|key| matches!(key.as_str(), "&" | "|" | "^" | "<<" | ">>"));
    if inner.is_some_and(|inner| strength(inner) < strength(around)) {
        out.push('(');
        expression(out, value, style)?;
        out.push(')');
        return Some(());
    }
    expression(out, value, style)
}

/// One statement of a rule.
fn statement(out: &mut String, item: &Value) -> Option<()> {
    let object = item.as_object()?;
    let (kind, value) = object.iter().next()?;
    let fields = value.as_object();
    let get = |key: &str| fields.and_then(|fields| fields.get(key));
    match kind.as_str() {
        "match" => return comparison(out, fields?),
        "accept" | "drop" | "return" | "continue" | "notrack" => out.push_str(kind),
        "jump" | "goto" => {
            let _ = write!(out, "{kind} {}", name(get("target"))?);
        }
        "counter" => {
            out.push_str("counter");
            if let Some(named) = value.as_str() {
                out.push_str(" name ");
                string(out, named);
            }
        }
        "quota" | "limit" if value.is_string() => {
            let _ = write!(out, "{kind} name ");
            string(out, value.as_str()?);
        }
        "limit" => {
            out.push_str("limit rate ");
            out.push_str(if get("inv").and_then(Value::as_bool) == Some(true) { "over " } else { "" });
            let (rate, per) = (get("rate")?.as_u64()?, name(get("per"))?);
            match name(get("rate_unit")).filter(|unit| *unit != "packets") {
                Some(unit) => {
                    let _ = write!(out, "{rate} {unit}/{per}");
                    if let Some(burst) = get("burst").and_then(Value::as_u64).filter(|burst| *burst > 0) {
                        let _ = write!(out, " burst {burst} {}", name(get("burst_unit")).unwrap_or("bytes"));
                    }
                }
                None => {
                    let _ = write!(out, "{rate}/{per}");
                    if let Some(burst) = get("burst").and_then(Value::as_u64).filter(|burst| *burst != 5) {
                        let _ = write!(out, " burst {burst} packets");
                    }
                }
            }
        }
        "log" => {
            out.push_str("log");
            if let Some(prefix) = get("prefix").and_then(Value::as_str) {
                out.push_str(" prefix ");
                string(out, prefix);
            }
            for key in ["group", "snaplen", "queue-threshold"] {
                if let Some(number) = get(key).and_then(Value::as_u64) {
                    let _ = write!(out, " {key} {number}");
                }
            }
            if let Some(level) = name(get("level")) {
                let _ = write!(out, " level {level}");
            }
            let flags = flags(get("flags"));
            if !flags.is_empty() {
                let _ = write!(out, " flags {}", flags.join(","));
            }
        }
        "reject" => {
            out.push_str("reject");
            match get("type").and_then(Value::as_str) {
                None => {}
                Some("tcp reset") => out.push_str(" with tcp reset"),
                Some(kind) => {
                    let _ = write!(out, " with {kind} {}", name(get("expr"))?);
                }
            }
        }
        "masquerade" | "redirect" | "dnat" | "snat" => return translation(out, kind, fields),
        "mangle" => {
            let key = get("key")?;
            expression(out, key, Style::Plain)?;
            out.push_str(" set ");
            expression(out, get("value")?, style(key))?;
        }
        "ct helper" | "ct timeout" | "ct expectation" => {
            let _ = write!(out, "{kind} set ");
            string(out, value.as_str()?);
        }
        "ct count" => {
            out.push_str("ct count ");
            out.push_str(if get("inv").and_then(Value::as_bool) == Some(true) { "over " } else { "" });
            let _ = write!(out, "{}", get("val")?.as_u64()?);
        }
        "set" => {
            let _ = write!(out, "{} {} {{ ", name(get("op"))?, name(get("set"))?);
            dynamic(out, get("elem")?)?;
            for item in get("stmt").map(list).unwrap_or_default() {
                out.push(' ');
                statement(out, item)?;
            }
            out.push_str(" }");
        }
        "meter" => {
            let _ = write!(out, "meter {} {{ ", name(get("name"))?);
            dynamic(out, get("key")?)?;
            out.push(' ');
            statement(out, get("stmt")?)?;
            out.push_str(" }");
        }
        "vmap" => {
            let key = get("key")?;
            expression(out, key, Style::Plain)?;
            out.push_str(" vmap ");
            expression(out, get("data")?, style(key))?;
        }
        "xt" => {
            let _ = write!(out, "xt {} ", name(get("type"))?);
            string(out, get("name")?.as_str()?);
        }
        "queue" => {
            out.push_str("queue");
            for flag in flags(get("flags")) {
                let _ = write!(out, " flags {flag}");
            }
            if let Some(number) = get("num") {
                out.push_str(" to ");
                expression(out, number, Style::Plain)?;
            }
        }
        _ => return None,
    }
    Some(())
}

/// The key of a set that a rule adds to.
fn dynamic(out: &mut String, element: &Value) -> Option<()> {
    match element.get("elem") {
        Some(inner) => {
            expression(out, inner.get("val")?, Style::Plain)?;
            if let Some(seconds) = inner.get("timeout").and_then(Value::as_u64) {
                let _ = write!(out, " timeout {seconds}s");
            }
            Some(())
        }
        None => expression(out, element, Style::Plain),
    }
}

fn comparison(out: &mut String, fields: &Map<String, Value>) -> Option<()> {
    let (left, right) = (fields.get("left")?, fields.get("right")?);
    expression(out, left, Style::Plain)?;
    let op = fields.get("op").and_then(Value::as_str).unwrap_or("==");
    let is_set = right.get("set").is_some() || right.as_str().is_some_and(|text| text.starts_with('@'));
    let masked = ["&", "|", "^"].iter().any(|op| left.get(op).is_some());
    let key = |kind: &str, of: &str| left.get(kind).and_then(|inner| inner.get(of)).and_then(Value::as_str);
    // Where the listing writes nothing, several flags are alternatives.
    let bits = matches!(key("ct", "key"), Some("state" | "status" | "label" | "event"))
        || (key("payload", "protocol"), key("payload", "field")) == (Some("tcp"), Some("flags"));
    match op {
        "in" => out.push(' '),
        "==" if !masked && (is_set || !bits) => out.push(' '),
        "==" | "!=" | "<" | ">" | "<=" | ">=" | "!" => {
            let _ = write!(out, " {op} ");
        }
        _ => return None,
    }
    match (masked, right) {
        // Flags behind a mask are one value.
        (true, Value::Array(list)) => {
            out.push('(');
            for (at, one) in list.iter().enumerate() {
                out.push_str(if at > 0 { " | " } else { "" });
                expression(out, one, Style::Plain)?;
            }
            out.push(')');
            Some(())
        }
        _ => expression(out, right, style(left)),
    }
}

fn translation(out: &mut String, kind: &str, fields: Option<&Map<String, Value>>) -> Option<()> {
    out.push_str(kind);
    let Some(fields) = fields else { return Some(()) };
    if let Some(family) = name(fields.get("family")) {
        let _ = write!(out, " {family}");
    }
    let (address, port) = (fields.get("addr"), fields.get("port"));
    if address.is_some() || port.is_some() {
        out.push_str(" to ");
    }
    if let Some(address) = address {
        let six = address.as_str().is_some_and(|text| text.contains(':')) && port.is_some();
        out.push_str(if six { "[" } else { "" });
        expression(out, address, Style::Plain)?;
        out.push_str(if six { "]" } else { "" });
    }
    if let Some(port) = port {
        out.push(':');
        expression(out, port, Style::Plain)?;
    }
    let flags = flags(fields.get("flags"));
    if !flags.is_empty() {
        let _ = write!(out, " {}", flags.join(","));
    }
    Some(())
}
