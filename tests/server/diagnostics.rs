//! What is published, when, and where.

use serde_json::{Value, json};

use super::client::{Client, capabilities, has, shown};

/// A policy in which a rule never comes to its turn; that is found by proof alone.
pub const DEAD: &str = "\
interface wan = eth0
to host {
    allow ssh via wan
    allow tcp 1000-1050 via wan
    allow tcp 1051-1100 via wan
    deny tcp 1020-1060 via wan
}
default deny to host
";

#[test]
fn half_typed_text_costs_its_line() {
    let mut client = Client::new(&[]);
    client.open("site.fw", "allow ssh to host\nallow http fr");
    assert_eq!(shown(&client.published("site.fw")), "FW0019 1:11-1:13 several services are a list in braces");
    client.replace("site.fw", "allow ssh to host\nallow http from");
    let told = client.published("site.fw");
    assert!(told.iter().all(|one| one["range"]["start"]["line"] == 1) && !told.is_empty(), "{}", shown(&told));
    client.replace("site.fw", "allow ssh to host\nallow http from any to host");
    assert_eq!(shown(&client.published("site.fw")), "");
}

#[test]
fn what_is_proved_follows() {
    let mut client = Client::new(&[]);
    client.open("site.fw", DEAD);
    assert_eq!(shown(&client.published("site.fw")), "");
    let found = client.published("site.fw");
    let message = "no packet comes to this statement: earlier rules together take all of its packets";
    assert_eq!(shown(&found), format!("FW0801 5:4-5:30 {message}"));
    assert_eq!(found[0]["tags"], json!([1]), "shown pale");
    assert_eq!(found[0]["severity"], 1);
    let related = found[0]["relatedInformation"].as_array().expect("other places");
    let lines: Vec<&Value> = related.iter().map(|one| &one["location"]["range"]["start"]["line"]).collect();
    assert_eq!(lines, [3, 4]);
    // A line above moves it; it is not proved anew before it is told.
    client.replace("site.fw", &format!("# a line\n{DEAD}"));
    assert_eq!(shown(&client.published("site.fw")), format!("FW0801 6:4-6:30 {message}"));
    // Of a policy with an error nothing is proved.
    client.replace("site.fw", &format!("{DEAD}nonsense\n"));
    let told = client.published("site.fw");
    assert!(!has("FW0801")(&told) && !told.is_empty(), "{}", shown(&told));
}

#[test]
fn a_root_is_told_what_its_files_do_to_it() {
    let site = "include \"parts/office.fw\"\nallow ssh from office to host\n";
    let mut client = Client::new(&[("site.fw", site), ("parts/office.fw", "set office = 192.0.2.0/24\n")]);
    client.open("parts/office.fw", "set office = 192.0.2.0/24\n");
    assert_eq!(shown(&client.published("parts/office.fw")), "");
    client.replace("parts/office.fw", "set offices = 192.0.2.0/24\n");
    let told = client.published("site.fw");
    assert_eq!(shown(&told), "FW0114 1:15-1:21 no set or interface is called `office`");
    client.open("site.fw", &site.replace("office to", "offices to"));
    assert_eq!(shown(&client.published("site.fw")), "");
    // What is not saved does not count any more.
    client.close("parts/office.fw");
    let told = client.published("site.fw");
    assert_eq!(shown(&told), "FW0114 1:15-1:22 no set or interface is called `offices`");
}

#[test]
fn what_is_expected_in_a_shared_file_comes_in_one_of_its_policies() {
    let shared = "# fwc: expect(unused-name) -- the other host uses it\nset office = 192.0.2.0/24\n";
    let uses = "include \"shared.fw\"\nallow ssh from office to host\n";
    let site = |name: &str| format!("include \"shared.fw\"\n# {name}\nallow ssh to host\n");
    let mut client = Client::new(&[("a.fw", uses), ("b.fw", &site("b")), ("shared.fw", shared)]);
    // The policy that is open misses it. In the other it comes, but nobody has looked.
    client.open("a.fw", uses);
    client.until("a.fw", <[_]>::is_empty);
    // Its own text leads to both. No policy misses it, some do, all do.
    client.open("shared.fw", shared);
    client.open("b.fw", &site("b"));
    client.until("shared.fw", |told| !has("FW0034")(told));
    client.replace("b.fw", uses);
    let missed = "FW0034 0:14-0:25 `unused-name` is expected here and does not come";
    assert_eq!(shown(&client.until("shared.fw", |told| !told.is_empty())), missed);
    client.replace("a.fw", &site("a"));
    client.until("shared.fw", <[_]>::is_empty);
    client.replace("b.fw", &site("b"));
    client.replace("a.fw", uses);
    client.until("a.fw", <[_]>::is_empty);
    // Nothing of it was said of the shared file meanwhile.
    client.replace("b.fw", uses);
    assert_eq!(shown(&client.until("shared.fw", |told| !told.is_empty())), missed);
}

const COMPOSE: &str = "services:\n  web:\n    image: nginx\n    ports:\n      - \"8080:80\"\n";

#[test]
fn a_published_port_is_shown_where_it_is_published() {
    let site = "use docker\ncompose \"compose.yml\"\nallow ssh to host\ndeny tcp 8080 to host\n";
    let mut client = Client::new(&[("compose.yml", COMPOSE)]);
    client.open("site.fw", site);
    let told = client.until("site.fw", has("FW0301"));
    let one = told.iter().find(|one| one["code"] == "FW0301").expect("told");
    let place = &one["relatedInformation"][0]["location"];
    assert_eq!(place["uri"], client.uri("compose.yml"));
    assert_eq!(place["range"]["start"], json!({ "line": 4, "character": 8 }));
    // In an open buffer the port is another.
    client.open("compose.yml", &COMPOSE.replace("8080", "8081"));
    client.until("site.fw", |told| !has("FW0301")(told));
    client.close("compose.yml");
    client.until("site.fw", has("FW0301"));
    // So it is on disk.
    client.write("compose.yml", &COMPOSE.replace("8080", "8081"));
    client.tell(
        "workspace/didChangeWatchedFiles",
        json!({ "changes": [{ "uri": client.uri("compose.yml"), "type": 2 }] }),
    );
    client.until("site.fw", |told| !has("FW0301")(told));
}

#[test]
fn a_client_that_does_not_watch_files_is_told_of_them_as_well() {
    let mut offered = capabilities();
    offered["workspace"]["didChangeWatchedFiles"] = Value::Null;
    let mut client = Client::with(&[], offered);
    client.open("site.fw", "set office from file \"office.txt\"\nallow ssh from office to host\n");
    client.until("site.fw", |told| !told.is_empty());
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    client.write("office.txt", "192.0.2.0/24\n");
    client.until("site.fw", <[_]>::is_empty);
}

#[test]
fn what_lies_outside_the_folders_that_a_client_watches_is_looked_at() {
    let mut client = Client::new(&[("inner/site.fw", DEAD)]);
    let folder = |name: &str| json!([{ "uri": client.uri(name), "name": "folder" }]);
    let change = json!({ "event": { "removed": folder(""), "added": folder("inner") } });
    client.tell("workspace/didChangeWorkspaceFolders", change);
    client.open("inner/site.fw", DEAD);
    client.until("inner/site.fw", has("FW0801"));
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    client.write("fwc.toml", "[levels]\nshadowed-rule = \"allow\"\n");
    client.until("inner/site.fw", <[_]>::is_empty);
}

#[test]
fn who_asks_for_diagnostics_is_answered_and_not_told_twice() {
    let mut offered = capabilities();
    offered["textDocument"]["diagnostic"] = json!({});
    offered["workspace"]["diagnostics"] = json!({ "refreshSupport": true });
    let mut client = Client::with(&[], offered);
    assert_eq!(client.greeting["capabilities"]["diagnosticProvider"]["interFileDependencies"], true);
    client.open("site.fw", DEAD);
    client.until("site.fw", has("FW0801"));
    let document = json!({ "uri": client.uri("site.fw") });
    let report = client.ask("textDocument/diagnostic", json!({ "textDocument": document })).expect("a report");
    assert_eq!(report["kind"], "full");
    assert!(has("FW0801")(report["items"].as_array().expect("items")));
    assert_eq!(shown(&client.published("site.fw")), "", "what was pushed is taken back");
    let again = json!({ "textDocument": document, "previousResultId": report["resultId"] });
    assert_eq!(client.ask("textDocument/diagnostic", again).expect("a report")["kind"], "unchanged");
    client.replace("site.fw", &DEAD.replace("1051", "1052"));
    loop {
        client.wait(|message| match message {
            lsp_server::Message::Request(request) if request.method == "workspace/diagnostic/refresh" => Some(()),
            _ => None,
        });
        let report = client.ask("textDocument/diagnostic", json!({ "textDocument": document })).expect("a report");
        if !has("FW0801")(report["items"].as_array().expect("items")) {
            break;
        }
    }
}

#[test]
fn a_rule_set_is_diagnosed_as_well() {
    let rules = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j DROP\n-A INPUT -p tcp --dport 22 -j ACCEPT\nthis is none\nCOMMIT\n";
    let mut client = Client::new(&[]);
    client.open("rules.v4", rules);
    let fault = "FW0800 4:0-4:12 `this is none` is no line of a rule set as iptables-save writes it";
    assert_eq!(shown(&client.published("rules.v4")), fault);
    let dead = "FW0801 3:0-3:36 no packet comes to this rule: an earlier rule takes all of its packets";
    assert_eq!(shown(&client.published("rules.v4")), format!("{dead}\n{fault}"));
}

#[test]
fn asserts_of_a_file_of_tests_are_proved() {
    let mut client = Client::new(&[("site.fw", "allow ssh to host\n")]);
    client.open("site.fwtest", "assert deny http to host\nassert deny ssh to host\nallow http to host\n");
    let rule = "FW0825 2:0-2:18 this would change the policy that is tested";
    assert_eq!(shown(&client.published("site.fwtest")), rule);
    client.replace("site.fwtest", "assert deny http to host\nassert deny ssh to host\n");
    let fails = "FW0821 1:0-1:23 this assert fails: some of these connections are allowed";
    // What was proved with the rule may be said until it is proved anew.
    client.until("site.fwtest", |told| shown(told) == fails);
    // The policy in the editor counts, and has no diagnostics of the tests.
    client.open("site.fw", "allow ping to host\n");
    client.until("site.fwtest", |told| !has("FW0821")(told));
}
