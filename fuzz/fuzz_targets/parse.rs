//! Any bytes at all: reading them never fails, every span lies in them, and every edit that is offered can be carried out.

#![no_main]

use fwc::span::{FileId, Span};
use fwc::syntax::{parse, parse_bytes};
use libfuzzer_sys::fuzz_target;

fn lies_inside(span: Span, length: usize) {
    assert!(span.start <= span.end && span.range().end <= length, "{span:?} of {length}");
}

fuzz_target!(|bytes: &[u8]| {
    let parsed = parse_bytes(bytes, FileId(0));
    for statement in &parsed.tree.statements {
        lies_inside(statement.span, bytes.len());
    }
    for diagnostic in &parsed.diagnostics {
        lies_inside(diagnostic.primary.location.span, bytes.len());
        for label in &diagnostic.related {
            lies_inside(label.location.span, bytes.len());
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for diagnostic in &parsed.diagnostics {
        assert!(text.get(diagnostic.primary.location.span.range()).is_some(), "{diagnostic:?}");
        for edit in diagnostic.helps.iter().flat_map(|help| &help.edits) {
            let mut mended = text.to_owned();
            mended.replace_range(edit.location.span.range(), &edit.replacement);
            let _ = parse(&mended, FileId(0));
        }
    }
});
