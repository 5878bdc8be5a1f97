-- How the language server is started, for every version of Neovim.
return {
  name = "fwc",
  cmd = { "fwc", "lsp" },
  filetypes = { "fwc" },
  root_markers = { "fwc.toml", "fwc.facts.json", ".git" },
  -- Neovim 0.10 and 0.11 ask for diagnostics but cannot be told when to ask again, so they are sent as well: each would be shown twice.
  on_init = function(client)
    local workspace = vim.lsp.protocol.make_client_capabilities().workspace or {}
    if not (workspace.diagnostics or {}).refreshSupport then
      client.server_capabilities.diagnosticProvider = nil
    end
  end,
}
