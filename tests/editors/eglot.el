;;; Emacs as somebody uses it: opens a policy with eglot and sees what is wrong.  -*- lexical-binding: t -*-
;; From the environment: FWC the program, FILE the policy.
(package-initialize)
(require 'eglot)
(require 'flymake)

(define-derived-mode fwc-mode prog-mode "fwc"
  (setq-local comment-start "#"))
(add-to-list 'auto-mode-alist '("\\.fw\\'" . fwc-mode))
(add-to-list 'eglot-server-programs (list 'fwc-mode (getenv "FWC") "lsp"))
(setq eglot-sync-connect 30)

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
(apply #'eglot (append (seq-take (eglot--guess-contact) 5) '(nil)))
(wait-for "a diagnostic" #'told)
(dolist (one (told))
  (princ (format "sees %d %s\n" (line-number-at-pos (flymake-diagnostic-beg one))
                 (car (split-string (flymake-diagnostic-text one) "\n")))))
(goto-char (point-min))
(search-forward "ofice")
(replace-match "office")
(eglot--signal-textDocument/didChange)
(wait-for "an empty list" (lambda () (null (told))))
(princ "sees nothing\n")
(eglot-shutdown (eglot-current-server))
(princ "done\n")
