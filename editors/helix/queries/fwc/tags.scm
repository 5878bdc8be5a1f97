(interface name: (_) @name) @definition.interface
(set name: (_) @name) @definition.type
(service name: (_) @name) @definition.constant
(group name: (_) @name) @definition.function
(guest_declaration name: (_) @name) @definition.class
(container_declaration name: (_) @name) @definition.class
(network_declaration name: (_) @name) @definition.class
(apply group: (_) @name) @reference.call
