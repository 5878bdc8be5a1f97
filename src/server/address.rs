//! Files as the protocol names them, by URI, and as the system does, by path.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use gen_lsp_types::Uri;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

/// What the path of a URI does not hold as it is.
const RESERVED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The path of a URI. A text that is no file (`untitled:Untitled-1`) is known by its URI.
pub fn path(uri: &Uri) -> PathBuf {
    let Some(rest) = uri.0.strip_prefix("file://") else { return PathBuf::from(&uri.0) };
    let at = rest.find('/').unwrap_or(rest.len());
    let bytes: Vec<u8> = percent_decode_str(rest.get(at..).unwrap_or_default()).collect();
    PathBuf::from(OsString::from_vec(bytes))
}

/// The URI of a path.
pub fn uri(path: &Path) -> Uri {
    if path.is_absolute() {
        Uri(format!("file://{}", percent_encode(path.as_os_str().as_bytes(), RESERVED)))
    } else {
        Uri(path.to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_its_uri_lead_to_each_other() {
        for name in ["/etc/fwc/site.fw", "/home/jörg/my policies/a#b%20.fw", "/a?[b]{c}^|.fw"] {
            assert_eq!(path(&uri(Path::new(name))), Path::new(name));
        }
        assert_eq!(uri(Path::new("/a b/ü.fw")).0, "file:///a%20b/%C3%BC.fw");
        assert_eq!(path(&Uri("file:///a%3A/b.fw".into())), Path::new("/a:/b.fw"), "an editor may write more that way");
        assert_eq!(path(&Uri("file://localhost/b.fw".into())), Path::new("/b.fw"));
        assert_eq!(path(&Uri("untitled:Untitled-1".into())), Path::new("untitled:Untitled-1"));
    }
}
