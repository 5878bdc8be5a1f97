//! A network namespace of a test's own. Linux keeps the network namespace by thread, so each one is a thread: what
//! the thread opens and the programs that it starts live inside, and it is gone when the thread ends.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::IpAddr;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto, socket,
};
use std::os::fd::{AsRawFd, OwnedFd};

use super::tap::Tap;

/// One card of the host that a namespace stands for.
#[derive(Clone, Debug, Default)]
pub struct CardPlan {
    /// The interface's name.
    pub name: String,
    /// Addresses with prefix lengths.
    pub addresses: Vec<ipnet::IpNet>,
}

/// The host that a namespace stands for.
#[derive(Clone, Debug, Default)]
pub struct HostPlan {
    /// Its cards.
    pub cards: Vec<CardPlan>,
    /// The card that both default routes leave by.
    pub default_route: String,
}

impl HostPlan {
    /// Reads `ens33 203.0.113.10/24 2001:db8::10/64`, a line a card; the first card has the default route.
    pub fn parse(text: &str) -> Self {
        let mut plan = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut words = line.split_whitespace();
            let name = words.next().expect("a line has a name").to_owned();
            let addresses = words.map(|word| word.parse().expect("an address with its prefix length")).collect();
            plan.cards.push(CardPlan { name, addresses });
        }
        plan.default_route = plan.cards.first().expect("a host has a card").name.clone();
        plan
    }

    /// Whether the host has an interface of that name.
    pub fn has(&self, name: &str) -> bool {
        self.cards.iter().any(|card| card.name == name)
    }

    /// Whether `address` is one of the host's own.
    pub fn owns(&self, address: IpAddr) -> bool {
        self.cards.iter().flat_map(|card| &card.addresses).any(|net| net.addr() == address)
    }

    /// Whether `address` is the host's own, or the first or last of a subnet that it is on (anycast and broadcast).
    pub fn is_edge(&self, address: IpAddr) -> bool {
        let mut nets = self.cards.iter().flat_map(|card| &card.addresses);
        nets.any(|net| [net.addr(), net.network(), net.broadcast()].contains(&address))
    }

    /// The card that the route to `address` leaves by.
    pub fn route(&self, address: IpAddr) -> &str {
        let mut best: Option<(u8, &str)> = None;
        for card in &self.cards {
            for net in card.addresses.iter().filter(|net| net.contains(&address)) {
                if best.is_none_or(|(length, _)| net.prefix_len() > length) {
                    best = Some((net.prefix_len(), &card.name));
                }
            }
        }
        best.map_or(&self.default_route, |(_, name)| name)
    }
}

/// The namespace, as the code inside its thread sees it.
pub struct Namespace {
    /// The host's cards.
    pub plan: HostPlan,
    /// Their device files, in the plan's order.
    pub taps: Vec<Tap>,
    /// Whose Ethernet addresses frames carry that are for others than the host.
    pub neighbours: BTreeMap<IpAddr, [u8; 6]>,
    conntrack: OwnedFd,
    directory: tempfile::TempDir,
}

/// Does the jobs a few at a time: most of what they do is wait for programs that they start. The results are in the jobs' order.
pub fn side_by_side<J: Sync, R: Send>(jobs: &[J], work: impl Fn(&J) -> R + Sync) -> Vec<R> {
    at_once(4, jobs, work)
}

/// As [`side_by_side`], so many at a time.
pub fn at_once<J: Sync, R: Send>(workers: usize, jobs: &[J], work: impl Fn(&J) -> R + Sync) -> Vec<R> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(job) = jobs.get(at) else { return done };
            done.push((at, work(job)));
        }
    };
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, Vec<(usize, R)>>| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        workers.into_iter().flat_map(join).collect()
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Runs `body` in a new network namespace that looks like `plan`. Says `skipped: NAME: reason` and gives `None` where the
/// kernel or the user's rights do not allow it.
pub fn inside<T: Send>(name: &str, plan: &HostPlan, body: impl FnOnce(&mut Namespace) -> T + Send) -> Option<T> {
    let result = std::thread::scope(|scope| {
        let thread = scope.spawn(|| match Namespace::enter(plan.clone()) {
            Ok(mut namespace) => Ok(body(&mut namespace)),
            Err(reason) => Err(reason),
        });
        thread.join()
    });
    match result {
        Ok(Ok(value)) => Some(value),
        Ok(Err(reason)) => {
            println!("skipped: {name}: {reason}");
            None
        }
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Sets one of the network's settings: what stands below /proc/sys/net is that of the thread that opens it.
fn set(setting: &str, value: &str) -> Result<(), String> {
    let path = format!("/proc/sys/net/{setting}");
    std::fs::write(&path, format!("{value}\n")).map_err(|error| format!("{path}: {error}"))
}

impl Namespace {
    fn enter(plan: HostPlan) -> Result<Self, String> {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("no new network namespace: {error}"))?;
        let directory = tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
        let mut taps = Vec::new();
        for card in &plan.cards {
            taps.push(Tap::open(&card.name).map_err(|error| format!("no tap device `{}`: {error}", card.name))?);
        }
        let conntrack =
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter)
                .map_err(|error| format!("no netfilter netlink socket: {error}"))?;
        bind(conntrack.as_raw_fd(), &NetlinkAddr::new(0, 0)).map_err(|error| format!("netlink: {error}"))?;
        let mut namespace = Self { plan, taps, neighbours: BTreeMap::new(), conntrack, directory };
        namespace.configure()?;
        Ok(namespace)
    }

    fn configure(&mut self) -> Result<(), String> {
        // No packet of the kernel's own accord may appear among the test's: no multicast, no link-local addresses. A card that
        // can do multicast when forwarding begins would join the groups of routers, and report them from time to time.
        let cards: Vec<String> = self.plan.cards.iter().map(|card| card.name.clone()).collect();
        let lines = |line: &dyn Fn(&str) -> String| cards.iter().map(|name| line(name)).collect::<String>();
        let quiet = lines(&|name| format!("link set {name} arp off multicast off addrgenmode none\n"));
        self.run("ip", &["-batch", "-"], &quiet)?;
        // A card with a queue puts a packet off while another processor serves the queue: it would come out when nobody looks any
        // more, as if it had been dropped.
        self.run("tc", &["-batch", "-"], &lines(&|name| format!("qdisc replace dev {name} root noqueue\n")))?;
        // No answer may be held back, so no ICMP rate limit. And any source may come in anywhere: routing is the test's.
        for (setting, value) in [
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/default/rp_filter", "0"),
            ("ipv4/conf/all/send_redirects", "0"),
            ("ipv4/conf/default/send_redirects", "0"),
            ("ipv4/icmp_ratemask", "0"),
            ("ipv4/icmp_ratelimit", "0"),
            ("ipv6/icmp/ratelimit", "0"),
            ("ipv6/icmp/ratemask", ""),
            ("ipv6/auto_flowlabels", "0"),
            ("ipv6/conf/default/accept_ra", "0"),
            ("ipv6/conf/default/accept_dad", "0"),
            ("ipv6/conf/default/router_solicitations", "0"),
            ("ipv6/conf/all/forwarding", "1"),
            ("ipv4/ip_forward", "1"),
        ] {
            set(setting, value)?;
        }
        let mut script = String::from("link set lo up\n");
        for card in &self.plan.cards {
            let name = &card.name;
            set(&format!("ipv4/conf/{name}/rp_filter"), "0")?;
            set(&format!("ipv4/conf/{name}/send_redirects"), "0")?;
            script += &format!("link set {name} up\n");
            for address in &card.addresses {
                script += &format!("addr add {address} dev {name}");
                script += if address.addr().is_ipv6() { " nodad\n" } else { "\n" };
            }
        }
        script += &format!("route add 0.0.0.0/0 dev {0}\nroute add ::/0 dev {0}\n", self.plan.default_route);
        self.run("ip", &["-batch", "-"], &script)?;
        // These exist only once connection tracking is in use here.
        self.run("nft", &["-f", "-"], "table inet packet-oracle { chain tracked { ct state invalid accept; }; }")?;
        set("netfilter/nf_conntrack_tcp_loose", "0")
    }

    /// Runs a program inside, with `input` on its standard input; gives its standard output, or what it complained of.
    pub fn run(&self, program: &str, arguments: &[&str], input: &str) -> Result<String, String> {
        self.run_with(program, arguments, input, &[])
    }

    /// As [`Namespace::run`], with more environment variables.
    pub fn run_with(
        &self,
        program: &str,
        arguments: &[&str],
        input: &str,
        environment: &[(&str, &str)],
    ) -> Result<String, String> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
            // iptables-legacy's lock is one file for all namespaces unless it is told otherwise.
            .env("XTABLES_LOCKFILE", self.directory.path().join("xtables.lock"))
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
        let mut stdin = child.stdin.take().expect("its input is a pipe");
        let output = std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(input.as_bytes()));
            let mut errors = child.stderr.take().expect("its errors are a pipe");
            let errors = scope.spawn(move || {
                let mut text = String::new();
                let _ = errors.read_to_string(&mut text);
                text
            });
            let mut text = String::new();
            let _ = child.stdout.take().expect("its output is a pipe").read_to_string(&mut text);
            (text, errors.join().expect("reading a pipe does not fail"))
        });
        let status = child.wait().map_err(|error| format!("{program}: {error}"))?;
        if status.success() {
            Ok(output.0)
        } else {
            Err(format!("{program} {}: {status}: {}{}", arguments.join(" "), output.1, output.0))
        }
    }

    /// Takes every rule away, those of the setting up, too: while any asks for connections, the kernel tracks them.
    pub fn forget_rules(&self) {
        self.run("nft", &["flush", "ruleset"], "").expect("it can be emptied");
    }

    /// Forgets every tracked connection.
    pub fn forget_connections(&self) {
        // nlmsghdr { length 20, CTNETLINK << 8 | DELETE, REQUEST | ACK, sequence 1, port 0 }, nfgenmsg { any, 0, 0 }.
        let mut request = [0u8; 20];
        request[0..4].copy_from_slice(&20u32.to_ne_bytes());
        request[4..6].copy_from_slice(&0x0102u16.to_ne_bytes());
        request[6..8].copy_from_slice(&0x0005u16.to_ne_bytes());
        request[8..12].copy_from_slice(&1u32.to_ne_bytes());
        let socket = self.conntrack.as_raw_fd();
        sendto(socket, &request, &NetlinkAddr::new(0, 0), MsgFlags::empty()).expect("netlink takes the request");
        let mut answer = [0u8; 256];
        let length = recv(socket, &mut answer, MsgFlags::empty()).expect("netlink answers");
        let error = i32::from_ne_bytes(answer[16..20].try_into().expect("four bytes"));
        assert!(length >= 20 && error == 0, "conntrack entries could not be deleted: error {error}");
    }
}
