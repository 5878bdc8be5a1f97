[
  (block)
  (raw)
  (list)
] @fold
