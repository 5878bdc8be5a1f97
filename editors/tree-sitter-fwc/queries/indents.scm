[
  (block)
  (raw)
  (list)
] @indent.begin

"}" @indent.branch @indent.end

(comment) @indent.ignore
