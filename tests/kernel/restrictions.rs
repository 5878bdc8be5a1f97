//! What iptables refuses, asked of the tools present: the table that checks and the validation rest on says the same.

use std::path::Path;

use super::accept::{can, in_namespace};

/// The table. `UPDATE=1` writes it anew.
const TABLE: &str = "src/netfilter/restrictions.tsv";

#[test]
fn the_table_of_restrictions_is_what_the_tools_refuse() {
    let name = "the_table_of_restrictions_is_what_the_tools_refuse";
    if !can(name, &["iptables-nft -S", "iptables-legacy -S", "ip6tables-legacy -S", "nft list tables", "ipset list"]) {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = root.join("tests/data/restrictions");
    let said = in_namespace(&directory, "sh probe.sh <options.txt 2>&1").expect("the tools are asked");
    let (absent, rows): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| line.starts_with("not taken here: "));
    let absent: Vec<&str> = absent.iter().filter_map(|line| line.strip_prefix("not taken here: ")).collect();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(root.join(TABLE), rows.join("\n") + "\n").expect("the table is ours");
        return;
    }
    let table = std::fs::read_to_string(root.join(TABLE)).expect("the table");
    // What this kernel does not have cannot be asked of it.
    let here = |row: &&str| !row.split('\t').next().is_some_and(|name| absent.contains(&name));
    let known: Vec<&str> = table.lines().filter(here).collect();
    for absent in &absent {
        println!("skipped: {name}: this host takes no `{absent}`");
    }
    assert!(rows.len() > 150, "the tools answered {} times", rows.len());
    for (row, known) in rows.iter().zip(&known) {
        assert_eq!(row, known, "a tool refuses what the table does not, or the other way round");
    }
    assert_eq!(rows.len(), known.len(), "{TABLE}: run the test with UPDATE=1");
}
