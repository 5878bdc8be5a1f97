//! What is no longer wanted is not waited for: requests that are cancelled, answers and proofs about texts that have changed.

use std::time::{Duration, Instant};

use lsp_server::{ErrorCode, Message, RequestId};
use serde_json::{Value, json};

use super::client::{Client, has, shown};

/// So many rules that what is asked about them takes a while, in front of those of the test.
fn long(behind: &str) -> (String, u32) {
    let line =
        |number: u32| format!("allow tcp {} from 10.{}.{}.0/24 to host\n", 1_000 + number, number % 200, number % 250);
    let text: String = (0..1_500).map(line).collect();
    (text + behind, 1_500)
}

fn hover(client: &mut Client, line: u32) -> i32 {
    let document = json!({ "uri": client.uri("site.fw") });
    let position = json!({ "line": line, "character": 1 });
    client.send("textDocument/hover", json!({ "textDocument": document, "position": position }))
}

#[test]
fn a_request_that_is_cancelled_is_answered_so_once() {
    let (text, line) = long("allow ssh to host\n");
    let mut client = Client::new(&[]);
    client.open("site.fw", &text);
    // Those who answer are busy with the first; the others wait for their turn.
    let asked: Vec<i32> = (0..6).map(|_| hover(&mut client, line)).collect();
    for id in &asked[2..] {
        client.tell("$/cancelRequest", json!({ "id": id }));
    }
    // What is not asked, or was answered, cannot be cancelled.
    client.tell("$/cancelRequest", json!({ "id": 4_711 }));
    client.tell("$/cancelRequest", json!({ "id": "none" }));
    client.tell("$/cancelRequest", json!({}));
    for id in &asked[2..] {
        let refused = client.answer(*id).expect_err("it was cancelled");
        assert_eq!(refused.0, ErrorCode::RequestCanceled as i32, "{refused:?}");
    }
    for id in &asked[..2] {
        assert!(client.answer(*id).expect("an answer")["contents"]["value"].is_string());
    }
    let after = hover(&mut client, line);
    assert!(client.answer(after).expect("an answer").is_object());
    let again = client.kept(|message| match message {
        Message::Response(response) => asked.iter().any(|id| response.id == RequestId::from(*id)),
        _ => false,
    });
    assert_eq!(again, 0, "a request has one answer");
}

#[test]
fn an_edit_does_not_wait_for_answers_and_they_are_about_one_text() {
    let (text, line) = long("");
    let mut client = Client::new(&[]);
    let statement = |port: u32| format!("allow tcp {port} from 192.0.2.1 to host limit 10/minute\n");
    client.open("site.fw", &format!("{text}{}", statement(7_000)));
    client.published("site.fw");
    let mut new = 0;
    for round in 1..=6 {
        let before = hover(&mut client, line);
        let port = 7_000 + round;
        let place = json!({ "start": { "line": line, "character": 0 }, "end": { "line": line + 1, "character": 0 } });
        client.change("site.fw", json!([{ "range": place, "text": statement(port) }]));
        // It is about the text before the edit or the one behind it, whole.
        let answer = client.answer(before).expect("an answer");
        let said = answer["contents"]["value"].as_str().expect("a text").to_owned();
        let (old, now) = (format!("--dport {}", port - 1), format!("--dport {port}"));
        assert!(said.contains(&old) != said.contains(&now), "{said}");
        new += usize::from(said.contains(&now));
        client.published("site.fw");
    }
    println!("{new} answers were about the text behind the edit");
}

#[test]
fn a_proof_is_given_up_when_its_text_changes() {
    let (text, line) = long("");
    let dead = |port: u32| {
        format!("interface wan = eth0\nallow tcp {port} to host via wan\ndeny tcp {port} from any to host via wan\n")
    };
    let fine = "interface wan = eth0\nallow ssh to host via wan\n";
    let mut client = Client::new(&[]);
    client.open("site.fw", &format!("{text}{fine}"));
    client.published("site.fw");
    let start = Instant::now();
    // Each edit makes another rule dead, before the proof of the one before can have ended.
    for port in 61_000..61_012 {
        client.replace("site.fw", &format!("{text}{}", dead(port)));
    }
    let told = client.until("site.fw", has("FW0352"));
    assert_eq!(
        told.iter().map(|one| one["range"]["start"]["line"].clone()).collect::<Vec<_>>(),
        [json!(line + 2)],
        "{}",
        shown(&told)
    );
    // The last text is what counts in the end.
    client.replace("site.fw", &format!("{text}{fine}"));
    client.until("site.fw", <[Value]>::is_empty);
    assert!(start.elapsed() < Duration::from_secs(50), "{:?}", start.elapsed());
}
