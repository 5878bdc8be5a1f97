(block "}" @end) @indent
(raw "}" @end) @indent
(list "}" @end) @indent
