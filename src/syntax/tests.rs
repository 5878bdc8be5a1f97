use super::*;

fn read(text: &str) -> Parsed {
    parse(text, FileId(0))
}

#[test]
fn the_first_sentence_is_read_verbatim() {
    let parsed = read("allow tcp 443 from 10.1.1.1 to container via ens33");
    assert_eq!(parsed.diagnostics, []);
    assert_eq!(parsed.tree.statements.len(), 1);
}
