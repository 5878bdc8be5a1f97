; Keywords. Capture names are those of nvim-treesitter; Helix and Zed have queries of their own in their directories.
[
  "use" "target" "include" "compose" "except" "file"
] @keyword.import

[
  "interface" "set" "service" "group" "guest" "instance" "network" "container" "chain" "fact"
] @keyword.type

[
  "default" "assert" "apply" "mark" "dscp" "clamp" "mss" "notrack" "helper" "masquerade" "forward" "redirect" "as" "in" "out"
  "from" "to" "via" "on" "at" "with" "not" "inside" "direct" "user" "address" "mac" "publish" "live" "default-route" "iptables"
  "nft" "icmp" "protocol" "port" "limit" "per" "source" "burst" "connection" "connections" "level" "rate" "during" "comment" "log"
] @keyword

["any" "world" "host"] @constant.builtin

(allow) @keyword.allow
(deny) @keyword.deny
(log) @keyword
(early) @keyword.modifier
(transport) @type.builtin
(family) @type.builtin

; Names.
(identifier) @variable
(interface name: (identifier) @type)
(set name: (identifier) @type)
(service name: (identifier) @type)
(group name: (identifier) @function)
(apply group: (identifier) @function.call)
(guest_declaration name: (identifier) @type)
(network_declaration name: (identifier) @type)
(container_declaration name: (identifier) @type)
(use name: (identifier) @module)
(_ service: (identifier) @constant)
(chain table: (identifier) @module hook: (identifier) @function)

; Values.
[(address) (mac_address)] @constant
[(port) (number) (rate) (time)] @number
(string) @string
(include path: (string) @string.special.path)
(compose path: (string) @string.special.path)
(set path: (string) @string.special.path)

"=" @operator
"," @punctuation.delimiter
["{" "}"] @punctuation.bracket
(comment) @comment
(raw_string) @string
(raw_word) @markup.raw
