-- Neovim 0.11 and later: lsp/fwc.lua says how the server is started, with the first policy.
if vim.lsp.enable then
  vim.lsp.enable("fwc")
end
