;;; Emacs as somebody uses it: opens a policy with the package and eglot, sees what is wrong, and takes the repair.  -*- lexical-binding: t -*-
;; From the environment: FILE the policy. `fwc' is on the path, the package is installed.
(package-initialize)
(require 'eglot)
(require 'flymake)
(setq eglot-sync-connect 30)
(add-hook 'fwc-mode-hook #'eglot-ensure)

(defun wait-for (what predicate)
  "Let messages come until PREDICATE holds; WHAT says what for."
  (let ((end (+ (float-time) 30)) found)
    (while (and (not (setq found (funcall predicate))) (< (float-time) end))
      (accept-process-output nil 0.05))
    (or found (error "waited in vain for %s" what))))

(defun told ()
  "What flymake shows in this buffer."
  (flymake-start)
  (flymake-diagnostics))

(find-file (getenv "FILE"))
(princ (format "mode %s\n" major-mode))
;; In batch no command ends; eglot waits for one.
(run-hooks 'post-command-hook)
(wait-for "a diagnostic" #'told)
(dolist (one (told))
  (princ (format "sees %d %s\n" (line-number-at-pos (flymake-diagnostic-beg one))
                 (car (split-string (flymake-diagnostic-text one) "\n"))))
  (goto-char (flymake-diagnostic-beg one)))
(fset 'completing-read
      (lambda (_ choices &rest _)
        (let ((first (car (all-completions "" choices))))
          (princ (format "takes %s\n" first))
          first)))
;; Not by the mouse: eglot would open a menu.
(setq last-nonmenu-event 'return)
(call-interactively #'eglot-code-actions)
(eglot--signal-textDocument/didChange)
(wait-for "an empty list" (lambda () (null (told))))
(princ "sees nothing\n")
(goto-char (point-max))
(insert "to host {\nallow   dns\n}\n")
(fwc-format-buffer)
(princ (buffer-string))
(eglot-shutdown (eglot-current-server))
(princ "done\n")
