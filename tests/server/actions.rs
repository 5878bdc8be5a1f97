//! What the editor offers to do.

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
    assert!(!client.text("site.fw").contains("deny"), "{}", client.text("site.fw"));
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
