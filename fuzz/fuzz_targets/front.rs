//! Any text at all, through the whole front end, for both back ends: no stage fails, and every place that a diagnostic names is there.

#![no_main]

use std::sync::Arc;

use fwc::library;
use fwc::span::FileId;
use fwc::syntax::parse;
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/front/whole.rs"]
mod whole;

fuzz_target!(|text: &str| {
    whole::compile(text, &mut |path, id| Arc::new(parse(library::text(path).unwrap_or_default(), FileId(id))));
});
