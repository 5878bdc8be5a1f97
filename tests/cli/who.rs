//! `fwc who`: tables of policies and of recorded rule sets, what is said to be possible, and the other forms.

use std::path::Path;

use serde_json::Value;

use super::Place;

fn recorded(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rulesets").join(path).to_string_lossy().into_owned()
}

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).join("site.fw").to_string_lossy().into_owned()
}

const POLICY: &str = "use docker
compose \"docker-compose.yml\"
interface wan = eth0
set office = { 198.51.100.0/24, 2001:db8:1::/48 }
set banned live
to host {
    deny from banned
    allow ssh from office limit 10/minute per source
    allow https during mon-fri 08:00-18:00
}
allow postgres from office to container db via wan
";

const COMPOSE: &str = "services:
  db:
    image: postgres
    ports: [\"5432:5432\"]
  cache:
    image: redis
    ports: [\"127.0.0.1:6379:6379\", \"6380:6379\"]
";

const FACTS: &str = "{ \"version\": 1, \"default-route\": \"eth0\",
  \"interfaces\": { \"eth0\": { \"addresses\": [\"203.0.113.10/24\", \"2001:db8::10/64\"] } } }";

fn place() -> Place {
    Place::new(&[("site.fw", POLICY), ("docker-compose.yml", COMPOSE), ("fwc.facts.json", FACTS)])
}

fn table(arguments: &[&str]) -> String {
    let mut all = vec!["who"];
    all.extend(arguments);
    let run = place().run(&all);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(!run.out.contains('\x1b'));
    run.out
}

#[test]
fn a_policy_with_limits_live_sets_and_what_it_does_not_mention() {
    insta::assert_snapshot!("policy", table(&["site.fw"]));
}

#[test]
fn examples() {
    for name in ["vps", "home", "docker-router"] {
        insta::assert_snapshot!(format!("example-{name}"), table(&[&example(name), "--inside", "--outbound"]));
    }
}

#[test]
fn recorded_rule_sets() {
    for (name, files) in
        [("docker", "docker-28.5/b-web"), ("ufw", "ufw-0.36/b-typical"), ("libvirt", "libvirt-11.3-iptables/b-more")]
    {
        let files =
            format!("{}+{}", recorded(&format!("{files}/iptables.save")), recorded(&format!("{files}/ip6tables.save")));
        insta::assert_snapshot!(format!("recorded-{name}"), table(&[&files]));
    }
    insta::assert_snapshot!("recorded-firewalld", table(&[&recorded("firewalld-2.3-nftables/b-public/nft.txt")]));
}

#[test]
fn a_policy_beside_what_was_recorded() {
    let save = recorded("docker-28.5/b-web/iptables.save");
    insta::assert_snapshot!("beside", table(&["site.fw", "--beside", &save]));
}

#[test]
fn json_says_what_the_table_says() {
    let run = place().run(&["who", "site.fw", "--format", "json"]);
    let object: Value = serde_json::from_str(&run.out).expect("JSON");
    assert_eq!(object["version"], 1);
    assert_eq!(object["host"], "site.fw");
    let rows = object["rows"].as_array().expect("rows");
    // `allow … to container … via wan` closes containers on every interface.
    assert!(!rows.iter().any(|row| row["to"]["end"]["name"] == "cache"));
    let db = rows.iter().find(|row| row["to"]["end"]["name"] == "db").expect("the database is reached");
    assert_eq!(db["unmentioned"], false);
    assert_eq!(db["services"][0]["ports"], serde_json::json!([5432, 5432]));
    let ssh = rows.iter().find(|row| row["service"] == "tcp 22 (ssh)").expect("ssh is reached");
    assert_eq!(ssh["from"]["says"], "office");
    assert_eq!(ssh["from"]["addresses"], serde_json::json!(["198.51.100.0/24", "2001:db8:1::/48"]));
    assert_eq!(ssh["limits"], serde_json::json!(["10/minute per source"]));
    assert_eq!(ssh["certain"], false);
    assert_eq!(ssh["through"][0]["line"], 8);
    // What is published on the loopback alone nobody reaches.
    assert!(!run.out.contains("127.0.0.1"));
    assert_eq!(place().run(&["who", "site.fw", "--format", "json"]).out, run.out);
}

#[test]
fn a_page_is_one_file_that_needs_no_other() {
    let place = place();
    let run = place.run(&["who", "site.fw", "-o", "out/exposure.html"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), ""), "{}", run.err);
    let page = std::fs::read_to_string(place.path("out/exposure.html")).expect("the page");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<svg ") && page.contains("container db"));
    for outside in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    let again = place.run(&["who", "site.fw", "--format", "html"]);
    assert_eq!(again.out, page);
}

#[test]
fn names_of_others_do_no_harm() {
    let rules = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp --dport 80 -m comment --comment \"</td><script>alert(1)</script>|*x*\" -j ACCEPT\nCOMMIT\n";
    let place = Place::new(&[("a&<b>.v4", rules)]);
    let page = place.run(&["who", "a&<b>.v4", "--format", "html"]).out;
    assert!(page.contains("a&amp;&lt;b&gt;.v4") && page.contains("&lt;/td&gt;&lt;script&gt;alert"), "{page}");
    assert!(!page.contains("<script>alert"));
    let markdown = place.run(&["who", "a&<b>.v4", "--format", "markdown"]).out;
    assert!(markdown.contains("\\|*x*"), "{markdown}");
}

#[test]
fn what_cannot_be_read_or_written_is_said() {
    let place = Place::new(&[("broken.fw", "allow shh from any to host\n"), ("empty.v4", "")]);
    assert_eq!(place.run(&["who", "broken.fw"]).code, Some(1));
    assert_eq!(place.run(&["who", "nowhere.fw"]).code, Some(2));
    assert_eq!(place.run(&["who", "empty.v4", "-o", "/"]).code, Some(2));
    let open = place.run(&["who", "empty.v4"]);
    assert_eq!(open.code, Some(0));
    assert!(open.out.contains("there are no rules there"), "{}", open.out);
}
