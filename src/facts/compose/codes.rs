//! What can be wrong with a compose file.

use crate::diagnostic::{Code, Level};

/// Not a compose file.
pub static COMPOSE_SYNTAX: Code = Code {
    number: "FW0420",
    name: "compose-syntax",
    level: Level::Error,
    summary: "a compose file, or its `.env` file, cannot be read",
    explanation: "\
A compose file is one YAML document, an object with `services` in it. Anchors, aliases and merge keys (`<<`) are read; a name
that stands twice in one object is an error, as it is for `docker compose`, because one of the two would be lost.

```yaml
services:
  web: { ports: [\"80:80\"] }
  web: { ports: [\"443:443\"] }
```

`docker compose config` shows the same fault in its own words.
",
};

/// A value of the wrong type.
pub static COMPOSE_VALUE: Code = Code {
    number: "FW0421",
    name: "compose-value",
    level: Level::Error,
    summary: "a value in a compose file is not what compose expects there",
    explanation: "\
A part of a compose file that says which ports are open, or on which network, has a value that `docker compose` would refuse: a
text where a list is due, an address that is none, a network mode that does not exist.

```yaml
services:
  web:
    ports: \"80:80\"
```

`ports` is a list:

```yaml
services:
  web:
    ports: [\"80:80\"]
```
",
};

/// A port that Docker would refuse.
pub static COMPOSE_PORT: Code = Code {
    number: "FW0422",
    name: "compose-port",
    level: Level::Error,
    summary: "a published port in a compose file cannot be read",
    explanation: "\
A published port has the short form `[[ADDRESS:]HOST-PORTS:]PORTS[/PROTOCOL]` or the long one with `target` and `published`.
A port that Docker would refuse is an error: no rule can be made for a port that is not known.

```yaml
ports:
  - \"127.0.0.1:8080\"        # an address needs both ports
  - \"8000-8010:80-85\"       # ranges of different length
```

Write:

```yaml
ports:
  - \"127.0.0.1:8080:80\"
  - \"8000-8005:80-85\"
```
",
};

/// A port rests on a variable that has no value.
pub static UNSET_VARIABLE_IN_PORT: Code = Code {
    number: "FW0423",
    name: "unset-variable-in-port",
    level: Level::Error,
    summary: "a published port rests on a variable that has no value",
    explanation: "\
`docker compose` takes variables from the shell and from the `.env` file beside the compose file, and leaves an unset one empty.
A build knows only the `.env` file, so that it gives the same rules everywhere. With the variable empty, `${PORT}:80` publishes a
port of Docker's choice, and `${ADDRESS}:80:80` publishes on every address instead of one.

```yaml
ports: [\"${ADDRESS}:8080:80\"]
```

Put the variable into `.env`, or give it a default:

```yaml
ports: [\"${ADDRESS:-127.0.0.1}:8080:80\"]
```
",
};

/// Something else rests on a variable that has no value.
pub static UNSET_VARIABLE: Code = Code {
    number: "FW0424",
    name: "unset-variable",
    level: Level::Warning,
    summary: "a setting in a compose file rests on a variable that has no value",
    explanation: "\
A network, a name or an address in a compose file uses a variable that neither the `.env` file nor a default gives a value. It is
left empty, as `docker compose` does; if the shell on the host sets it, the facts differ from the host.

```yaml
networks: { app: { driver: \"${DRIVER}\" } }
```

Put the variable into `.env`, or give it a default: `${DRIVER:-bridge}`.
",
};

/// A part that is not read.
pub static NOT_READ: Code = Code {
    number: "FW0425",
    name: "compose-part-not-read",
    level: Level::Warning,
    summary: "a compose file has a part that could publish ports and that is not read",
    explanation: "\
`include` and `extends` with `file` bring in other files, which may publish ports. They are not read, and the ports of those files
are not among the facts: an INPUT rule for such a port would be one that Docker's NAT carries the traffic around.

```yaml
include: [monitoring/compose.yml]
services: {}
```

Name the other file in the policy, too:

```text
compose \"docker-compose.yml\"
compose \"monitoring/compose.yml\"
```

or feed the policy with the output of `docker compose config`, in which everything is resolved.
",
};

/// A service that does not always run.
pub static PROFILE: Code = Code {
    number: "FW0426",
    name: "compose-optional-service",
    level: Level::Note,
    summary: "a service that publishes ports does not always run once",
    explanation: "\
A service with `profiles` runs only if one of them is chosen, one with `replicas: 0` not at all, and one with several replicas
needs a port for each. Its ports are among the facts as they are written, so that rules for it are ready when it runs; while it does not run,
something else on the host may have the port.

```yaml
services:
  debug: { profiles: [dev], ports: [\"9229:9229\"] }
```

Nothing needs to be changed if the service is meant to run on this host.
",
};

/// A network that the file does not have.
pub static UNKNOWN_COMPOSE_NETWORK: Code = Code {
    number: "FW0427",
    name: "unknown-compose-network",
    level: Level::Error,
    summary: "a service is on a network, or in another service's network, that the compose file does not have",
    explanation: "\
Every network that a service names stands under `networks` at the top level (only `default` need not), and `network_mode:
service:NAME` names a service of the file. `docker compose` refuses anything else.

```yaml
services: { web: { networks: [front] } }
networks: { frontend: {} }
```

Write the same name in both places.
",
};

/// Ports or networks beside a network mode that excludes them.
pub static NETWORK_MODE: Code = Code {
    number: "FW0428",
    name: "compose-network-mode",
    level: Level::Warning,
    summary: "ports or networks of a service have no effect beside its `network_mode`",
    explanation: "\
With `network_mode: host` a container has the host's own addresses and ports: nothing is published, the ports it listens on are
the host's, and `to host` rules guard them. With `none` nothing reaches it. With `service:NAME` it lives in another container's
network, which alone can publish ports. Docker discards or refuses `ports` and `networks` beside these.

```yaml
services:
  web: { network_mode: host, ports: [\"8080:80\"] }   # listens on 80, not on 8080
```

Take `ports` away and write `allow tcp 80 to host`, or take `network_mode` away.
",
};

/// Docker picks the port.
pub static RANDOM_PORT: Code = Code {
    number: "FW0429",
    name: "random-host-port",
    level: Level::Note,
    summary: "Docker picks the host port of a container at each start",
    explanation: "\
A port that is published without a host port gets a free one (32768 and up) each time the container starts. No rule can name it,
so that only a rule for all ports of the container, or for its own port (`inside`), covers it.

```yaml
ports: [\"3000\"]
```

Give it a port, if outsiders are to reach it:

```yaml
ports: [\"3000:3000\"]
```

or take it away: containers of one network reach each other without it.
",
};

/// More than is read.
pub static COMPOSE_TOO_LARGE: Code = Code {
    number: "FW0541",
    name: "compose-too-large",
    level: Level::Error,
    summary: "a compose file is larger or deeper than is read",
    explanation: "\
A compose file is read up to 500,000 values, 64 lists and mappings in each other, 100,000 entries copied by merge keys and 100,000
published ports. Files of people stay far below; a file beyond is mostly generated, or made to exhaust the reader.

```yaml
ports: [\"1-65535\", \"1-65535/udp\"]
```

Publish ranges with host ports (`1-65535:1-65535`): they stay ranges.
",
};
