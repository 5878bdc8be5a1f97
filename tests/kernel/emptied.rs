//! Emitted rules taken out of a kernel again, so that the next ones find it as it was.

use super::emitted::{Backend, Files};
use super::namespace::Namespace;

/// Takes our rules away, and leaves the jumps to them and what others wrote.
pub fn unload(namespace: &Namespace, files: &Files, backend: Backend) {
    for (ending, program) in [(".empty.v4", "iptables"), (".empty.v6", "ip6tables")] {
        if let Some((_, text)) = files.iter().find(|(name, _)| name.ends_with(ending)) {
            let program = format!("{program}-{}-restore", backend.variant());
            namespace.run(&program, &["-w", "--noflush"], text).expect("an emptying file loads");
        }
    }
    if let Some((_, text)) = files.iter().find(|(name, _)| name.ends_with(".empty.nft")) {
        namespace.run("nft", &["-f", "-"], text).expect("an emptying file loads");
    }
}
