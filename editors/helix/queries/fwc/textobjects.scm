(block) @class.inside
[(scope) (group) (guest_declaration) (chain)] @class.around
[(rule) (default) (assert)] @entry.around
(comment) @comment.inside
(comment)+ @comment.around
