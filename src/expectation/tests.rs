use super::*;
use crate::codes::find;

fn source(text: &str) -> SourceText {
    SourceText { path: "site.fw".into(), text: text.into() }
}

fn at(text: &str, mark: &str, name: &str) -> Diagnostic {
    let start = text.find(mark).expect("the mark");
    let span = Span::new(start, start + mark.len());
    Diagnostic::new(find(name).expect("the code"), Location { file: FileId(0), span }, "m")
}

#[test]
fn the_edit_makes_a_comment_that_is_obeyed() {
    let text = "*filter\n  -A INPUT -j ACCEPT\n  -A INPUT -j DROP\nCOMMIT\n";
    let finding = at(text, "INPUT -j DROP", "shadowed-rule");
    let edit = insertion(&source(text), &finding, "the vendor's\n script").expect("an edit");
    let at = edit.location.span.start as usize;
    let mut edited = text.to_owned();
    edited.insert_str(at, &edit.replacement);
    assert!(
        edited.contains("\n  # fwc: expect(shadowed-rule) -- the vendor's script\n  -A INPUT -j DROP\n"),
        "{edited}"
    );
    let expectations = Expectations::of_rules(&source(&edited), Form::Iptables(None));
    assert_eq!(expectations.faults, []);
    let mut found = vec![super::tests::at(&edited, "INPUT -j DROP", "shadowed-rule")];
    let mut excused = Vec::new();
    expectations.excuse(&mut found, &mut excused);
    assert_eq!((found.len(), excused.len()), (0, 1));
    assert_eq!(expectations.unfulfilled(&excused, Sought::Rules { all: false }), []);
}

#[test]
fn there_is_no_edit_where_nothing_can_be_expected() {
    let text = "allow sssh to host\n";
    assert_eq!(insertion(&source(text), &at(text, "sssh", "unknown-service"), "why"), None);
    let json = "{\"nftables\": [{\"rule\": 1}]}";
    assert_eq!(insertion(&source(json), &at(json, "rule", "shadowed-rule"), "why"), None);
}

#[test]
fn a_text_of_any_kind_is_read() {
    for text in [
        "#fwc:",
        "# fwc: expect(",
        "# fwc: expect(,)",
        "# fwc: allow(é) -- ü",
        "# fwc:expect)(--",
        "\"# fwc: x",
        "# fwc: expect() --",
    ] {
        let read = Expectations::of_rules(&source(text), Form::Nft);
        for fault in &read.faults {
            assert!(text.get(fault.primary.location.span.range()).is_some(), "{text}: {fault:?}");
        }
        assert_eq!(read.faults.is_empty(), text.starts_with('"'), "{text}");
    }
}

#[test]
fn what_is_missed_can_be_taken_out() {
    let names = ["shadowed-rule", "redundant-rule", "never-matches"].map(|name| find(name).expect("the code").name);
    let missed = |text: &str| {
        let expectations = Expectations::of_rules(&source(text), Form::Nft);
        assert_eq!(expectations.faults, [], "{text}");
        expectations.unfulfilled(&[], Sought::Rules { all: true })
    };
    for before in [
        "accept\n  # fwc: expect(LIST) -- why\n\taccept # more\r\n",
        "accept\n\taccept  # fwc: expect(LIST) -- why\r\n",
    ] {
        for count in 1..=names.len() {
            let mut text = before.replace("LIST", &names[..count].join(", "));
            assert_eq!(missed(&text).len(), count, "{text}");
            // Whichever is taken out first, one less is missed, and in the end no comment is left.
            for left in (0..count).rev() {
                let found = missed(&text);
                let edit = found[left / 2].helps[0].edits[0].clone();
                text.replace_range(edit.location.span.range(), &edit.replacement);
                assert_eq!(missed(&text).len(), left, "{text}");
            }
            let rest = if before.contains("more") { "accept\n\taccept # more\r\n" } else { "accept\n\taccept\r\n" };
            assert_eq!(text, rest);
        }
    }
}
