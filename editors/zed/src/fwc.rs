//! Tells Zed how the language server of fwc is started.

use zed_extension_api::{self as zed, Command, LanguageServerId, Result, Worktree};

struct Fwc;

impl zed::Extension for Fwc {
    fn new() -> Self {
        Self
    }

    fn language_server_command(&mut self, _: &LanguageServerId, worktree: &Worktree) -> Result<Command> {
        let command = worktree.which("fwc").ok_or("`fwc` is not on the path: `cargo install --path .` puts it there")?;
        Ok(Command { command, args: vec!["lsp".to_owned()], env: worktree.shell_env() })
    }
}

zed::register_extension!(Fwc);
