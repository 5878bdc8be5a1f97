//! What an editor asks about a place. In a fixture `<CURSOR>` is where it asks; the answers are drawn in snapshots.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::client::{Client, capabilities};

/// A policy of two files and the place asked about.
pub struct Asked {
    pub client: Client,
    pub document: Value,
    pub position: Value,
}

/// Opens a text with `<CURSOR>` in it beside other files.
pub fn asked(text: &str, others: &[(&str, &str)]) -> Asked {
    let mut offered = capabilities();
    offered["textDocument"]["definition"] = json!({ "linkSupport": true });
    offered["textDocument"]["documentSymbol"] = json!({ "hierarchicalDocumentSymbolSupport": true });
    let mut client = Client::with(others, offered);
    let at = text.find("<CURSOR>").expect("a cursor");
    let before = &text[..at];
    let position =
        json!({ "line": before.matches('\n').count(), "character": at - before.rfind('\n').map_or(0, |end| end + 1) });
    client.open("site.fw", &text.replacen("<CURSOR>", "", 1));
    let document = json!({ "uri": client.uri("site.fw") });
    Asked { client, document, position }
}

impl Asked {
    pub fn ask(&mut self, method: &str, more: &Value) -> Value {
        let mut parameters = json!({ "textDocument": self.document, "position": self.position });
        let more = more.as_object().cloned().unwrap_or_default();
        parameters.as_object_mut().expect("an object").extend(more);
        self.client.ask(&format!("textDocument/{method}"), parameters).expect("an answer")
    }

    /// `site.fw 3:4-3:9`.
    pub fn place(&self, uri: &Value, range: &Value) -> String {
        let folder = format!("{}/", self.client.uri(""));
        let name = uri.as_str().unwrap_or_default();
        let at = |end: &str| format!("{}:{}", range[end]["line"], range[end]["character"]);
        format!("{} {}-{}", name.strip_prefix(&folder).unwrap_or(name), at("start"), at("end"))
    }
}

const OFFICE: &str = "set office = { 192.0.2.0/24, 2001:db8::/48 }\n";
const SITE: &str = "\
include \"office.fw\"
interface wan = eth0
service admin = { ssh, tcp 8443 }

to host {
    # Those who look after it.
    allow admin from off<CURSOR>ice via wan
    deny admin
}
assert deny ssh from not office to host
";

#[test]
fn a_name_is_known_wherever_it_stands() {
    let mut asked = asked(SITE, &[("office.fw", OFFICE)]);
    let mut out = String::new();
    let definition = asked.ask("definition", &json!({}));
    for link in definition.as_array().expect("links") {
        let _ = writeln!(out, "definition {}", asked.place(&link["targetUri"], &link["targetSelectionRange"]));
    }
    for place in
        asked.ask("references", &json!({ "context": { "includeDeclaration": true } })).as_array().expect("places")
    {
        let _ = writeln!(out, "reference {}", asked.place(&place["uri"], &place["range"]));
    }
    for shown in asked.ask("documentHighlight", &json!({})).as_array().expect("places") {
        let _ = writeln!(out, "highlight {} kind {}", asked.place(&Value::Null, &shown["range"]), shown["kind"]);
    }
    let name = asked.ask("prepareRename", &json!({}));
    let _ = writeln!(out, "rename {} {}", name["placeholder"], asked.place(&Value::Null, &name["range"]));
    let edit = asked.ask("rename", &json!({ "newName": "staff" }));
    for change in edit["documentChanges"].as_array().expect("changes") {
        for edit in change["edits"].as_array().expect("edits") {
            let place = asked.place(&change["textDocument"]["uri"], &edit["range"]);
            let _ = writeln!(out, "edit {place} {} version {}", edit["newText"], change["textDocument"]["version"]);
        }
    }
    insta::assert_snapshot!(out);
}

#[test]
fn a_new_name_that_cannot_be_one_is_refused() {
    let mut asked = asked(SITE, &[("office.fw", OFFICE)]);
    let parameters = json!({ "textDocument": asked.document, "position": asked.position, "newName": "two\nlines" });
    let refused = asked.client.ask("textDocument/rename", parameters).expect_err("refused");
    assert_eq!(refused.0, lsp_server::ErrorCode::RequestFailed as i32, "{refused:?}");
}

#[test]
fn the_standard_library_can_be_opened() {
    let mut asked = asked("allow s<CURSOR>sh to host\n", &[]);
    let definition = asked.ask("definition", &json!({}));
    let uri = definition[0]["targetUri"].as_str().expect("a URI").to_owned();
    let path = uri.strip_prefix("file://").expect("a file");
    let text = std::fs::read_to_string(path).expect("a copy");
    let line = usize::try_from(definition[0]["targetRange"]["start"]["line"].as_u64().expect("a line")).expect("small");
    assert!(text.lines().nth(line).is_some_and(|line| line.starts_with("service ssh")), "{uri} {line}");
}

#[test]
fn a_text_is_divided() {
    let mut asked = asked(SITE, &[("office.fw", OFFICE)]);
    let mut out = String::new();
    for symbol in asked.ask("documentSymbol", &json!({})).as_array().expect("symbols") {
        let name = |one: &Value| one["name"].as_str().unwrap_or_default().to_owned();
        let inside: Vec<String> = symbol["children"].as_array().into_iter().flatten().map(name).collect();
        let place = asked.place(&Value::Null, &symbol["range"]);
        let _ = writeln!(out, "symbol {place} {} kind {} {inside:?}", name(symbol), symbol["kind"]);
    }
    for fold in asked.ask("foldingRange", &json!({})).as_array().expect("folds") {
        let _ = writeln!(out, "fold {}-{} {}", fold["startLine"], fold["endLine"], fold["kind"]);
    }
    let position = asked.position.clone();
    let mut selection = &asked.ask("selectionRange", &json!({ "positions": [position] }))[0];
    while !selection.is_null() {
        let _ = writeln!(out, "selection{}", asked.place(&Value::Null, &selection["range"]));
        selection = &selection["parent"];
    }
    for link in asked.ask("documentLink", &json!({})).as_array().expect("links") {
        let _ = writeln!(
            out,
            "link {} to {}",
            asked.place(&Value::Null, &link["range"]),
            asked.place(&link["target"], &Value::Null)
        );
    }
    let found = asked.client.ask("workspace/symbol", json!({ "query": "off" })).expect("an answer");
    for symbol in found.as_array().expect("symbols") {
        let location = &symbol["location"];
        let _ = writeln!(out, "workspace {} {}", symbol["name"], asked.place(&location["uri"], &location["range"]));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn words_have_colours_and_allow_has_another_than_deny() {
    let mut asked = asked(SITE, &[("office.fw", OFFICE)]);
    let legend = asked.client.greeting["capabilities"]["semanticTokensProvider"]["legend"].clone();
    let text = SITE.replacen("<CURSOR>", "", 1);
    let lines: Vec<&str> = text.lines().collect();
    let answer = asked.ask("semanticTokens/full", &json!({}));
    let numbers: Vec<usize> = answer["data"]
        .as_array()
        .expect("data")
        .iter()
        .map(|one| usize::try_from(one.as_u64().expect("a number")).expect("small"))
        .collect();
    let (mut line, mut column) = (0, 0);
    let mut out = String::new();
    for token in numbers.chunks_exact(5) {
        column = if token[0] == 0 { column + token[1] } else { token[1] };
        line += token[0];
        let modifiers = legend["tokenModifiers"].as_array().expect("names").iter().enumerate();
        let modifiers: Vec<&str> =
            modifiers.filter(|(bit, _)| token[4] >> bit & 1 == 1).filter_map(|(_, name)| name.as_str()).collect();
        let kind = legend["tokenTypes"][token[3]].as_str().expect("a name");
        let _ =
            writeln!(out, "{line}:{column} {} {kind} {}", &lines[line][column..column + token[2]], modifiers.join(" "));
    }
    insta::assert_snapshot!(out);
}

/// A host with Docker, its compose file, and a statement about a container.
const COMPOSE: &str = "services:\n  web:\n    image: nginx\n    ports:\n      - \"8080:80\"\n";

#[test]
fn what_is_known_is_said_where_it_is_written() {
    let text = "use docker\ncompose \"compose.yml\"\ninterface wan = eth0\nset office = 192.0.2.0/24\nallow https from off<CURSOR>ice to host\n";
    let mut asked = asked(text, &[("compose.yml", COMPOSE)]);
    let mut out = String::new();
    let hover = asked.ask("hover", &json!({}));
    let _ = writeln!(
        out,
        "hover{}\n{}",
        asked.place(&Value::Null, &hover["range"]),
        hover["contents"]["value"].as_str().expect("Markdown")
    );
    // On the verb: what the statement becomes.
    let hover = asked.ask("hover", &json!({ "position": { "line": 4, "character": 2 } }));
    let _ = writeln!(
        out,
        "hover{}\n{}",
        asked.place(&Value::Null, &hover["range"]),
        hover["contents"]["value"].as_str().expect("Markdown")
    );
    let whole = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 9, "character": 0 } });
    for hint in asked.ask("inlayHint", &json!({ "range": whole })).as_array().expect("hints") {
        let _ = writeln!(out, "hint {}:{} {}", hint["position"]["line"], hint["position"]["character"], hint["label"]);
    }
    insta::assert_snapshot!(out);
}

#[test]
fn what_may_follow_is_offered_while_it_is_written() {
    let text = "use docker\ncompose \"compose.yml\"\nset office = 192.0.2.0/24\nallow ssh from of<CURSOR>\n";
    let mut asked = asked(text, &[("compose.yml", COMPOSE)]);
    let mut out = String::new();
    for item in asked.ask("completion", &json!({})).as_array().expect("items") {
        if item["label"].as_str().is_some_and(|label| label.starts_with("off")) {
            let place = asked.place(&Value::Null, &item["textEdit"]["range"]);
            let _ = writeln!(
                out,
                "completion {} {}{place} kind {}",
                item["label"], item["textEdit"]["newText"], item["kind"]
            );
        }
    }
    let help = asked.ask("signatureHelp", &json!({}));
    let form = &help["signatures"][0];
    let active = usize::try_from(help["activeParameter"].as_u64().expect("a part")).expect("small");
    let _ = writeln!(out, "form {}\nin {}", form["label"], form["parameters"][active]["label"]);
    insta::assert_snapshot!(out);
}

#[test]
fn paths_lead_to_files_that_are_there() {
    let files = [
        ("parts/office.fw", OFFICE),
        ("parts/more/a.fw", ""),
        ("compose.yml", COMPOSE),
        ("blocked.txt", ""),
        (".hidden/b.fw", ""),
    ];
    let labels = |text: &str| {
        let mut asked = asked(text, &files);
        asked.client.open("parts/new.fw", "");
        let (items, text) = (asked.ask("completion", &json!({})), text.replacen("<CURSOR>", "", 1));
        let item = |one: &Value| {
            let label = one["label"].as_str().expect("a label").to_owned();
            let edits = json!([one["textEdit"]]);
            (label, super::client::edited(&text, &edits, super::client::offset))
        };
        items.as_array().expect("items").iter().map(item).collect::<Vec<_>>()
    };
    // The server's own copies lie there as well.
    let names = |items: Vec<(String, String)>| {
        items.into_iter().map(|(label, _)| label).filter(|label| label != "pages/").collect::<Vec<_>>()
    };
    assert_eq!(names(labels("include \"<CURSOR>\"\n")), ["parts/"], "not itself");
    assert_eq!(names(labels("include \"parts/<CURSOR>\"\n")), ["more/", "new.fw", "office.fw"]);
    assert_eq!(names(labels("compose \"<CURSOR>\"\n")), ["compose.yml", "parts/"]);
    assert_eq!(names(labels("set blocked from file \"<CURSOR>")), ["blocked.txt", "parts/"]);
    assert_eq!(names(labels("include \"nowhere/<CURSOR>\"\n")), [""; 0]);
    let replaced = labels("include \"parts/of<CURSOR>fice.fw\"\n");
    assert_eq!(replaced[2], ("office.fw".to_owned(), "include \"parts/office.fw\"\n".to_owned()));
    let open = labels("include \"parts/of<CURSOR>\nallow ssh to host\n");
    assert_eq!(open[2].1, "include \"parts/office.fw\nallow ssh to host\n");
}

#[test]
fn a_rule_of_a_listing_is_shown_with_what_it_counted() {
    let saved = "*filter\n:INPUT DROP [9:999]\n[12:1720] -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -j DROP\nCOMMIT\n";
    let listed = "table inet fw {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t\ttcp dport 22 counter packets 5 bytes 300 accept\n\t\tcounter name \"all\" drop\n\t}\n}\n";
    let json = r#"{ "nftables": [
{ "table": { "family": "inet", "name": "fw", "handle": 1 } },
{ "chain": { "family": "inet", "table": "fw", "name": "input", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "drop" } },
{ "rule": { "family": "inet", "table": "fw", "chain": "input", "handle": 2, "expr": [{ "counter": { "packets": 1, "bytes": 60 } }, { "accept": null }] } }
] }"#;
    let mut client = Client::new(&[]);
    let mut said = Vec::new();
    for (name, text, lines) in
        [("rules.v4", saved, [2, 3].as_slice()), ("rules.nft", listed, &[3, 4]), ("listing.nftables", json, &[3])]
    {
        client.open(name, text);
        let uri = client.uri(name);
        for line in lines {
            let at = json!({ "textDocument": { "uri": uri }, "position": { "line": line, "character": 3 } });
            let hover = client.ask("textDocument/hover", at).expect("an answer");
            let text = hover["contents"]["value"].as_str().expect("Markdown");
            assert!(text.starts_with("rule "), "{text}");
            said.push(text.lines().find(|line| line.starts_with("counted")).unwrap_or("nothing counted").to_owned());
        }
    }
    assert_eq!(
        said,
        [
            "counted: 12 packets, 1,720 bytes",
            "nothing counted",
            "counted: 5 packets, 300 bytes",
            "nothing counted",
            "counted: 1 packet, 60 bytes"
        ]
    );
}

#[test]
fn a_rule_of_a_rule_set_is_shown_with_a_packet_and_its_way() {
    let rules = "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:web - [0:0]\n-A INPUT -s 198.51.100.0/24 -j DROP\n-A INPUT -p tcp -j web\n-A INPUT -s 198.51.100.7/32 -j ACCEPT\n-A web -p tcp -m tcp --dport 443 -j ACCEPT\nCOMMIT\n";
    let mut client = Client::new(&[]);
    client.open("rules.v4", rules);
    let uri = client.uri("rules.v4");
    let mut out = String::new();
    for line in [5, 8, 7, 0] {
        let at = json!({ "textDocument": { "uri": uri }, "position": { "line": line, "character": 3 } });
        let hover = client.ask("textDocument/hover", at).expect("an answer");
        let _ = writeln!(out, "line {line}\n{}", hover["contents"]["value"].as_str().unwrap_or("nothing"));
    }
    insta::assert_snapshot!(out);
}
