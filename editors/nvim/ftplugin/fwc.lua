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
-- Comments are broken at that width, statements are not: a line that is broken anywhere is no statement.
vim.cmd("setlocal formatoptions-=t formatoptions+=croql")
-- `gq` lays out the same once the language server runs.
vim.bo.formatprg = "fwc fmt -"
vim.bo.errorformat = "%f:%l:%c: %t%*[a-z][%m"
vim.bo.makeprg = "fwc check --format short %:S"
vim.b.undo_ftplugin = "setlocal commentstring< comments< expandtab< shiftwidth< softtabstop< textwidth< formatoptions< "
  .. "formatprg< errorformat< makeprg<"

-- What lets in and what keeps out are told apart, whatever gives the colours.
vim.cmd("highlight default fwcAllow cterm=bold ctermfg=DarkGreen gui=bold guifg=SeaGreen")
vim.cmd("highlight default fwcDeny cterm=bold ctermfg=DarkRed gui=bold guifg=IndianRed")

-- Where a tree-sitter parser for fwc is installed it gives the colours; elsewhere syntax/fwc.vim does.
if pcall(vim.treesitter.start, 0, "fwc") then
  vim.cmd("highlight default link @keyword.allow.fwc fwcAllow")
  vim.cmd("highlight default link @keyword.deny.fwc fwcDeny")
end

-- Neovim 0.11 and later start servers by plugin/fwc.lua and lsp/fwc.lua; those before it do it here, one for all policies.
if vim.lsp.enable then
  return
end
local server = vim.deepcopy(require("fwc.client"))
local file = vim.api.nvim_buf_get_name(0)
local function root()
  local directory = vim.fn.fnamemodify(file, ":p:h")
  for _, marker in ipairs(server.root_markers) do
    for _, find in ipairs({ vim.fn.findfile, vim.fn.finddir }) do
      local found = find(marker, vim.fn.escape(directory, " ,;") .. ";")
      if found ~= "" then
        return vim.fn.fnamemodify(found, marker == ".git" and find == vim.fn.finddir and ":p:h:h" or ":p:h")
      end
    end
  end
  return directory
end
server.root_dir = root()
if vim.fn.executable("fwc") == 0 then
  vim.notify_once("fwc: there is no `fwc` on the path, therefore no diagnostics")
elseif vim.lsp.start then
  vim.lsp.start(server)
else
  local running = vim.g.fwc_client and vim.lsp.get_client_by_id(vim.g.fwc_client)
  if not running or running.is_stopped() then
    vim.g.fwc_client = vim.lsp.start_client(server)
  end
  vim.lsp.buf_attach_client(0, vim.g.fwc_client)
end
