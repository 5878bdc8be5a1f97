-- Neovim 0.7 asks its own table of file types only if it was told to; the line below it holds there, too.
vim.filetype.add({ extension = { fw = "fwc", fwtest = "fwc" } })
vim.cmd("autocmd BufNewFile,BufRead *.fw,*.fwtest setfiletype fwc")
