//! The protocol itself: beginning, end, order, encodings, faults.

use fwc::server::Ended;
use serde_json::{Value, json};

use super::client::{Client, capabilities, shown};

#[test]
fn a_session_ends_well_only_in_order() {
    assert_eq!(Client::new(&[]).end(), Ended::Orderly);
    assert_eq!(Client::new(&[]).exit(), Ended::Abruptly);
}

#[test]
fn after_shutdown_nothing_is_answered() {
    let mut client = Client::new(&[]);
    assert_eq!(client.ask("shutdown", Value::Null), Ok(Value::Null));
    let refused = client.ask("textDocument/codeAction", json!({})).expect_err("refused");
    assert_eq!(refused.0, lsp_server::ErrorCode::InvalidRequest as i32);
    assert_eq!(client.exit(), Ended::Orderly);
}

#[test]
fn what_is_not_understood_is_refused_and_ends_nothing() {
    let mut client = Client::new(&[]);
    let unknown = client.ask("fwc/nothing", json!({})).expect_err("refused");
    assert_eq!(unknown.0, lsp_server::ErrorCode::MethodNotFound as i32);
    let wrong = client.ask("textDocument/codeAction", json!({ "range": 7 })).expect_err("refused");
    assert_eq!(wrong.0, lsp_server::ErrorCode::InvalidParams as i32);
    client.tell("textDocument/didChange", json!({ "nonsense": true }));
    client.tell("$/unknown", json!({}));
    client.open("site.fw", "allow ping to hots\n");
    assert!(!client.published("site.fw").is_empty());
    assert_eq!(client.end(), Ended::Orderly);
}

#[test]
fn the_encoding_is_the_cheapest_that_the_client_offers() {
    let text = "allow ping to host log \"🧱🧱\" levell info\n";
    let columns = |encodings: Value| {
        let mut offered = capabilities();
        offered["general"]["positionEncodings"] = encodings;
        let mut client = Client::with(&[], offered);
        client.open("site.fw", text);
        let diagnostics = client.published("site.fw");
        let encoding = client.greeting["capabilities"]["positionEncoding"].clone();
        (encoding, diagnostics[0]["range"]["start"]["character"].clone())
    };
    assert_eq!(columns(json!(["utf-16", "utf-8"])), (json!("utf-8"), json!(34)));
    assert_eq!(columns(json!(["utf-16"])), (json!("utf-16"), json!(30)));
    assert_eq!(columns(Value::Null), (json!("utf-16"), json!(30)));
}

#[test]
fn edits_are_taken_in_one_after_the_other() {
    let mut offered = capabilities();
    offered["general"] = Value::Null;
    let mut client = Client::with(&[], offered);
    client.open("site.fw", "# 🧱\nallow { ping, ssh } to host\n");
    assert_eq!(shown(&client.published("site.fw")), "");
    let at = |line: u32, from: u32, to: u32| json!({ "start": { "line": line, "character": from }, "end": { "line": line, "character": to } });
    client.change(
        "site.fw",
        json!([
            { "range": at(0, 2, 4), "text": "wall\n" },
            { "range": at(2, 8, 12), "text": "pingg" },
        ]),
    );
    let diagnostics = client.published("site.fw");
    assert_eq!(shown(&diagnostics), "FW0111 2:8-2:13 no service is called `pingg`");
}
