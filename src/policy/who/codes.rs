//! What can be wrong with a place, a name of one, or a card.

use crate::diagnostic::{Code, Level};

/// A word for a place that nothing declares.
pub static UNKNOWN_PLACE: Code = Code {
    number: "FW0114",
    name: "unknown-place",
    level: Level::Error,
    summary: "a set or interface that nothing declares",
    explanation: "After `from` and `to` stands a place: `world`, `host`, `container`, an address, a set or a declared interface.\n\n```fw\nset office = { 198.51.100.0/24 }\nallow ssh from offcie to host     # error: did you mean `office`?\n```\n\nCorrect the name or declare it. A card that has no name in the policy is said as `from world on eth1`.",
};

/// A set that contains itself.
pub static SET_CYCLE: Code = Code {
    number: "FW0115",
    name: "set-cycle",
    level: Level::Error,
    summary: "a set contains itself",
    explanation: "\
A set may hold other sets. Written out, it is a list of addresses and places. One that holds itself, at once or by way of another, has no
such list.

**Why it hurts.** What the author meant to be in it cannot be known, and a deny from a set with too little in it lets somebody in.

```fw
set partners = { suppliers, 192.0.2.0/24 }
set suppliers = { partners, 198.51.100.0/24 }      # error
allow ssh from partners to host
```

**Instead**, let one hold the other, and what both have in common be a set of its own:

```fw
set suppliers = { 198.51.100.0/24 }
set partners = { suppliers, 192.0.2.0/24 }
allow ssh from partners to host
```
",
};

/// A set without a member.
pub static EMPTY_SET: Code = Code {
    number: "FW0116",
    name: "empty-set",
    level: Level::Error,
    summary: "a set has no member, so a rule that uses it would do nothing",
    explanation: "A deny from an empty set blocks nothing, an allow lets nobody in; neither is what an author means. An empty or missing\nset file usually means that a download failed.\n\n```fw\nset blocked from file \"blocklist.txt\"   # error: the file holds no address\ndeny from blocked to host\n```\n\nNothing is built. Fill the file, or delete the rule.\n\nA place may be empty as well: `not any on eth3` is nobody, since `not` is for the place and `on` for whoever else there is. To leave out\nwho is on an interface, name it as a place:\n\n```fw\ninterface leased = eth3\nallow https from not leased to host\n```",
};

/// A line of a set's file that is no address.
pub static SET_FILE_LINE: Code = Code {
    number: "FW0117",
    name: "set-file-line",
    level: Level::Error,
    summary: "a line of a set's file is not an address",
    explanation: "A file for `set NAME from file \"…\"` holds one address, prefix or range a line; `#` and `;` begin comments.\n\n```text\n198.51.100.0/24   # head office\n2001:db8:1::/48\nnot-an-address    # error\n```\n\nA line that cannot be read stops the build, because skipping it would leave a hole.",
};

/// A container that no fact, declaration or compose file knows.
pub static UNKNOWN_CONTAINER: Code = Code {
    number: "FW0118",
    name: "unknown-container",
    level: Level::Error,
    summary: "a container, instance, guest or network that nothing declares",
    explanation: "A container by name stands for what it publishes, so fwc must know it: from a compose file, from `fwc.facts.json`, or from\na declaration.\n\n```fw\ncompose \"docker-compose.yml\"\nallow https to container ngnix     # error: did you mean `nginx`?\ncontainer web on front publish tcp 443\n```\n\nThe same holds for `instance`, `guest` and `network`.",
};

/// A container as an origin that cannot be told from others.
pub static CONTAINER_ORIGIN: Code = Code {
    number: "FW0211",
    name: "container-without-address",
    level: Level::Error,
    summary: "a container named as an origin, or dialled directly, has no fixed address and no network of its own",
    explanation: "Docker gives a container another address at each start. A rule that compared today's address would tomorrow speak of some\nother container.\n\n```fw\nuse docker
container mailer on app publish tcp 25
allow submission from container mailer to world   # error\n```\n\nGive it `ipv4_address` in the compose file, or a network that it shares with nobody:

```fw
use docker
network app on br-app address 172.18.0.0/16
container mailer on app address 172.18.0.25 publish tcp 25
allow submission from container mailer to world
```",
};

/// A container that publishes nothing.
pub static UNPUBLISHED_CONTAINER: Code = Code {
    number: "FW0212",
    name: "container-publishes-nothing",
    level: Level::Error,
    summary: "a rule to a container that publishes no such port",
    explanation: "`to container NAME` means: reached through a host address, at a port that it publishes. A container that publishes nothing\n(or not this port) cannot be reached so, and the rule would decide nothing.\n\n```fw\nuse docker
network back on br-back address 172.18.0.0/16
container app on back address 172.18.0.7
allow postgres to container app     # error: `app` publishes nothing\n```\n\nPublish the port, or write `to container app direct` for its own address on its network.\n\nWhat is published on the loopback alone is reached by programs on the host, and with Docker up to 27 also by other machines that route\nto the container's own address: `deny postgres from world to container app direct` closes that.",
};

/// A container without a network of its own.
pub static HOST_NETWORK: Code = Code {
    number: "FW0313",
    name: "container-on-the-host-network",
    level: Level::Error,
    summary: "a rule speaks of a container that shares the host's network",
    explanation: "With `network_mode: host` a container has no network of its own: its ports are the host's, its connections are the host's,\nand no bridge, NAT or FORWARD is between. A rule to the container would never match.\n\n```fw\ncompose \"docker-compose.yml\"          # `metrics` has `network_mode: host`\nallow tcp 9100 to container metrics   # error\nallow tcp 9100 from any to host       # what it means\n```\n\nWrite `to host` with the container's ports, or `from host`, which is every program on the host. A container that lives in the\nnetwork of another (`network_mode: service:vpn`) is reached as that other container.",
};

/// A container that the host's hooks never see.
pub static OFF_BRIDGE: Code = Code {
    number: "FW0314",
    name: "container-off-the-bridge",
    level: Level::Error,
    summary: "a rule speaks of a container on a macvlan or ipvlan network, whose packets the host's firewall never sees",
    explanation: "A macvlan network, and an ipvlan network in its default mode `l2`, sends and receives straight through its parent card. The\npackets pass no hook of the host, so no rule of the host can decide about them.\n\n```fw\ncompose \"docker-compose.yml\"            # `resolver` is on a macvlan network\nallow dns from lan to container resolver  # error: decides nothing\n```\n\nFilter on the router of that network or inside the container, or put the container on a bridge network and publish its ports.",
};

/// A host address where a place outside belongs.
pub static HOST_ADDRESS: Code = Code {
    number: "FW0213",
    name: "host-address-as-place",
    level: Level::Error,
    summary: "an address of this host stands where a party outside is expected",
    explanation: "An address in `from` or `to` is a party outside. For an address of this machine say which of its roads is meant:\n\n```fw\nfact interfaces.eth0.addresses = \"203.0.113.10/24\"\nallow https from any to 203.0.113.10            # error\n```\n\n**Instead**, one of:\n\n```fw\nfact interfaces.eth0.addresses = \"203.0.113.10/24\"\nallow https to host at 203.0.113.10\nallow https to container at 203.0.113.10\n```",
};

/// An address on a container network where a container is meant.
pub static CONTAINER_ADDRESS: Code = Code {
    number: "FW0214",
    name: "container-address-as-place",
    level: Level::Error,
    summary: "an address on a local network stands where a party outside is expected",
    explanation: "An address in `from` or `to` is a party outside. One that lies in a network on this machine never arrives from outside, so\nthe rule would decide nothing.\n\n```fw\nuse docker\nnetwork app on br-app address 172.18.0.0/16\ncontainer resolver on app address 172.18.0.5\nallow dns from 172.18.0.5 to host              # error\n```\n\n**Instead**, name who it is:\n\n```fw\nuse docker\nnetwork app on br-app address 172.18.0.0/16\ncontainer resolver on app address 172.18.0.5\nallow dns from container resolver to host\nallow ntp from network app to host\n```",
};

/// Words that do not go with a place.
pub static MISPLACED_WORD: Code = Code {
    number: "FW0215",
    name: "misplaced-word",
    level: Level::Error,
    summary: "`at`, `on`, `inside`, `direct`, `user` or a MAC where it cannot apply",
    explanation: "`at` names the host address that was dialled: it belongs to a place on this machine, after `to`. `inside` and `direct` say\nhow a container is addressed, after `to container`. `user` and `mac` describe who opens a connection, after `from`.\n\n```fw\nallow https from office at 203.0.113.10 to host     # error\nallow https from office to host at 203.0.113.10\n```",
};

/// A negation that has no plain meaning.
pub static NESTED_NEGATION: Code = Code {
    number: "FW0216",
    name: "nested-negation",
    level: Level::Error,
    summary: "`not` over members that are themselves negated",
    explanation: "\
`not` means everyone else in the world. Over something that is itself the rest of the world but for some, and something more besides,
it would have to mean who is in one list and not in the other.

**Why it hurts.** Such a sentence is read in one way by its author and in another by the next one, and the difference is an open port.

```fw
set far = not office
allow ssh from not { far, vpn } to host    # error
```

**Instead**, say who is meant. `not far` alone is `office` again, and is understood:

```fw
allow ssh from office to host
deny ssh from vpn to host
```
",
};

/// The default route's card is not known.
pub static DEFAULT_ROUTE_UNKNOWN: Code = Code {
    number: "FW0411",
    name: "default-route-unknown",
    level: Level::Warning,
    summary: "no fact says which card the default route leaves by",
    explanation: "`interface wan = default-route` takes the card from the fact `default-route`. Without it, the name stands for *every card\nthat nothing else names*: not the loopback, not a bridge of a platform, not another declared interface. That is right on\na host with one outside card, and treats every further undeclared card like the Internet.\n\n```fw\ninterface wan = default-route         # warning\nallow https to host via wan\n```\n\n**Instead**, write the card, or say which it is (also in fwc.facts.json: `\"default-route\": \"ens33\"`):\n\n```fw\ninterface wan = default-route\nfact default-route = ens33\nallow https to host via wan\n```",
};

/// A card that nothing declares.
pub static UNDECLARED_CARD: Code = Code {
    number: "FW0119",
    name: "undeclared-card",
    level: Level::Warning,
    summary: "a card's name is almost a declared interface's, or nothing declares or knows it",
    explanation: "After `via` and `on` stands an interface that the policy declares, or a card's own name. A name that is almost a declared\none, a word such as `wan` that nothing\ndeclares, or a card that the host's facts do not list is probably a slip, and the rule would match nothing.\n\n```fw\ninterface wan = ens33\nallow https to container via wna     # warning: did you mean `wan`?\n```",
};

/// An interface name that the kernel does not take.
pub static CARD_NAME_TOO_LONG: Code = Code {
    number: "FW0501",
    name: "card-name-too-long",
    level: Level::Error,
    summary: "an interface name has more than 15 bytes",
    explanation: "\
Interface names have at most 15 bytes in Linux (IFNAMSIZ, less the final NUL). iptables refuses a longer one, and with it the whole file;
nft would compare something that no card is called.

**Why it hurts.** Such a card does not exist. It is a slip, or the name of a connection in a network manager's file, and a rule for it
would guard nothing.

```fw
interface site = enp0s31f6-office-lan     # error
allow ssh from site to host
```

**Instead**, write the name that `ip link` shows. `+` or `*` at the end stands for every card that begins so.

```fw
interface site = { enp0s31f6, enx+ }
allow ssh from site to host
```
",
};

/// A name that no interface can have.
pub static CARD_NAME_IMPOSSIBLE: Code = Code {
    number: "FW0509",
    name: "impossible-card-name",
    level: Level::Error,
    summary: "no interface can be called so",
    explanation: "\
The kernel takes no interface name with a space, `/` or `:`, nor `.` and `..`. `eth0:1` is the label of a second address on `eth0`, not
an interface; and what `ip link` shows as `eth0.5@eth0` is called `eth0.5`, the rest says what it stands on.

Other names can exist and cannot be written: iptables takes a dash or `!` at the beginning and `+` at the end for its own signs, nft `*` and
a backslash, and neither reads quotation marks inside a name. An interface with such a name has to be renamed before rules can compare it.

**Why it hurts.** A rule with such a name loads and matches nothing: an allow keeps out, a deny lets in.

```fw
allow ssh to host via \"eth0:1\"      # error
```

**Instead**, write the interface, or for a second address that address:

```fw
allow ssh to host at 192.0.2.11
```
",
};

/// A name that no user can have, as far as the kernel's tools can look it up.
pub static IMPOSSIBLE_USER: Code = Code {
    number: "FW0511",
    name: "impossible-user",
    level: Level::Error,
    summary: "a user's name or number that iptables or nft cannot look up",
    explanation: "\
# A user that cannot be looked up

iptables and nft look the name of a user up when the rules are loaded. Both take a name of at most 32 letters, digits, `-`, `_`, `.` and `@`
that begins with a letter or `_`, and a number up to 4294967294. iptables takes `1000-2000` for a range of numbers and `010` for 8.

**Why it hurts.** The tools refuse the whole file, or the rule is for another user than the one that is meant.

```fw
allow https from host user \"1000-2000\" to world     # error
allow https from host user 1000 to world
```

For a user of a directory whose name has other characters write the number that `id -u NAME` shows on the host.
",
};

/// A user that has to exist where the rules are loaded.
pub static USER_LOOKED_UP: Code = Code {
    number: "FW0512",
    name: "user-looked-up",
    level: Level::Note,
    summary: "a user is named, and the rules load only where that user exists",
    explanation: "\
# A user that is looked up on the host

The kernel compares numbers. iptables and nft look a user's name up when the rules are loaded, on the host that loads them, not where `fwc`
runs.

**Why it matters.** Where the user does not exist, the tools refuse the whole file. At boot that is so, too, for users of a directory
that is reached by the network: the rules come before the network.

```fw
allow https from host user www-data to world     # note
allow https from host user 33 to world
```

Make the user before the rules are loaded, or write the number. `root` is the same everywhere.
",
};
