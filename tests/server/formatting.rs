//! Policies laid out at an editor's wish: the edits, carried out as an editor does, come to what `fwc fmt` writes.

use serde_json::{Value, json};

use super::client::{Client, capabilities, edited, offset, offset_utf16};

/// Badly spaced, with letters of several bytes before what is moved on a line, and half a statement.
const TEXT: &str = "\
set   office={ 192.0.2.1,192.0.2.7 }   # Büro 🧱
to host   {
  allow ssh   from office log \"🧱 é\"   level   info
allow  https
}
allow   ssh   fr
deny   ping to host
";

fn formatted(client: &mut Client, name: &str, range: Option<Value>) -> Value {
    let options = json!({ "tabSize": 2, "insertSpaces": false });
    let document = json!({ "uri": client.uri(name) });
    let answer = match range {
        None => client.ask("textDocument/formatting", json!({ "textDocument": document, "options": options })),
        Some(range) => client.ask(
            "textDocument/rangeFormatting",
            json!({ "textDocument": document, "options": options, "range": range }),
        ),
    };
    answer.expect("an answer")
}

#[test]
fn a_text_is_laid_out_as_fmt_does_in_either_count_of_columns() {
    for (encodings, offset) in
        [(json!(["utf-8"]), offset as fn(&str, &Value) -> usize), (json!(["utf-16"]), offset_utf16)]
    {
        let mut offered = capabilities();
        offered["general"]["positionEncodings"] = encodings.clone();
        let mut client = Client::with(&[], offered);
        let said = &client.greeting["capabilities"];
        assert_eq!(
            (&said["documentFormattingProvider"], &said["documentRangeFormattingProvider"]),
            (&json!(true), &json!(true))
        );
        // Lines of Windows and of Unix; a policy and a file of tests.
        for (name, text) in [
            ("site.fw", TEXT.to_owned()),
            ("other.fw", TEXT.replace('\n', "\r\n")),
            ("site.fwtest", "assert   deny ssh to   host   # 🧱".to_owned()),
        ] {
            client.open(name, &text);
            let edits = formatted(&mut client, name, None);
            let after = edited(&text, &edits, offset);
            assert_eq!(after, fwc::format::format(&text), "{name} {encodings}");
            assert_ne!(after, text);
            client.replace(name, &after);
            assert_eq!(formatted(&mut client, name, None), json!([]), "{name}: it is laid out already");
        }
    }
}

#[test]
fn a_statement_that_is_half_written_is_left_as_it_is() {
    let mut client = Client::new(&[]);
    client.open("site.fw", TEXT);
    let after = edited(TEXT, &formatted(&mut client, "site.fw", None), offset);
    assert!(after.contains("\nallow   ssh   fr\ndeny ping to host\n"), "{after}");
    // Without the brace nobody knows where a block ends: no line is moved, words are spaced.
    let open = TEXT.replace("}\nallow", "allow");
    client.replace("site.fw", &open);
    let after = edited(&open, &formatted(&mut client, "site.fw", None), offset);
    assert!(after.contains("\n  allow ssh from office log \"🧱 é\" level info\nallow https\n"), "{after}");
}

#[test]
fn of_a_range_its_lines_alone_are_laid_out() {
    let text = "allow  ssh to host\nallow  http to host\nallow  dns to host\nallow  ping to host";
    let mut client = Client::new(&[]);
    client.open("site.fw", text);
    let place = |line: u32, character: u32| json!({ "line": line, "character": character });
    let mut touched = |start: Value, end: Value| {
        let edits = formatted(&mut client, "site.fw", Some(json!({ "start": start, "end": end })));
        let after = edited(text, &edits, offset);
        let lines = after.lines().enumerate().filter(|(_, line)| !line.contains("  "));
        lines.map(|(number, _)| number).collect::<Vec<_>>()
    };
    // Whole lines, as editors select them: to the beginning of the next.
    assert_eq!(touched(place(1, 0), place(2, 0)), [1]);
    assert_eq!(touched(place(1, 3), place(2, 4)), [1, 2]);
    assert_eq!(touched(place(1, 0), place(1, 0)), [1], "a cursor");
    assert_eq!(touched(place(3, 19), place(3, 19)), [3], "at the end of the text");
    assert_eq!(touched(place(0, 0), place(9, 0)), [0, 1, 2, 3]);
}

#[test]
fn what_is_no_policy_is_left_alone() {
    let mut client = Client::new(&[("closed.fw", "allow  ssh to host\n")]);
    client.open("rules.v4", "*filter\n:INPUT   ACCEPT [0:0]\nCOMMIT\n");
    client.open("compose.yml", "services:\n  web:   {}\n");
    for name in ["rules.v4", "compose.yml", "closed.fw", "none.fw"] {
        assert_eq!(formatted(&mut client, name, None), Value::Null, "{name}");
    }
}
