(interface "interface" @context name: (_) @name) @item
(set "set" @context name: (_) @name) @item
(service "service" @context name: (_) @name) @item
(group "group" @context name: (_) @name) @item
(guest_declaration ["guest" "instance"] @context name: (_) @name) @item
(network_declaration "network" @context name: (_) @name) @item
(container_declaration "container" @context name: (_) @name) @item
(chain "chain" @context table: (_) @name hook: (_) @name) @item
