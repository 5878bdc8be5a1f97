[
  (block)
  (raw)
  (list)
] @indent

"}" @outdent
