//! What happens on a host while rules are loaded does not change what they say.

use fwc::netfilter::Target;

use super::built::build;
use super::cases::{Case, disagreements, expectations, project};
use super::daemon::Daemon;
use super::dial::{Dial, Line, answers};

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

/// What happens on a host while rules are loaded does not change what they say.
pub fn steadiness(daemon: &mut Daemon, case: &Case, target: Target) -> Vec<String> {
    let expected = expectations(case.expected);
    let dials: Vec<Dial> = expected.iter().map(|(dial, _)| dial.clone()).collect();
    let without = answers(daemon, &dials);
    let mut faults = Vec::new();

    // A ban chain that stands first stays first.
    daemon
        .shell("if iptables -N f2b-sshd 2>/dev/null; then iptables -A f2b-sshd -j RETURN; iptables -I INPUT -j f2b-sshd; fi\n")
        .expect("a ban chain");
    let before = rules(daemon);
    let built = build(&project(daemon, case.policy, true), target).expect("it can be built");
    let office = Dial::parse("peer 10.1.1.1 > tcp 203.0.113.10 8080");
    let stranger = Dial::parse("peer 203.0.113.1 > tcp 203.0.113.10 5432");
    let peer = daemon.namespace("peer").expect("the peer is there");
    let mut lines: Vec<Line> = [&office, &stranger].map(|dial| Line::open(dial, &peer).expect("it answers")).into();

    built.load(daemon).expect("it can be loaded");
    let once = rules(daemon);
    built.load(daemon).expect("it can be loaded");
    if rules(daemon) != once {
        faults.push(format!("{target:?}: loading twice is not loading once:\n{once}\n---\n{}", rules(daemon)));
    }
    let input: Vec<&str> = once.lines().filter(|line| line.starts_with("-A INPUT")).collect();
    if input.first() != Some(&"-A INPUT -j f2b-sshd") {
        faults.push(format!("the ban chain is no longer first: {input:?}"));
    }
    if !lines.iter_mut().all(Line::lives) {
        faults.push(format!("{target:?}: an open connection did not live through loading"));
    }
    // Docker writes its own rules in another order when a container is restarted, so this comes before that.
    built.unload(daemon).expect("it can be taken away");
    let (was, is) = (filled(&before), filled(&rules(daemon)));
    if was != is {
        faults.push(format!("{target:?}: taking away leaves something:\n{}\n---\n{}", was.join("\n"), is.join("\n")));
    }
    built.load(daemon).expect("it can be loaded");
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
    built.load(daemon).expect("it can be loaded");
    check(daemon, "after the jump to DOCKER-USER was lost and made again");

    daemon.restart().expect("the daemon starts again");
    let found = disagreements("after the daemon was restarted", &expected, &without, &answers(daemon, &dials));
    faults.extend(found.into_iter().map(|(_, text)| text));
    built.unload(daemon).expect("it can be taken away");
    faults
}
