-- For `vim.lsp.enable("fwc")`, Neovim 0.11 and later.
return {
  cmd = { "fwc", "lsp" },
  filetypes = { "fwc" },
  root_markers = { "fwc.toml", "fwc.facts.json", ".git" },
}
