-- For `vim.lsp.enable("fwc")`, Neovim 0.11 and later.
return require("fwc.client")
