;;; Says, for each file that it is given, a line each: `file PATH', then `START END FACE' in bytes for every part of the text; and `moved LINE'
;;; for every line that would be indented otherwise.  -*- lexical-binding: t -*-
;; emacs --batch -l fwc-mode.el -l faces.el FILE…
(require 'fwc-mode)

(defun parts ()
  "Print the faces of this buffer."
  (font-lock-mode 1)
  (font-lock-ensure)
  (goto-char (point-min))
  (while (not (eobp))
    (let ((start (point))
          (end (min (next-single-property-change (point) 'face nil (point-max))
                    (next-single-property-change (point) 'fwc-raw nil (point-max)))))
      (princ (format "%d %d %s%s\n" (1- (position-bytes start)) (1- (position-bytes end))
                     (if (get-text-property start 'fwc-raw) "raw " "")
                     (or (get-text-property start 'face) "none")))
      (goto-char end))))

(defun moved ()
  "Print the lines of this buffer that indenting moves."
  (goto-char (point-min))
  (while (not (eobp))
    (let ((before (current-indentation)))
      (unless (or (looking-at-p "\\s-*$") (get-text-property (point) 'fwc-raw))
        (fwc-indent-line)
        (unless (= before (current-indentation))
          (princ (format "moved %d\n" (line-number-at-pos))))))
    (forward-line)))

(dolist (file command-line-args-left)
  (with-temp-buffer
    (let ((coding-system-for-read 'utf-8-unix))
      (insert-file-contents file))
    (princ (format "file %s\n" file))
    (fwc-mode)
    (parts)
    (moved)))
(setq command-line-args-left nil)
