-- Settings for policies, and the language server.
if vim.b.did_ftplugin then
  return
end
vim.b.did_ftplugin = 1

vim.bo.commentstring = "# %s"
vim.bo.comments = ":#"
vim.bo.expandtab = true
vim.bo.shiftwidth = 4
vim.bo.softtabstop = 4
vim.bo.textwidth = 100
-- Indentation by braces; `=` and `gq` lay out what the language server lays out once it runs.
vim.bo.smartindent = true
vim.bo.formatprg = "fwc fmt -"
vim.bo.errorformat = "%f:%l:%c: %t%*[a-z][%m"
vim.bo.makeprg = "fwc check --format short %:S"
vim.b.undo_ftplugin = "setlocal commentstring< comments< expandtab< shiftwidth< softtabstop< textwidth< smartindent< "
  .. "formatprg< errorformat< makeprg<"

-- Where a tree-sitter parser for fwc is installed it gives the colours; elsewhere syntax/fwc.vim does.
if vim.treesitter and vim.treesitter.start then
  pcall(vim.treesitter.start, 0, "fwc")
end

-- Neovim 0.11 and later start servers from lsp/fwc.lua; those before it do it here.
if vim.lsp.enable then
  vim.lsp.enable("fwc")
elseif vim.lsp.start then
  local markers = vim.fs.find({ "fwc.toml", "fwc.facts.json", ".git" }, { upward = true, path = vim.api.nvim_buf_get_name(0) })
  vim.lsp.start({
    name = "fwc",
    cmd = { "fwc", "lsp" },
    root_dir = markers[1] and vim.fs.dirname(markers[1]) or vim.fn.getcwd(),
  })
else
  vim.lsp.buf_attach_client(0, vim.g.fwc_client or (function()
    vim.g.fwc_client = vim.lsp.start_client({ name = "fwc", cmd = { "fwc", "lsp" }, root_dir = vim.fn.getcwd() })
    return vim.g.fwc_client
  end)())
end
