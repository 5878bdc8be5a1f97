//! Real Docker daemons judge what fwc emits: real clients dial real containers, and who gets an answer is compared with what the
//! policy's sentences say. Each expectation names the rule of the language (`docs/language.md`) that decides it.
//!
//! The installed daemon runs with the other tests. `FWC_DOCKER=all` adds its other set-ups and the daemons of other Debian suites,
//! which are downloaded.

mod daemon;
mod dial;

use std::collections::BTreeMap;
use std::process::Command;

use daemon::{Daemon, Setup};
use dial::{Dial, Line};

/// What a policy says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// It answers as it did without the policy, and without the policy it answers.
    Open,
    /// It does not answer.
    Closed,
    /// It is what it was without the policy.
    Left,
}

/// A policy and what it says.
struct Case {
    name: &'static str,
    policy: &'static str,
    /// Whether it is also built without any facts. Where facts are needed to say what is meant, it is not.
    without_facts: bool,
    /// `WHO [SOURCE] > PROTOCOL ADDRESS PORT = open|closed|left`, and the rule that decides behind `#`.
    expected: &'static str,
}

const CASES: [Case; 9] = [
    Case {
        name: "to host and to container",
        policy: "use docker
allow ssh from 10.1.1.1 to host
allow tcp 8080 from 10.1.1.1 to container via ens33",
        without_facts: true,
        expected: "
peer 10.1.1.1 > tcp 203.0.113.10 22 = open            # 2: the first rule
peer 203.0.113.1 > tcp 203.0.113.10 22 = closed       # 3: a flow with an allow ends in deny
peer 10.1.1.1 > tcp 203.0.113.10 8080 = open          # 2: the second rule; 7: the port that the client dials
peer 203.0.113.1 > tcp 203.0.113.10 8080 = closed     # 3
peer 10.1.1.1 > tcp 203.0.113.10 8443 = closed        # 3
peer 10.1.1.1 > tcp 203.0.113.10 8000 = closed        # 3
peer 10.1.1.1 > tcp 203.0.113.10 5432 = closed        # 3
peer 10.1.1.1 > udp 203.0.113.10 5353 = closed        # 3
peer 10.1.1.1 > tcp 203.0.113.10 8888 = closed        # 4: a container on the host's network is the host
peer 10.1.1.1 > tcp 172.17.0.2 80 = closed            # 7: allow never opens the container's own address
peer 10.1.1.1 > tcp 172.17.0.2 6666 = closed          # 7
peer 2001:db8::1 > tcp 2001:db8::10 22 = closed       # 10: the rule's address is IPv4; 3
peer 2001:db8::1 > tcp 2001:db8::10 8080 = closed     # 7: docker-proxy's road; 3
peer 2001:db8::1 > tcp 2001:db8::10 8086 = closed     # 7, 3
peer 2001:db8::1 > udp 2001:db8::10 5353 = closed     # 7, 3
peer 2001:db8::1 > tcp fd00:6::2 80 = closed          # 7, 3
host > tcp 127.0.0.1 8080 = left                      # 3: nobody speaks of the host's own connections
host > tcp 203.0.113.10 8080 = left
host > tcp ::1 8080 = left
host > tcp 172.17.0.2 443 = left
client > tcp 203.0.113.10 8080 = left                 # 3: nor of containers'
client > tcp 203.0.113.10 22 = left
client > tcp 203.0.113.10 5432 = left
client > tcp 172.18.0.2 5432 = left
neighbour > tcp 172.17.0.2 80 = left
dual > tcp 2001:db8::10 22 = left
",
    },
    Case {
        name: "one sentence alone",
        policy: "allow tcp 8080 from 10.1.1.1 to container via ens33",
        without_facts: true,
        expected: "
peer 10.1.1.1 > tcp 203.0.113.10 8080 = open          # 2
peer 203.0.113.1 > tcp 203.0.113.10 8080 = closed     # 3
peer 203.0.113.1 > tcp 203.0.113.10 5432 = closed     # 3: the rest of containers via ens33 is closed
peer 10.1.1.1 > tcp 172.17.0.2 80 = closed            # 7
peer 2001:db8::1 > tcp 2001:db8::10 8080 = closed     # 7: by docker-proxy, too; 10: the rule's address is IPv4
peer 2001:db8::1 > tcp fd00:6::2 80 = closed          # 7
peer 203.0.113.1 > tcp 203.0.113.10 22 = left         # 3: nobody speaks of the host
peer 2001:db8::1 > tcp 2001:db8::10 22 = left
host > tcp 2001:db8::10 8080 = left
client > tcp 203.0.113.10 8080 = left
",
    },
    Case {
        name: "one sentence alone, other ports by docker-proxy",
        policy: "allow tcp 8080 from 10.1.1.1 to container via ens33",
        without_facts: false,
        expected: "
peer 2001:db8::1 > tcp 2001:db8::10 5432 = closed     # 7, 3
peer 2001:db8::1 > tcp 2001:db8::10 8086 = closed
peer 2001:db8::1 > udp 2001:db8::10 5353 = closed
peer 2001:db8::1 > tcp 2001:db8::10 8888 = left       # 4
",
    },
    Case {
        name: "a deny alone",
        policy: "use docker
deny tcp 5432 from not 10.1.1.1 to container",
        without_facts: true,
        expected: "
peer 10.1.1.1 > tcp 203.0.113.10 5432 = open
peer 203.0.113.1 > tcp 203.0.113.10 5432 = closed     # 2
peer 2001:db8::1 > tcp 2001:db8::10 5432 = closed     # 4: `not` is the rest of the world; 7: by docker-proxy
peer 203.0.113.1 > tcp 203.0.113.10 8080 = open       # 3: without an allow no default
peer 2001:db8::1 > tcp 2001:db8::10 8080 = left
peer 203.0.113.1 > tcp 203.0.113.10 22 = open
client > tcp 203.0.113.10 5432 = left
",
    },
    Case {
        name: "a deny in front of an allow",
        policy: "use docker
allow ssh from 10.1.1.1 to host
deny tcp 8080 from { 203.0.113.1, 2001:db8::1 } to container
allow tcp 8080 from world to container",
        without_facts: true,
        expected: "
peer 10.1.1.1 > tcp 203.0.113.10 8080 = open          # 2: the second rule about containers
peer 203.0.113.1 > tcp 203.0.113.10 8080 = closed     # 2: the first
peer 2001:db8::1 > tcp 2001:db8::10 8080 = closed     # 2, 7: the first, by docker-proxy
peer 2001:db8:1::1 > tcp 2001:db8::10 8080 = left     # 2, 7: the second, by docker-proxy
peer 2001:db8:1::1 > tcp 2001:db8::10 5432 = closed   # 3
",
    },
    Case {
        name: "default deny",
        policy: "use docker
default deny
allow ssh from 10.1.1.1 to host
allow { tcp 8000, tcp 8080 } from { 10.1.1.1, 2001:db8::1 } to container",
        without_facts: true,
        expected: "
peer 10.1.1.1 > tcp 203.0.113.10 22 = open            # 2
peer 10.1.1.1 > tcp 203.0.113.10 8080 = open          # 2
peer 10.1.1.1 > tcp 203.0.113.10 8000 = open          # 7: 6666 inside
peer 203.0.113.1 > tcp 203.0.113.10 8000 = closed     # 3
peer 10.1.1.1 > tcp 203.0.113.10 81 = closed          # 3
peer 10.1.1.1 > tcp 172.17.0.2 80 = closed            # 7
peer 2001:db8::1 > tcp 2001:db8::10 8080 = left       # 7: by docker-proxy; the road does not exist without it
peer 2001:db8::1 > tcp 2001:db8::10 22 = closed       # 3
peer 2001:db8:1::1 > tcp 2001:db8::10 8080 = closed   # 3
peer 2001:db8::1 > tcp 2001:db8::10 5432 = closed     # 3
peer 2001:db8::1 > tcp fd00:6::2 80 = closed          # 7
host > tcp 127.0.0.1 8080 = left                      # 3: from outside only
client > tcp 203.0.113.10 8080 = left
",
    },
    Case {
        name: "from any to container",
        policy: "use docker
allow tcp 8080 from any to container",
        without_facts: false,
        expected: "
peer 203.0.113.1 > tcp 203.0.113.10 8080 = open       # 2, 5
peer 203.0.113.1 > tcp 203.0.113.10 5432 = closed     # 3
peer 2001:db8::1 > tcp 2001:db8::10 8080 = left       # 7: every road
peer 2001:db8::1 > tcp 2001:db8::10 5432 = closed     # 3, 7
host > tcp 127.0.0.1 8080 = left                      # 5: anyone, the host too
host > tcp 203.0.113.10 8080 = left
host > tcp 203.0.113.10 5432 = closed                 # 3
host > tcp ::1 8080 = left
host > tcp 172.17.0.2 443 = left                      # 3: its own address, and everyone was meant
client > tcp 203.0.113.10 8080 = left                 # 5: containers, too
client > tcp 172.18.0.1 8080 = left
client > tcp 203.0.113.10 5432 = closed               # 3
client > tcp 172.18.0.2 5432 = left                   # 3: its own address, and everyone was meant
neighbour > tcp 203.0.113.10 8080 = left
client > tcp 203.0.113.10 22 = left                   # 3: nobody speaks of the host
",
    },
    Case {
        name: "containers ask the host",
        policy: "use docker
allow ssh from container to host
allow tcp 8080 from container to container",
        without_facts: true,
        expected: "
client > tcp 203.0.113.10 22 = open                   # 2
dual > tcp 2001:db8::10 22 = open                     # 10
client > tcp 203.0.113.10 9100 = closed               # 3
client > tcp 203.0.113.10 8080 = left                 # 2: by docker-proxy
neighbour > tcp 203.0.113.10 8080 = left
client > tcp 172.18.0.2 5432 = closed                 # 7
peer 203.0.113.1 > tcp 203.0.113.10 8080 = open       # 3: nobody speaks of outside
peer 203.0.113.1 > tcp 203.0.113.10 22 = open
",
    },
    Case {
        name: "one container by name",
        policy: "use docker
allow tcp 5432 from 10.1.1.1 to container db
deny to container db
allow tcp 8080 to container web via ens33",
        without_facts: false,
        expected: "
peer 10.1.1.1 > tcp 203.0.113.10 5432 = open          # 2
peer 203.0.113.1 > tcp 203.0.113.10 5432 = closed     # 2
peer 10.1.1.1 > tcp 203.0.113.10 81 = closed          # 2: every port of db
peer 2001:db8::1 > tcp 2001:db8::10 5432 = closed     # 7
peer 203.0.113.1 > tcp 203.0.113.10 8080 = open       # 2
peer 2001:db8::1 > tcp 2001:db8::10 8080 = left       # 7: by docker-proxy
peer 203.0.113.1 > tcp 203.0.113.10 8443 = closed     # 3
peer 203.0.113.1 > tcp 203.0.113.10 22 = open         # 3: nobody speaks of the host
",
    },
];

fn expectations(text: &str) -> Vec<(Dial, Expected)> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default()).filter(|line| line.contains('='));
    lines
        .map(|line| {
            let (dial, word) = line.rsplit_once('=').expect("a line has `=`");
            let expected = match word.trim() {
                "open" => Expected::Open,
                "closed" => Expected::Closed,
                "left" => Expected::Left,
                other => panic!("`{other}` is no verdict"),
            };
            (Dial::parse(dial), expected)
        })
        .collect()
}

/// What answers every dial, all at once.
fn answers(daemon: &Daemon, dials: &[Dial]) -> BTreeMap<Dial, Option<String>> {
    let mut places = BTreeMap::new();
    for dial in dials {
        places.entry(dial.party.clone()).or_insert_with(|| daemon.namespace(&dial.party).expect("the party is there"));
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            dials.iter().map(|dial| scope.spawn(|| (dial.clone(), dial.answer(&places[&dial.party])))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client does not fail")).collect()
    })
}

/// What is known about the daemon's host.
fn facts(daemon: &Daemon) -> String {
    format!(
        r#"{{ "version": 1,
  "interfaces": {{ "ens33": {{ "addresses": ["203.0.113.10/24", "2001:db8::10/64"] }} }},
  "default-route": "ens33",
  "docker": {{ "version": "{version}", "firewall-backend": "iptables", "userland-proxy": {proxy}, "iptables": true,
    "ip6tables": {ip6tables}, "swarm": false, "complete": true,
    "networks": {{
      "bridge": {{ "driver": "bridge", "bridge": "docker0", "subnets": ["172.17.0.0/16"], "gateways": ["172.17.0.1"] }},
      "app": {{ "driver": "bridge", "bridge": "br-app", "subnets": ["172.18.0.0/16"], "gateways": ["172.18.0.1"] }},
      "six": {{ "driver": "bridge", "bridge": "br-six", "subnets": ["172.19.0.0/16", "fd00:6::/64"],
        "gateways": ["172.19.0.1", "fd00:6::1"], "ipv6": true }},
      "internal": {{ "driver": "bridge", "bridge": "br-int", "subnets": ["172.20.0.0/16"], "internal": true }},
      "host": {{ "driver": "host" }}
    }},
    "containers": {{
      "web": {{ "networks": ["bridge"], "ports": [
        {{ "protocol": "tcp", "port": 8080, "container-port": 80 }},
        {{ "protocol": "tcp", "address": "127.0.0.1", "port": 9000, "container-port": 80 }},
        {{ "protocol": "tcp", "address": "203.0.113.10", "port": 8443, "container-port": 443 }},
        {{ "protocol": "udp", "port": 5353, "container-port": 53 }},
        {{ "protocol": "tcp", "port": 7000, "last-port": 7001, "container-port": 7000 }},
        {{ "protocol": "tcp", "port": 8000, "container-port": 6666 }}] }},
      "db": {{ "networks": ["app"], "ports": [
        {{ "protocol": "tcp", "port": 5432, "container-port": 5432 }},
        {{ "protocol": "tcp", "port": 81, "container-port": 443 }}] }},
      "dual": {{ "networks": ["six"], "ports": [{{ "protocol": "tcp", "port": 8086, "container-port": 80 }}] }},
      "neighbour": {{ "networks": ["bridge"] }},
      "client": {{ "networks": ["app"] }},
      "private": {{ "networks": ["internal"] }},
      "onhost": {{ "networks": ["host"] }}
    }} }} }}"#,
        version = daemon.version,
        proxy = daemon.setup.userland_proxy,
        // By default off up to 26, on from 27.
        ip6tables = daemon.setup.ip6tables
            || daemon
                .version
                .split('.')
                .next()
                .and_then(|major| major.parse().ok())
                .is_some_and(|major: u32| major > 26),
    )
}

/// What `fwc build` wrote.
struct Built {
    directory: tempfile::TempDir,
    nft: bool,
    /// It said that without facts a road by docker-proxy stays open, or may be closed, and which fact would settle that.
    warned: bool,
}

impl Built {
    fn new(daemon: &Daemon, policy: &str, with_facts: bool, nft: bool) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("site.fw"), policy).expect("it can be written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_fwc"));
        command.arg("build").arg(path("site.fw")).arg("-o").arg(directory.path());
        command.args(["--target", if nft { "nft" } else { "iptables" }]);
        if with_facts {
            std::fs::write(path("facts.json"), facts(daemon)).expect("it can be written");
            command.arg("--facts").arg(path("facts.json"));
        }
        let output = command.output().expect("fwc runs");
        assert!(output.status.success(), "{policy}\n{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stderr);
        let warned = ["[FW0303]", "[FW0304]", "[FW0305]"].iter().any(|code| text.contains(code));
        Self { directory, nft, warned }
    }

    fn text(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.directory.path().join(format!("site.{name}"))).ok()
    }

    fn feed(&self, daemon: &Daemon, name: &str, program: &str, arguments: &[&str]) {
        if let Some(text) = self.text(name) {
            daemon.run(program, arguments, &text).unwrap_or_else(|error| panic!("site.{name}: {error}"));
        }
    }

    /// Loads and attaches, as the files say at their top.
    fn load(&self, daemon: &Daemon) {
        if self.nft {
            return self.feed(daemon, "nft", "nft", &["-f", "-"]);
        }
        self.feed(daemon, "ipset", "ipset", &["restore"]);
        self.feed(daemon, "rules.v4", "iptables-restore", &["-w", "--noflush"]);
        self.feed(daemon, "rules.v6", "ip6tables-restore", &["-w", "--noflush"]);
        self.feed(daemon, "attach", "sh", &["-s"]);
    }

    /// Takes everything away again.
    fn unload(&self, daemon: &Daemon) {
        if self.nft {
            let empty = self.directory.path().join("site.empty.nft");
            if empty.exists() {
                self.feed(daemon, "empty.nft", "nft", &["-f", "-"]);
            }
            daemon.shell("nft delete table inet fwc 2>/dev/null || :\n").expect("the shell runs");
            return;
        }
        self.feed(daemon, "attach", "sh", &["-s", "detach"]);
        self.feed(daemon, "empty.v4", "iptables-restore", &["-w", "--noflush"]);
        self.feed(daemon, "empty.v6", "ip6tables-restore", &["-w", "--noflush"]);
    }
}

/// Whether docker-proxy may take the connection: it goes to an address of the host, and no translation carries it on.
fn by_docker_proxy(dial: &Dial) -> bool {
    const HOST: [&str; 6] = ["203.0.113.10", "2001:db8::10", "127.0.0.1", "::1", "172.17.0.1", "172.18.0.1"];
    let host = HOST.iter().any(|address| address.parse() == Ok(dial.target.ip()));
    host && (dial.target.is_ipv6() || dial.party != "peer")
}

/// Compares; gives a line for every disagreement.
fn disagreements<'d>(
    title: &str,
    expected: &'d [(Dial, Expected)],
    without: &BTreeMap<Dial, Option<String>>,
    with: &BTreeMap<Dial, Option<String>>,
) -> Vec<(&'d Dial, String)> {
    let mut faults = Vec::new();
    for (dial, expected) in expected {
        let (before, now) = (&without[dial], &with[dial]);
        let right = match expected {
            Expected::Open => before.is_some() && before == now,
            Expected::Closed => now.is_none(),
            Expected::Left => before == now,
        };
        if !right {
            let text =
                format!("{title}: {dial:?} is {expected:?}, but answers {now:?} (without the policy {before:?})");
            faults.push((dial, text));
        }
    }
    faults
}

/// Every policy, by both targets, with and without facts.
fn verdicts(daemon: &Daemon) -> Vec<String> {
    let dials: Vec<Dial> = {
        let all = CASES.iter().flat_map(|case| expectations(case.expected)).map(|(dial, _)| dial);
        let unique: std::collections::BTreeSet<Dial> = all.collect();
        unique.into_iter().collect()
    };
    let without = answers(daemon, &dials);
    let mut faults = Vec::new();
    let (mut count, mut closed) = (0, 0);
    for case in &CASES {
        let expected = expectations(case.expected);
        let dials: Vec<Dial> = expected.iter().map(|(dial, _)| dial.clone()).collect();
        for nft in [false, true] {
            for with_facts in [true, false] {
                if !with_facts && !case.without_facts {
                    continue;
                }
                let built = Built::new(daemon, case.policy, with_facts, nft);
                built.load(daemon);
                let with = answers(daemon, &dials);
                built.unload(daemon);
                let target = if nft { "nft" } else { "iptables" };
                let known = if with_facts { "facts" } else { "no facts" };
                let title = format!("{}, {target}, {known}", case.name);
                let found = disagreements(&title, &expected, &without, &with);
                // One text cannot be right for every host on a road by docker-proxy, and the build has said so.
                let (announced, wrong): (Vec<_>, Vec<_>) =
                    found.into_iter().partition(|(dial, _)| built.warned && !with_facts && by_docker_proxy(dial));
                for (_, one) in &announced {
                    println!("announced: {one}");
                }
                faults.extend(wrong.into_iter().map(|(_, one)| one));
                count += expected.len();
                closed += expected
                    .iter()
                    .filter(|(dial, expected)| *expected == Expected::Closed && without[dial].is_some())
                    .count();
            }
        }
    }
    println!(
        "{} {}: {count} connections, {closed} that only the policy closes, {} disagreements",
        daemon.setup.name,
        daemon.version,
        faults.len()
    );
    faults
}

/// The rules of everybody but us, as they are saved.
fn rules(daemon: &Daemon) -> String {
    let script = "for program in iptables ip6tables; do $program-save; done";
    let text = daemon.shell(script).expect("rules can be saved");
    let ours = |line: &&str| {
        // Chains that are ours and empty stay; so do the tables that hold nothing else, and counters count.
        !line.starts_with('#') && !line.starts_with(":fwc-")
    };
    text.lines().filter(ours).map(|line| line.split(" [").next().unwrap_or(line).to_owned() + "\n").collect()
}

/// The tables of a listing that hold a rule or a chain of somebody's.
fn filled(rules: &str) -> Vec<String> {
    let tables = rules.split("COMMIT\n");
    let is_filled = |table: &&str| table.lines().any(|line| line.starts_with("-A") || line.ends_with(" -"));
    tables.filter(is_filled).map(str::to_owned).collect()
}

const STEADY: usize = 0;

/// What happens on a host while rules are loaded does not change what they say.
fn steadiness(daemon: &mut Daemon) -> Vec<String> {
    let case = &CASES[STEADY];
    let expected = expectations(case.expected);
    let dials: Vec<Dial> = expected.iter().map(|(dial, _)| dial.clone()).collect();
    let without = answers(daemon, &dials);
    let mut faults = Vec::new();

    // A ban chain that stands first stays first.
    daemon
        .shell("iptables -N f2b-sshd; iptables -A f2b-sshd -j RETURN; iptables -I INPUT -j f2b-sshd\n")
        .expect("a ban chain");
    let before = rules(daemon);
    let built = Built::new(daemon, case.policy, true, false);
    let office = Dial::parse("peer 10.1.1.1 > tcp 203.0.113.10 8080");
    let stranger = Dial::parse("peer 203.0.113.1 > tcp 203.0.113.10 5432");
    let peer = daemon.namespace("peer").expect("the peer is there");
    let mut lines: Vec<Line> = [&office, &stranger].map(|dial| Line::open(dial, &peer).expect("it answers")).into();

    built.load(daemon);
    let once = rules(daemon);
    built.load(daemon);
    if rules(daemon) != once {
        faults.push(format!("loading twice is not loading once:\n{once}\n---\n{}", rules(daemon)));
    }
    let input: Vec<&str> = once.lines().filter(|line| line.starts_with("-A INPUT")).collect();
    if input.first() != Some(&"-A INPUT -j f2b-sshd") {
        faults.push(format!("the ban chain is no longer first: {input:?}"));
    }
    if !lines.iter_mut().all(Line::lives) {
        faults.push("an open connection did not live through loading".to_owned());
    }
    // Docker writes its own rules in another order when a container is restarted, so this comes before that.
    built.unload(daemon);
    let (was, is) = (filled(&before), filled(&rules(daemon)));
    if was != is {
        faults.push(format!("taking away leaves something:\n{}\n---\n{}", was.join("\n"), is.join("\n")));
    }
    built.load(daemon);
    let mut check = |daemon: &Daemon, title: &str| {
        let found = disagreements(title, &expected, &without, &answers(daemon, &dials));
        faults.extend(found.into_iter().map(|(_, text)| text));
    };
    check(daemon, "after loading twice");

    daemon.docker("restart -t 0 web").expect("a container can be restarted");
    daemon.serve("web").expect("it answers again");
    check(daemon, "after a container was restarted");

    daemon.docker("network create later").expect("a network can be made");
    check(daemon, "after a network was made");
    daemon.docker("network rm later").expect("a network can be removed");

    daemon
        .shell("while iptables -D FORWARD -j DOCKER-USER 2>/dev/null; do :; done\n")
        .expect("the jump can be deleted");
    built.load(daemon);
    check(daemon, "after the jump to DOCKER-USER was lost and made again");

    daemon.restart().expect("the daemon starts again");
    let found = disagreements("after the daemon was restarted", &expected, &without, &answers(daemon, &dials));
    faults.extend(found.into_iter().map(|(_, text)| text));
    faults
}

fn judge(setup: Setup) {
    let mut daemon = match Daemon::start(setup) {
        Ok(daemon) => daemon,
        Err(reason) => {
            println!("skipped: docker {}: {reason}", setup.name);
            return;
        }
    };
    let mut faults = verdicts(&daemon);
    faults.extend(steadiness(&mut daemon));
    drop(daemon);
    assert!(faults.is_empty(), "{} disagreements\n{}", faults.len(), faults.join("\n"));
}

/// Other set-ups, and daemons that are downloaded, run only when they are asked for: each takes a minute.
fn wanted(setup: Setup) {
    if std::env::var("FWC_DOCKER").as_deref() == Ok("all") {
        judge(setup);
    } else {
        println!("skipped: docker {}: FWC_DOCKER is not `all`", setup.name);
    }
}

const INSTALLED: Setup =
    Setup { name: "installed", suite: None, userland_proxy: true, ip6tables: false, legacy: false };

#[test]
fn installed_daemon_agrees() {
    judge(INSTALLED);
}

#[test]
fn installed_daemon_with_ip6tables_agrees() {
    wanted(Setup { name: "ip6tables", ip6tables: true, ..INSTALLED });
}

#[test]
fn installed_daemon_without_proxy_agrees() {
    wanted(Setup { name: "noproxy", userland_proxy: false, ..INSTALLED });
}

#[test]
fn installed_daemon_with_legacy_rules_agrees() {
    wanted(Setup { name: "legacy", legacy: true, ..INSTALLED });
}

#[test]
fn trixie_daemon_agrees() {
    wanted(Setup { name: "trixie", suite: Some("trixie"), ..INSTALLED });
}

#[test]
fn sid_daemon_agrees() {
    wanted(Setup { name: "sid", suite: Some("sid"), ..INSTALLED });
}

#[test]
fn sid_daemon_without_proxy_agrees() {
    wanted(Setup { name: "sid-noproxy", suite: Some("sid"), userland_proxy: false, ..INSTALLED });
}

#[test]
fn a_dial_reads_as_it_is_written() {
    let dial = Dial::parse("peer 10.1.1.1 > udp 203.0.113.10 5353");
    assert!(dial.datagram && dial.source == Some("10.1.1.1".parse().expect("an address")) && dial.party == "peer");
}
