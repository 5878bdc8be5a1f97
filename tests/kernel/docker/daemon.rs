//! A real Docker daemon in a network namespace of its own, with another host on the link, for as long as a test runs.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

use super::site::{self, CONTAINERS, Container, NEIGHBOURS, NETWORKS};

/// Which daemon, and how it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// What the test calls it.
    pub name: &'static str,
    /// The Debian suite that it comes from; the installed one where there is none.
    pub suite: Option<&'static str>,
    /// Whether docker-proxy carries what NAT does not.
    pub userland_proxy: bool,
    /// Whether Docker is told to write IPv6 rules; by default it does so from version 27.
    pub ip6tables: Option<bool>,
    /// Whether Docker writes rules at all.
    pub iptables: bool,
    /// Whether packets between two containers on one bridge pass the host's hooks.
    pub bridge_netfilter: bool,
    /// Whether its rules are iptables-legacy's.
    pub legacy: bool,
}

/// A running daemon.
pub struct Daemon {
    pub setup: Setup,
    /// The version that it says it has.
    pub version: String,
    directory: tempfile::TempDir,
    root: Option<PathBuf>,
    host: String,
    process: Option<Child>,
}

/// What every container listens at.
const TCP: [u16; 6] = [80, 443, 5432, 6666, 7000, 7001];

impl Daemon {
    /// Starts it with networks and containers, or says why that cannot be done here.
    pub fn start(setup: Setup) -> Result<Self, String> {
        let owner = std::fs::metadata("/proc/self").map_err(|error| error.to_string())?;
        if std::os::unix::fs::MetadataExt::uid(&owner) != 0 {
            return Err("not root".to_owned());
        }
        for program in ["docker", "ip", "nsenter", "busybox", "tar", "iptables", "nft"] {
            which(program)?;
        }
        let directory = tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
        let root = match setup.suite {
            Some(suite) => Some(debian(suite)?),
            None => {
                which("dockerd")?;
                None
            }
        };
        let host = format!("fwc{}-{}", std::process::id(), setup.name.replace('.', ""));
        let mut daemon = Self { setup, version: String::new(), directory, root, host, process: None };
        daemon.link()?;
        daemon.launch()?;
        daemon.version = daemon.docker("version --format {{.Server.Version}}")?.trim().to_owned();
        daemon.populate()?;
        Ok(daemon)
    }

    fn path(&self, name: &str) -> PathBuf {
        match &self.root {
            // A chroot's daemon sees only what lies in it.
            Some(root) => root.join("tmp").join(format!("{}-{name}", self.host)),
            None => self.directory.path().join(name),
        }
    }

    /// The same file, as the daemon sees it.
    fn inner(&self, name: &str) -> String {
        match &self.root {
            Some(_) => format!("/tmp/{}-{name}", self.host),
            None => self.path(name).display().to_string(),
        }
    }

    /// The host's cards, and its neighbours.
    fn link(&self) -> Result<(), String> {
        run(Command::new("sh").arg("-s"), &site::links(&self.host))
            .map(|_| ())
            .map_err(|error| format!("no namespaces: {error}"))
    }

    /// Starts dockerd and waits until it answers.
    fn launch(&mut self) -> Result<(), String> {
        let flag = |yes: bool| if yes { "true" } else { "false" };
        let mut options = vec![
            format!("--data-root={}", self.inner("data")),
            format!("--exec-root={}", self.inner("exec")),
            format!("--host=unix://{}", self.inner("docker.sock")),
            format!("--pidfile={}", self.inner("docker.pid")),
            format!("--userland-proxy={}", flag(self.setup.userland_proxy)),
        ];
        if let Some(yes) = self.setup.ip6tables {
            options.extend(["--experimental".to_owned(), format!("--ip6tables={}", flag(yes))]);
        }
        if !self.setup.iptables {
            options.push("--iptables=false".to_owned());
        }
        let log = std::fs::File::create(self.directory.path().join("log")).map_err(|error| error.to_string())?;
        let mut command = self.on_host("dockerd");
        command.args(options).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().map_err(|error| format!("dockerd: {error}"))?);
        let limit = Instant::now() + Duration::from_secs(60);
        while self.docker("version").is_err() {
            if Instant::now() > limit {
                let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
                return Err(format!("dockerd does not start: {}", log.lines().last().unwrap_or_default()));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    fn populate(&self) -> Result<(), String> {
        let image = self.directory.path().join("image");
        std::fs::create_dir_all(image.join("bin")).map_err(|error| error.to_string())?;
        std::fs::copy(which("busybox")?, image.join("bin/busybox")).map_err(|error| error.to_string())?;
        let image = image.display();
        let socket = self.path("docker.sock");
        let import = format!("tar -C {image} -c . | docker -H unix://{} import - fwc-test", socket.display());
        run(Command::new("sh").arg("-c").arg(import), "")?;
        for network in NETWORKS.iter().skip(1) {
            self.docker(&network.creation())?;
        }
        // Docker may turn these on, and is not asked to: forwarding before it starts would change its policy of FORWARD.
        let bridged = u8::from(self.setup.bridge_netfilter);
        self.shell(&format!(
            "cd /proc/sys/net
echo 1 >ipv6/conf/all/forwarding
echo {bridged} >bridge/bridge-nf-call-iptables
echo {bridged} >bridge/bridge-nf-call-ip6tables
"
        ))?;
        for container in &CONTAINERS {
            let publishes: String = container.publishes.iter().map(|port| format!("-p {port} ")).collect();
            let name = container.name;
            let options = format!("--name {name} --network {} {publishes}", container.network);
            self.docker(&format!("run -d {options} fwc-test /bin/busybox sleep 1000000"))?;
            if name != "onhost" {
                self.serve(name)?;
            }
        }
        for neighbour in &NEIGHBOURS {
            serve(self.namespace(neighbour.name)?, neighbour.name, &[22, 80, 443], 53)?;
        }
        serve(self.namespace("host")?, "host", &[22, 8888, 9100], 54)?;
        self.settle()
    }

    /// Waits until no IPv6 address is still being looked for on its link: before that it cannot be used.
    fn settle(&self) -> Result<(), String> {
        for party in ["host", "dual", "mail"] {
            let enter = format!("--net={}", self.namespace(party)?.display());
            let limit = Instant::now() + Duration::from_secs(20);
            let mut command = Command::new("nsenter");
            command.args([enter.as_str(), "ip", "-6", "addr", "show", "tentative"]);
            while !run(&mut command, "")?.trim().is_empty() && Instant::now() < limit {
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        Ok(())
    }

    /// Makes a container's namespace answer; its processes are gone after a restart.
    pub fn serve(&self, container: &str) -> Result<(), String> {
        serve(self.namespace(container)?, container, &TCP, 53)
    }

    /// Where the kernel shows a party's network namespace: `host`, a neighbour, or a container.
    pub fn namespace(&self, party: &str) -> Result<PathBuf, String> {
        Ok(match party {
            "host" => Path::new("/run/netns").join(&self.host),
            neighbour if NEIGHBOURS.iter().any(|known| known.name == neighbour) => {
                Path::new("/run/netns").join(format!("{}-{neighbour}", self.host))
            }
            container => {
                let process = self.docker(&format!("inspect -f {{{{.State.Pid}}}} {container}"))?;
                PathBuf::from(format!("/proc/{}/ns/net", process.trim()))
            }
        })
    }

    /// A program on the daemon's host: in its network namespace and, where the daemon has one, in its file system.
    fn on_host(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.host));
        if let Some(root) = &self.root {
            let root = root.display();
            let script = format!(
                "mount --bind {root} {root} && for place in proc sys dev; do mount --rbind /$place {root}/$place; done \
                 && exec chroot {root} \"$@\""
            );
            command.args(["unshare", "-m", "--propagation", "private", "sh", "-c", &script, "sh"]);
        }
        command.arg(program);
        let mut path = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin".to_owned();
        if self.setup.legacy {
            path = format!("{}:{path}", self.legacy_programs().display());
        }
        command.env("PATH", path).env("XTABLES_LOCKFILE", self.inner("xtables.lock"));
        command
    }

    /// A directory where `iptables` is iptables-legacy.
    fn legacy_programs(&self) -> PathBuf {
        let directory = self.directory.path().join("legacy");
        if std::fs::create_dir(&directory).is_ok() {
            for name in ["iptables", "ip6tables"] {
                for suffix in ["", "-save", "-restore"] {
                    let target = format!("/usr/sbin/{name}-legacy{suffix}");
                    let _ = std::os::unix::fs::symlink(target, directory.join(format!("{name}{suffix}")));
                }
            }
        }
        directory
    }

    /// Whether Docker writes IPv6 rules.
    pub fn writes_ipv6(&self) -> bool {
        let major = self.version.split('.').next().and_then(|major| major.parse().ok());
        let by_default = major.is_some_and(|major: u32| major > 26);
        self.setup.iptables && self.setup.ip6tables.unwrap_or(by_default)
    }

    /// The addresses of the containers that have any.
    pub fn addresses(&self) -> Result<BTreeMap<String, Vec<IpAddr>>, String> {
        let form = "{{range.NetworkSettings.Networks}}{{.IPAddress}},{{.GlobalIPv6Address}}{{end}}";
        let mut addresses = BTreeMap::new();
        for Container { name, .. } in &CONTAINERS {
            let text = self.docker(&format!("inspect -f {form} {name}"))?;
            let own = text.trim().split(',').filter_map(|word| word.parse().ok()).collect();
            addresses.insert((*name).to_owned(), own);
        }
        Ok(addresses)
    }

    /// Runs a shell script on the host.
    pub fn shell(&self, script: &str) -> Result<String, String> {
        run(self.on_host("sh").args(["-e", "-s"]), script)
    }

    /// Runs a program on the host with an input.
    pub fn run(&self, program: &str, arguments: &[&str], input: &str) -> Result<String, String> {
        run(self.on_host(program).args(arguments), input)
    }

    /// `docker`, with words that a space divides.
    pub fn docker(&self, words: &str) -> Result<String, String> {
        let socket = format!("unix://{}", self.path("docker.sock").display());
        run(Command::new("docker").args(["-H", &socket]).args(words.split_whitespace()), "")
    }

    /// Stops the daemon and starts it again; its containers are started again, too.
    pub fn restart(&mut self) -> Result<(), String> {
        self.stop();
        self.launch()?;
        for Container { name, .. } in &CONTAINERS {
            self.docker(&format!("start {name}"))?;
            if *name != "onhost" {
                self.serve(name)?;
            }
        }
        self.settle()
    }

    fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // The child is nsenter, which has become dockerd: its number is the daemon's.
        let _ = Command::new("kill").arg(process.id().to_string()).status();
        let limit = Instant::now() + Duration::from_secs(30);
        while Instant::now() < limit {
            if let Ok(Some(_)) = process.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = process.kill();
        let _ = process.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        for Container { name, .. } in &CONTAINERS {
            let _ = self.docker(&format!("rm -f {name}"));
        }
        self.stop();
        let neighbours = NEIGHBOURS.iter().map(|neighbour| format!("{}-{}", self.host, neighbour.name));
        for namespace in neighbours.chain([self.host.clone()]) {
            let _ = Command::new("ip").args(["netns", "del", &namespace]).status();
        }
        // What the daemon mounted for itself in our mount namespace would keep the directory from being removed.
        for name in ["data", "exec"] {
            let path = self.path(name).display().to_string();
            let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
            for place in mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|at| at.starts_with(&path)) {
                let _ = Command::new("umount").args(["-l", place]).status();
            }
            if self.root.is_some() {
                let _ = std::fs::remove_dir_all(&path);
            }
        }
    }
}

/// The path of a program, or that it is not installed.
fn which(program: &str) -> Result<PathBuf, String> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found = path.split(':').map(|directory| Path::new(directory).join(program)).find(|file| file.is_file());
    found.ok_or_else(|| format!("`{program}` is not installed"))
}

/// A Debian system with Docker, made once and kept for the next run.
fn debian(suite: &str) -> Result<PathBuf, String> {
    let base =
        std::env::var_os("FWC_DOCKER_ROOTS").map_or_else(|| std::env::temp_dir().join("fwc-docker"), PathBuf::from);
    let root = base.join(suite);
    if root.join("usr/sbin/dockerd").exists() {
        return Ok(root);
    }
    which("mmdebstrap")?;
    std::fs::create_dir_all(&base).map_err(|error| error.to_string())?;
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--aptopt=Acquire::Check-Valid-Until \"false\"", "--variant=apt"]);
    command.args(["--include=docker.io,docker-cli,iptables,nftables,ipset,iproute2", suite]).arg(&root);
    run(&mut command, "").map_err(|error| format!("no Debian {suite}: {error}"))?;
    Ok(root)
}

/// Runs a program with an input; gives what it prints, or what it complains of.
fn run(command: &mut Command, input: &str) -> Result<String, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    let text = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let Output { status, stdout, stderr } = child.wait_with_output().map_err(|error| error.to_string())?;
    let _ = writer.join();
    let text = String::from_utf8_lossy(&stdout).into_owned();
    if status.success() {
        Ok(text)
    } else {
        Err(format!("{command:?}: {status}: {}{text}", String::from_utf8_lossy(&stderr)))
    }
}

/// Answers in a namespace with `NAME PORT`, over TCP and UDP and both families; then gives back what it gets.
fn serve(namespace: PathBuf, name: &str, ports: &[u16], datagrams: u16) -> Result<(), String> {
    let sockets = inside(&namespace, {
        let ports = ports.to_vec();
        move || {
            let at = |port| SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port));
            let streams: Result<Vec<TcpListener>, _> = ports.iter().map(|&port| TcpListener::bind(at(port))).collect();
            Ok::<_, std::io::Error>((streams?, UdpSocket::bind(at(datagrams))?))
        }
    })?;
    let (streams, datagram) = sockets.map_err(|error| format!("no service in {}: {error}", namespace.display()))?;
    for stream in streams {
        let name = name.to_owned();
        std::thread::spawn(move || {
            let port = stream.local_addr().map_or(0, |address| address.port());
            for mut client in stream.incoming().flatten() {
                let greeting = format!("{name} {port}\n");
                std::thread::spawn(move || {
                    let _ = client.write_all(greeting.as_bytes());
                    if let Ok(mut back) = client.try_clone() {
                        let _ = std::io::copy(&mut client, &mut back);
                    }
                });
            }
        });
    }
    let name = name.to_owned();
    std::thread::spawn(move || {
        let port = datagram.local_addr().map_or(0, |address| address.port());
        let mut buffer = [0; 64];
        while let Ok((_, from)) = datagram.recv_from(&mut buffer) {
            let _ = datagram.send_to(format!("{name} {port}\n").as_bytes(), from);
        }
    });
    Ok(())
}

/// Does something in a network namespace. Linux keeps it by thread, so a thread goes there; sockets made in it stay.
pub fn inside<T: Send + 'static>(namespace: &Path, body: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let namespace = namespace.to_owned();
    let thread = std::thread::spawn(move || enter(&namespace).map(|()| body()));
    thread.join().map_err(|_| "the thread in the namespace failed".to_owned())?
}

/// Takes this thread to a network namespace.
pub fn enter(namespace: &Path) -> Result<(), String> {
    let file = std::fs::File::open(namespace).map_err(|error| format!("{}: {error}", namespace.display()))?;
    setns(file, CloneFlags::CLONE_NEWNET).map_err(|error| format!("no way into the namespace: {error}"))
}
