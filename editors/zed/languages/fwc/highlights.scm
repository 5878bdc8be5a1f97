; The queries of tree-sitter-fwc with the names that Zed gives to colours.
[
  "use" "target" "include" "compose" "except" "file"
] @keyword

[
  "interface" "set" "service" "group" "guest" "instance" "network" "container" "chain" "fact"
] @keyword

[
  "default" "assert" "apply" "mark" "dscp" "clamp" "mss" "notrack" "helper" "masquerade" "forward" "redirect" "as" "in" "out"
  "from" "to" "via" "on" "at" "with" "not" "inside" "direct" "user" "address" "mac" "publish" "live" "default-route" "iptables"
  "nft" "icmp" "protocol" "port" "limit" "per" "source" "burst" "connection" "connections" "level" "rate" "during" "comment" "log"
] @keyword

["any" "world" "host"] @constant

(allow) @keyword
(deny) @keyword
(log) @keyword
(early) @keyword
(transport) @type
(family) @type

; Names.
(identifier) @variable
(interface name: (identifier) @type)
(set name: (identifier) @type)
(service name: (identifier) @type)
(group name: (identifier) @function)
(apply group: (identifier) @function)
(guest_declaration name: (identifier) @type)
(network_declaration name: (identifier) @type)
(container_declaration name: (identifier) @type)
(use name: (identifier) @namespace)
(_ service: (identifier) @constant)
(chain table: (identifier) @namespace hook: (identifier) @function)

; Values.
[(address) (mac_address)] @constant
[(port) (number) (rate) (time)] @number
(string) @string
(include path: (string) @string.special)
(compose path: (string) @string.special)
(set path: (string) @string.special)

"=" @operator
"," @punctuation.delimiter
["{" "}"] @punctuation.bracket
(comment) @comment
(raw_string) @string
(raw_word) @text.literal
