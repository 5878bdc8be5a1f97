[
  (source_file)
] @local.scope

(interface name: (_) @local.definition.type)
(set name: (_) @local.definition.type)
(service name: (_) @local.definition.type)
(group name: (_) @local.definition.function)
(guest_declaration name: (_) @local.definition.type)

(identifier) @local.reference
