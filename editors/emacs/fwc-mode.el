;;; fwc-mode.el --- Firewall policies of fwc  -*- lexical-binding: t; -*-

;; Author: The authors of fwc
;; Version: 0.1.0
;; Package-Requires: ((emacs "26.1"))
;; Keywords: languages
;; SPDX-License-Identifier: MIT OR Apache-2.0

;;; Commentary:

;; Colours, indentation and layout for policies (*.fw) and their tests
;; (*.fwtest), and the language server `fwc lsp' for eglot.  With
;;
;;     (add-hook 'fwc-mode-hook #'eglot-ensure)
;;
;; the server starts with the first policy.

;;; Code:

(defgroup fwc nil
  "Firewall policies of fwc."
  :group 'languages)

(defcustom fwc-program "fwc"
  "The program that checks, lays out and serves policies."
  :type 'string)

(defcustom fwc-indent-offset 4
  "How many columns a block indents, as `fwc fmt' writes it."
  :type 'integer
  :safe #'integerp)

(defface fwc-allow '((t :inherit (success font-lock-keyword-face)))
  "What lets packets in.")

(defface fwc-deny '((t :inherit (error font-lock-keyword-face)))
  "What keeps packets out.")

(defface fwc-raw '((t :inherit font-lock-doc-face))
  "Netfilter's own words, in a chain.")

(defface fwc-value '((t :inherit font-lock-constant-face))
  "Addresses, ports, rates, times.")

(eval-and-compile
  (defconst fwc--declaring
    '("use" "target" "include" "compose" "fact" "interface" "set" "service"
      "group" "guest" "instance" "network" "container" "chain")
    "Words that bring something into a policy.")

  (defconst fwc--places '("any" "world" "host")
    "Places that need no name.")

  (defconst fwc--protocols
    '("tcp" "udp" "sctp" "icmp" "protocol" "ipv4" "ipv6")
    "Protocols and families.")

  (defconst fwc--other
    '("apply" "as" "assert" "at" "clamp" "comment" "default" "direct" "dscp"
      "during" "early" "forward" "from" "helper" "in" "inside" "limit" "log"
      "mac" "mark" "masquerade" "not" "notrack" "on" "out" "port" "redirect"
      "source" "to" "via" "with")
    "All other words that are never a name without quotes.")

  (defconst fwc--reserved
    (append fwc--declaring fwc--places fwc--protocols fwc--other
            '("allow" "deny" "reject"))
    "Words that are a name only in quotes.")

  (defconst fwc--name "\\(\"[^\"\n]*\"\\|\\_<[[:alnum:]_][[:alnum:]_.-]*\\_>\\)"
    "A name, of a machine too."))

(defun fwc--named (face)
  "FACE, unless what group 2 matched is a word of the language."
  (unless (member (match-string-no-properties 2) fwc--reserved)
    face))

(defun fwc--match-raw (limit)
  "Find the next words of netfilter before LIMIT."
  (let ((start (text-property-any (point) limit 'fwc-raw t)))
    (when start
      (goto-char (or (text-property-not-all start limit 'fwc-raw t) limit))
      (set-match-data (list start (point)))
      t)))

(defconst fwc-font-lock-keywords
  `((fwc--match-raw 0 'fwc-raw keep)
    ;; Words that mean something at one place only.
    ("\\_<\\(fact\\)\\s-+\\_<\\([[:alnum:]_]\\(?:\\sw\\|\\s_\\)*\\)\\s-*=\\s-*\
\\(?:\\_<\\([0-9]\\(?:\\sw\\|\\s_\\)*\\)\\|\\_<\\(\\(?:\\sw\\|\\s_\\)+\\)\\)?"
     (1 font-lock-keyword-face keep)
     (2 font-lock-variable-name-face keep)
     (3 'fwc-value keep t)
     (4 font-lock-variable-name-face keep t))
    ("\\_<chain\\s-+\\([^ \t\n{}#\"]+\\)\\s-+\\([^ \t\n{}#\"]+\\)"
     (1 font-lock-type-face keep)
     (2 font-lock-function-name-face keep))
    ("\\_<use\\s-+\\(target\\)\\s-+\\(iptables\\|nft\\)\\_>"
     (1 font-lock-keyword-face keep)
     (2 font-lock-keyword-face keep))
    ("\\_<target\\s-+\\(iptables\\|nft\\)\\_>" 1 font-lock-keyword-face keep)
    (,(concat "\\_<use\\s-+" fwc--name "\\s-+\\(except\\)\\_>")
     2 font-lock-keyword-face keep)
    (,(concat "\\_<set\\s-+" fwc--name "\\s-+\\(live\\)\\_>")
     2 font-lock-keyword-face keep)
    ("\\_<from\\s-+\\(file\\)\\s-*\"" 1 font-lock-keyword-face keep)
    ("=\\s-*\\(default-route\\)\\_>" 1 font-lock-keyword-face keep)
    ("\\_<clamp\\s-+\\(mss\\)\\_>" 1 font-lock-keyword-face keep)
    ("\\_<[0-9]+\\s-+\\(connections?\\)\\_>" 1 font-lock-keyword-face keep)
    ("\\_<\\(per\\)\\s-+source\\_>" 1 font-lock-keyword-face keep)
    ("\\_<\\(burst\\)\\s-+[0-9]" 1 font-lock-keyword-face keep)
    ("\\_<\\(rate\\)\\s-+[0-9]+/" 1 font-lock-keyword-face keep)
    (,(concat "\\_<\\(level\\)\\s-+"
              (regexp-opt '("debug" "info" "notice" "warning" "warn" "error"
                            "err" "crit" "alert" "emerg" "panic")
                          'symbols))
     1 font-lock-keyword-face keep)
    ("\\_<icmp\\s-+\\(redirect\\)\\_>" 1 font-lock-variable-name-face keep)
    (,(concat "\\_<host\\s-+\\(user\\)\\s-+" fwc--name)
     (1 (fwc--named font-lock-keyword-face) keep)
     (2 (fwc--named font-lock-variable-name-face) keep))
    (,(concat "^\\s-*\\(?:network\\|container\\|guest\\|instance\\)\\s-+"
              fwc--name "\\s-+on\\_>")
     ("\\_<\\(?:address\\|publish\\)\\_>" nil nil
      (0 font-lock-keyword-face keep)))
    (,(concat "\\_<\\(interface\\|set\\|service\\|group\\)\\s-+" fwc--name)
     2 (fwc--named font-lock-type-face) keep)
    (,(concat "\\_<\\(container\\|guest\\|instance\\|network\\)\\s-+" fwc--name)
     2 (fwc--named font-lock-variable-name-face) keep)
    ("\\_<\\(?:on\\|via\\)\\s-+\\([0-9]\\(?:\\sw\\|\\s_\\)*\\)"
     1 font-lock-variable-name-face keep)
    ;; Words that mean the same everywhere.
    ("\\_<allow\\_>" 0 'fwc-allow keep)
    ("\\_<\\(?:deny\\|reject\\)\\_>" 0 'fwc-deny keep)
    (,(regexp-opt fwc--declaring 'symbols) 0 font-lock-keyword-face keep)
    (,(regexp-opt fwc--places 'symbols) 0 font-lock-builtin-face keep)
    (,(regexp-opt fwc--protocols 'symbols) 0 font-lock-builtin-face keep)
    (,(regexp-opt fwc--other 'symbols) 0 font-lock-keyword-face keep)
    ("\\_<\\(?:[0-9]\\|[[:xdigit:]]\\{0,4\\}:\\)\\(?:\\sw\\|\\s_\\)*"
     0 'fwc-value keep))
  "What is coloured in `fwc-mode'.")

(defvar fwc-mode-syntax-table
  (let ((table (make-syntax-table)))
    (modify-syntax-entry ?# "<" table)
    (modify-syntax-entry ?\n ">" table)
    (modify-syntax-entry ?\" "\"" table)
    (dolist (mark '(?\\ ?\' ?\( ?\) ?\[ ?\] ?, ?=))
      (modify-syntax-entry mark "." table))
    (dolist (letter '(?_ ?. ?: ?/ ?+ ?* ?@ ?% ?-))
      (modify-syntax-entry letter "_" table))
    table)
  "What the letters of a policy are.")

(defun fwc--extend-to-chain (start end)
  "Begin at the chain that START stands in, if any, and go on to END."
  (when (and (> start (point-min)) (get-text-property (1- start) 'fwc-raw))
    (let ((chain (previous-single-property-change start 'fwc-raw)))
      (cons (save-excursion
              (goto-char (or chain (point-min)))
              (line-beginning-position))
            end))))

(defun fwc--syntax-propertize (start end)
  "Mark netfilter's own words, and strings without an end, from START to END."
  (remove-text-properties start end '(fwc-raw nil))
  (goto-char start)
  (while (re-search-forward "[#\"]\\|\\_<chain\\s-+[^ \t\n{}#\"]+\\s-+[^ \t\n{}#\"]+\\s-*{" end t)
    (unless (fwc--pass-text end)
      (let ((from (point)) (depth 1))
        (while (and (> depth 0) (re-search-forward "[#\"{}]" end 'move))
          (unless (fwc--pass-text end)
            (setq depth (+ depth (if (eq (char-before) ?{) 1 -1)))))
        (put-text-property from (if (= depth 0) (1- (point)) end)
                           'fwc-raw t)))))

(defun fwc--pass-text (end)
  "Go over the comment or string that begins before point, at most to END.
The value is nil if none does."
  (pcase (char-before)
    (?# (goto-char (min end (line-end-position))))
    (?\" (unless (search-forward "\"" (min end (line-end-position)) t)
           (put-text-property (1- (point)) (point)
                              'syntax-table (string-to-syntax ".")))
         t)))

(defun fwc-indent-line ()
  "Indent this line by the blocks and lists that it stands in."
  (interactive)
  (let* ((state (save-excursion (syntax-ppss (line-beginning-position))))
         (closes (save-excursion
                   (back-to-indentation)
                   (eq (char-after) ?})))
         (depth (- (nth 0 state) (if closes 1 0)))
         (column (* fwc-indent-offset (max 0 depth))))
    (if (<= (current-column) (current-indentation))
        (indent-line-to column)
      (save-excursion (indent-line-to column)))))

(defun fwc-format-buffer ()
  "Lay the buffer out as `fwc fmt' does."
  (interactive)
  (let ((laid (generate-new-buffer " *fwc fmt*"))
        (source (current-buffer)))
    (unwind-protect
        (let ((status (call-process-region nil nil fwc-program nil
                                           (list laid nil) nil "fmt" "-")))
          (unless (eq status 0)
            (user-error "`%s fmt' ends with %s" fwc-program status))
          (with-current-buffer source
            (replace-buffer-contents laid)))
      (kill-buffer laid))))

(defvar fwc-mode-map
  (let ((map (make-sparse-keymap)))
    (define-key map (kbd "C-c C-f") #'fwc-format-buffer)
    (define-key map (kbd "C-c C-c") #'compile)
    map)
  "Keys of `fwc-mode'.")

;;;###autoload
(define-derived-mode fwc-mode prog-mode "fwc"
  "Firewall policies of fwc, and their tests.

\\{fwc-mode-map}"
  (setq-local comment-start "# ")
  (setq-local comment-start-skip "#+\\s-*")
  (setq-local comment-end "")
  (setq-local indent-line-function #'fwc-indent-line)
  (setq-local indent-tabs-mode nil)
  (setq-local electric-indent-chars (append '(?}) electric-indent-chars))
  (setq-local syntax-propertize-function #'fwc--syntax-propertize)
  (add-hook 'syntax-propertize-extend-region-functions
            #'fwc--extend-to-chain nil t)
  (setq-local font-lock-defaults '(fwc-font-lock-keywords))
  (setq-local parse-sexp-ignore-comments t)
  (setq-local imenu-generic-expression
              (mapcar (lambda (kind)
                        (list (capitalize kind)
                              (concat "^\\s-*" kind "\\s-+" fwc--name) 1))
                      '("interface" "set" "service" "group" "guest"
                        "instance" "network" "container")))
  (when buffer-file-name
    (setq-local compile-command
                (format "%s check --format short %s" fwc-program
                        (shell-quote-argument
                         (file-name-nondirectory buffer-file-name))))))

;;;###autoload
(add-to-list 'auto-mode-alist '("\\.fw\\(?:test\\)?\\'" . fwc-mode))

(defun fwc--server (&rest _)
  "Say how to start the language server."
  (list fwc-program "lsp"))

(defvar eglot-server-programs)
(with-eval-after-load 'eglot
  (add-to-list 'eglot-server-programs '(fwc-mode . fwc--server)))

(provide 'fwc-mode)

;;; fwc-mode.el ends here
