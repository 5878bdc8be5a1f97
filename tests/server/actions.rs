//! What the editor offers to do.

use serde_json::{Value, json};

use super::client::{Client, has, shown};

#[test]
fn a_help_is_an_action_that_mends_the_text() {
    let mut client = Client::new(&[]);
    client.open("site.fw", "set office = 192.0.2.0/24\nallow { ping, ssh } from ofice to host\n");
    let wrong = client.published("site.fw");
    assert_eq!(
        shown(&wrong),
        "FW0103 0:4-0:10 nothing uses set `office`\nFW0114 1:25-1:30 no set or interface is called `ofice`"
    );
    let actions = client.actions("site.fw", &wrong[1]["range"]);
    assert_eq!(actions.len(), 1, "{actions:#?}");
    assert_eq!((&actions[0]["kind"], &actions[0]["isPreferred"]), (&"quickfix".into(), &true.into()));
    client.apply(&actions[0]);
    assert_eq!(client.text("site.fw"), "set office = 192.0.2.0/24\nallow { ping, ssh } from office to host\n");
    assert_eq!(shown(&client.published("site.fw")), "");
}

#[test]
fn a_dead_rule_is_deleted() {
    let mut client = Client::new(&[]);
    client.open("site.fw", super::diagnostics::DEAD);
    let found = client.until("site.fw", has("FW0801"));
    let actions = client.actions("site.fw", &found[0]["range"]);
    let delete = actions.iter().find(|action| action["title"].as_str().is_some_and(|title| title.contains("elete")));
    client.apply(delete.expect("an action"));
    assert!(!client.text("site.fw").contains("deny tcp"), "{}", client.text("site.fw"));
    assert_eq!(shown(&client.until("site.fw", <[_]>::is_empty)), "");
}

#[test]
fn a_rule_for_the_host_becomes_one_for_the_container() {
    let compose = "services:\n  web:\n    image: nginx\n    ports:\n      - \"8080:80\"\n";
    let mut client = Client::new(&[("compose.yml", compose)]);
    let site = "use docker\ncompose \"compose.yml\"\nallow ssh to host\ndeny tcp 8080 to host\n";
    client.open("site.fw", site);
    let told = client.until("site.fw", has("FW0301"));
    let one = told.iter().find(|one| one["code"] == "FW0301").expect("told");
    let actions = client.actions("site.fw", &one["range"]);
    let action = actions.iter().find(|action| action["title"] == "Say whom it is meant for").expect("an action");
    client.apply(action);
    assert_eq!(client.text("site.fw"), site.replace("8080 to host", "8080 to container web"));
    client.until("site.fw", |told| !has("FW0301")(told));
}

#[test]
fn statements_are_made_one_and_an_assert_is_added() {
    let mut client = Client::new(&[]);
    client.open("site.fw", "allow ssh from 192.0.2.1 to host\nallow ssh from 192.0.2.2 to host\n");
    assert_eq!(shown(&client.published("site.fw")), "");
    let place = json!({ "start": { "line": 1, "character": 3 }, "end": { "line": 1, "character": 3 } });
    let fold = client.actions("site.fw", &place).into_iter().find(|one| one["kind"] == "refactor.rewrite");
    client.apply(&fold.expect("an action"));
    assert_eq!(client.text("site.fw"), "allow ssh from { 192.0.2.1, 192.0.2.2 } to host\n");
    let place = json!({ "start": { "line": 0, "character": 3 }, "end": { "line": 0, "character": 3 } });
    let asserts: Vec<_> =
        client.actions("site.fw", &place).into_iter().filter(|one| one["kind"] == "refactor").collect();
    assert_eq!(asserts.len(), 2, "{asserts:#?}");
    client.apply(&asserts[1]);
    let asserted = "allow ssh from { 192.0.2.1, 192.0.2.2 } to host\n\nassert deny ssh from not { 192.0.2.1, 192.0.2.2 } to host\n";
    assert_eq!(client.text("site.fw"), asserted);
}

#[test]
fn what_takes_a_proof_is_offered_to_who_asks_for_it() {
    let mut client = Client::new(&[]);
    client.open("site.fw", "allow ssh from 192.0.2.1 to host\nallow ssh from 192.0.2.2 to host\n");
    let document = json!({ "uri": client.uri("site.fw") });
    let at = json!({ "line": 0, "character": 3 });
    let mut kinds = |context: Value| {
        let parameters = json!({ "textDocument": document, "range": { "start": at, "end": at }, "context": context });
        let actions = client.ask("textDocument/codeAction", parameters).expect("actions");
        let kinds =
            actions.as_array().expect("actions").iter().map(|one| one["kind"].as_str().expect("a kind").to_owned());
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(kinds(json!({ "diagnostics": [], "triggerKind": 2 })), ["refactor.rewrite"], "the cursor moved");
    assert_eq!(kinds(json!({ "diagnostics": [], "triggerKind": 1 })), ["refactor.rewrite", "refactor"]);
    assert_eq!(kinds(json!({ "diagnostics": [], "only": ["refactor"] })), ["refactor.rewrite", "refactor"]);
    assert_eq!(kinds(json!({ "diagnostics": [], "only": ["refactor.rewrite"] })), ["refactor.rewrite"]);
    assert_eq!(kinds(json!({ "diagnostics": [], "only": ["quickfix"] })), [""; 0]);
    assert_eq!(kinds(json!({ "diagnostics": [], "only": [""] })).len(), 2);
}

#[test]
fn a_finding_is_expected_in_a_policy_and_in_a_rule_set() {
    let mut client = Client::new(&[]);
    let rules = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n-A INPUT -p tcp -j DROP\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n";
    for (name, text) in [("site.fw", super::diagnostics::DEAD), ("rules.v4", rules)] {
        client.open(name, text);
        let found = client.until(name, has("FW0801"));
        let one = found.iter().find(|one| one["code"] == "FW0801").expect("found");
        let actions = client.actions(name, &one["range"]);
        let action = actions.iter().find(|one| one["title"] == "Expect `shadowed-rule` here, for a reason");
        let action = action.unwrap_or_else(|| panic!("{actions:#?}"));
        assert_eq!((&action["kind"], &action["isPreferred"]), (&json!("quickfix"), &Value::Null));
        client.apply(action);
        assert_eq!(shown(&client.until(name, <[_]>::is_empty)), "");
    }
}
