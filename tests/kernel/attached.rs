//! What the attach script makes in chains of others, and that `detach` leaves the rules of before, whatever earlier builds made.

use super::emitted::{Backend, Files, build, load};
use super::namespace::{HostPlan, Namespace, inside};

const CARDS: &str = "eth0 203.0.113.10/24 2001:db8::10/64
    eth1 192.168.2.1/24 fd00:2::1/64";

/// A policy that needs every kind of hook, and with nft the accept in DOCKER-USER.
const MANY: &str = "use docker
interface wan = eth0
interface lan = eth1
allow ssh from lan to host
allow tcp 443 to container
masquerade from lan to wan
mark 0x1 from lan to wan
deny from 198.51.100.0/24 early
allow from lan to world
";

/// The policy after an edit that leaves one hook.
const FEW: &str = "allow ssh from 10.0.0.0/8 to host\n";

fn files(text: &str, backend: Backend) -> Files {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("site.fw");
    std::fs::write(&path, text).expect("a file in a temporary directory");
    build(&path, None, backend.target()).expect("it builds")
}

/// Runs the attach script of a build.
pub(super) fn attach(namespace: &Namespace, files: &Files, backend: Backend, action: &str) {
    let (_, script) = files.iter().find(|(name, _)| name.ends_with(".attach")).expect("every build has the script");
    let commands = ["iptables", "ip6tables"].map(|program| format!("{program}-{}", backend.variant()));
    let [v4, v6] = &commands;
    let environment = [("IPTABLES", v4.as_str()), ("IP6TABLES", v6.as_str())];
    namespace.run_with("sh", &["-s", action], script, &environment).unwrap_or_else(|error| panic!("{action}: {error}"));
}

/// Rules and chains of both families. A table that holds nothing but empty built-in chains is as good as absent.
pub(super) fn rules(namespace: &Namespace, backend: Backend) -> Vec<String> {
    let mut lines = Vec::new();
    for program in ["iptables", "ip6tables"] {
        let text = namespace.run(&format!("{program}-{}-save", backend.variant()), &[], "").expect("rules are listed");
        let mut table = "";
        for line in text.lines().filter(|line| !line.starts_with('#') && *line != "COMMIT") {
            match line.strip_prefix('*') {
                Some(name) => table = name,
                None => {
                    let line = line.split(" [").next().unwrap_or(line);
                    let idle = line.starts_with(':') && line.ends_with(" ACCEPT");
                    lines.extend((!idle).then(|| format!("{program} {table} {line}")));
                }
            }
        }
    }
    lines.sort();
    lines
}

/// The rules of one chain, in their order.
fn chain(namespace: &Namespace, backend: Backend, chain: &str) -> Vec<String> {
    let text = namespace.run(&format!("iptables-{}", backend.variant()), &["-S", chain], "").expect("rules are listed");
    let start = format!("-A {chain} ");
    text.lines().filter_map(|line| line.strip_prefix(&start)).map(str::to_owned).collect()
}

fn iptables(namespace: &Namespace, backend: Backend, words: &str) {
    let words: Vec<&str> = words.split(' ').collect();
    namespace.run(&format!("iptables-{}", backend.variant()), &words, "").expect("the test's own rule");
}

/// Tables of iptables-legacy that are alive.
fn living(namespace: &Namespace) -> String {
    namespace
        .run("sh", &["-c", "cat /proc/net/ip_tables_names /proc/net/ip6_tables_names 2>/dev/null || :"], "")
        .expect("sh")
}

#[test]
fn detach_takes_away_what_any_earlier_build_attached() {
    let plan = HostPlan::parse(CARDS);
    for &backend in Backend::ALL {
        let name = format!("detach_takes_away_what_any_earlier_build_attached, {backend:?}");
        let (many, few) = (files(MANY, backend), files(FEW, backend));
        inside(&name, &plan, |namespace| {
            namespace.forget_rules();
            iptables(namespace, backend, "-A FORWARD -s 198.51.100.7 -j DROP");
            let (before, alive) = (rules(namespace, backend), living(namespace));
            load(namespace, &few, backend).expect("it loads");
            attach(namespace, &few, backend, "detach");
            assert_eq!(rules(namespace, backend), before, "{name}: a build of one hook");
            if backend == Backend::IptablesLegacy {
                assert!(!living(namespace).contains("nat"), "{name}: {alive} became {}", living(namespace));
            }
            load(namespace, &many, backend).expect("it loads");
            load(namespace, &few, backend).expect("it loads");
            let kept = rules(namespace, backend);
            let foreign = |line: &&String| !line.contains(" -A fwc-") && line.contains("fwc-") && line.contains(" -A ");
            let jumps: Vec<&String> = kept.iter().filter(foreign).collect();
            let wanted = if backend == Backend::Nft { 0 } else { 2 };
            assert_eq!(jumps.len(), wanted, "{name}: the edit keeps the jumps to the host's hook alone: {jumps:?}");
            assert!(!kept.iter().any(|line| line.contains("DOCKER-USER")), "{name}: {kept:?}");
            attach(namespace, &few, backend, "detach");
            assert_eq!(rules(namespace, backend), before, "{name}: after an edit");
            load(namespace, &many, backend).expect("it loads");
            attach(namespace, &few, backend, "detach");
            assert_eq!(rules(namespace, backend), before, "{name}: by the script of another build");
        });
    }
}

#[test]
fn attaching_again_puts_a_jump_back_after_the_bans() {
    let plan = HostPlan::parse(CARDS);
    for &backend in Backend::IPTABLES {
        let name = format!("attaching_again_puts_a_jump_back_after_the_bans, {backend:?}");
        let files = files(FEW, backend);
        inside(&name, &plan, |namespace| {
            namespace.forget_rules();
            iptables(namespace, backend, "-N f2b-sshd");
            iptables(namespace, backend, "-A INPUT -i lo -j ACCEPT");
            iptables(namespace, backend, "-A INPUT -p tcp -j f2b-sshd");
            load(namespace, &files, backend).expect("it loads");
            assert_eq!(chain(namespace, backend, "INPUT"), ["-i lo -j ACCEPT", "-p tcp -j f2b-sshd", "-j fwc-input"]);
            // A daemon that restarts puts its own rule in front, another bans behind.
            iptables(namespace, backend, "-I INPUT 1 -s 198.51.100.7 -j ACCEPT");
            iptables(namespace, backend, "-A INPUT -p udp -j f2b-sshd");
            attach(namespace, &files, backend, "attach");
            let wanted = [
                "-s 198.51.100.7/32 -j ACCEPT",
                "-i lo -j ACCEPT",
                "-p tcp -j f2b-sshd",
                "-p udp -j f2b-sshd",
                "-j fwc-input",
            ];
            assert_eq!(chain(namespace, backend, "INPUT"), wanted);
            for ban in ["-p tcp", "-p udp"] {
                iptables(namespace, backend, &format!("-D INPUT {ban} -j f2b-sshd"));
            }
            attach(namespace, &files, backend, "attach");
            let wanted = ["-j fwc-input", "-s 198.51.100.7/32 -j ACCEPT", "-i lo -j ACCEPT"];
            assert_eq!(chain(namespace, backend, "INPUT"), wanted);
        });
    }
}
