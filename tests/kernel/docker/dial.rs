//! Connections, as a client makes them.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::sockopt::{ReceiveTimeout, SendTimeout};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket};
use nix::sys::time::{TimeVal, TimeValLike};

use super::daemon::{Daemon, enter, inside};

/// How long a client waits. A first packet that a full machine loses is sent again after a second.
const PATIENCE: i64 = 1600;

/// What answers each try.
pub type Answers = BTreeMap<Dial, Option<String>>;

/// One try.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dial {
    /// Who: `host`, `peer`, or a container.
    pub party: String,
    /// With which of its addresses, if that matters.
    pub source: Option<IpAddr>,
    /// Over UDP rather than TCP.
    pub datagram: bool,
    /// What it dials.
    pub target: SocketAddr,
}

impl Dial {
    /// Reads `peer 10.1.1.1 > tcp 203.0.113.10 8080`.
    pub fn parse(text: &str) -> Self {
        let (from, to) = text.split_once('>').expect("a dial has `>`");
        let mut from = from.split_whitespace();
        let party = from.next().expect("a dial has a party").to_owned();
        let source = from.next().map(|word| word.parse().expect("an address"));
        let words: Vec<&str> = to.split_whitespace().collect();
        let [protocol, address, port] = words[..] else { panic!("`{text}`: protocol, address, port") };
        let target = SocketAddr::new(address.parse().expect("an address"), port.parse().expect("a port"));
        Self { party, source, datagram: protocol == "udp", target }
    }

    /// Whether it goes from one outside the host to another.
    pub fn is_routed(&self) -> bool {
        let neighbours = &super::site::NEIGHBOURS;
        let to = self.target.ip().to_string() + "/";
        let at = |known: &super::site::Neighbour| known.addresses.iter().any(|address| address.starts_with(&to));
        neighbours.iter().any(|known| known.name == self.party) && neighbours.iter().any(at)
    }

    /// What answers, from a namespace, in which the thread is afterwards.
    pub fn answer(&self, namespace: &Path) -> Option<String> {
        enter(namespace).expect("the namespace is there");
        self.answer_here()
    }

    fn answer_here(&self) -> Option<String> {
        let socket = self.open()?;
        if self.datagram {
            let socket = UdpSocket::from(socket);
            socket.send(b"?").ok()?;
            let mut buffer = [0; 64];
            let length = socket.recv(&mut buffer).ok()?;
            return Some(String::from_utf8_lossy(&buffer[..length]).trim().to_owned());
        }
        let mut line = String::new();
        BufReader::new(TcpStream::from(socket)).read_line(&mut line).ok()?;
        // docker-proxy takes the connection and closes it where it cannot reach the container.
        (!line.is_empty()).then(|| line.trim().to_owned())
    }

    /// A connected socket.
    fn open(&self) -> Option<OwnedFd> {
        let family = if self.target.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let kind = if self.datagram { SockType::Datagram } else { SockType::Stream };
        let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None).expect("sockets can be made");
        setsockopt(&socket, SendTimeout, &TimeVal::milliseconds(PATIENCE)).expect("it takes a time-out");
        setsockopt(&socket, ReceiveTimeout, &TimeVal::milliseconds(PATIENCE)).expect("it takes a time-out");
        if let Some(source) = self.source {
            bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(source, 0))).expect("the address is there");
        }
        connect(socket.as_raw_fd(), &SockaddrStorage::from(self.target)).ok()?;
        Some(socket)
    }
}

/// What answers every dial, all at once.
pub fn answers(daemon: &Daemon, dials: &[Dial]) -> Answers {
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

/// Whether docker-proxy may take the connection: it goes to an address of the host, and no translation carries it on.
pub fn by_docker_proxy(dial: &Dial) -> bool {
    const HOST: [&str; 13] = [
        "203.0.113.10",
        "2001:db8::10",
        "10.9.0.1",
        "fd00:9::1",
        "192.168.2.1",
        "fd00:2::1",
        "127.0.0.1",
        "::1",
        "172.17.0.1",
        "172.18.0.1",
        "172.19.0.1",
        "172.20.0.1",
        "fd00:6::1",
    ];
    let host = HOST.iter().any(|address| address.parse() == Ok(dial.target.ip()));
    host && (dial.target.is_ipv6() || !super::site::NEIGHBOURS.iter().any(|known| known.name == dial.party))
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.party)?;
        if let Some(source) = self.source {
            write!(f, " {source}")?;
        }
        let protocol = if self.datagram { "udp" } else { "tcp" };
        write!(f, " > {protocol} {} {}", self.target.ip(), self.target.port())
    }
}

/// A connection that stays open while rules change.
pub struct Line {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Line {
    /// Opens it and waits for the greeting.
    pub fn open(dial: &Dial, namespace: &Path) -> Option<Self> {
        let dial = dial.clone();
        let socket = inside(namespace, move || dial.open()).expect("the namespace is there")?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("it takes a time-out");
        let mut line = Self { reader: BufReader::new(stream.try_clone().expect("it can be shared")), stream };
        line.read()?;
        Some(line)
    }

    /// Whether a word still comes back.
    pub fn lives(&mut self) -> bool {
        self.stream.write_all(b"still there\n").is_ok() && self.read().as_deref() == Some("still there\n")
    }

    fn read(&mut self) -> Option<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line).ok()?;
        (!line.is_empty()).then_some(line)
    }
}
