//! The style itself: source, and below it what becomes of it.

use fwc::format::{edits_in, format};

fn shows(source: &str) -> String {
    format!("{source}\n----------\n{}", format(source))
}

macro_rules! style {
    ($name:ident, $source:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), shows($source));
        }
    };
}

style!(
    words_stand_one_space_apart,
    "allow   ssh\tfrom{office,vpn}to   host limit 10/minute   per source\nfact docker.version=\"28.5\"\nallow tcp 80,443 to host\n"
);

style!(
    blocks_are_opened_and_indented,
    "to host { allow ssh }\nfrom lan{\nto container {\n  allow http\n\n\n  allow https\n\n}\n}\ngroup none {\n}\nguest vm1 on tap1 {in allow ssh\nout deny}\n"
);

style!(blank_lines_stay_as_one, "\n\n# first\n\n\n\nuse docker\nuse lxd\n\n\nto host {\n\n    allow ssh\n\n}\n\n\n");

style!(
    declarations_of_a_kind_are_aligned,
    "interface wan = default-route\ninterface lan-of-guests = eth1\nset a = { 10.0.0.1 }\nset office = { 198.51.100.0/24 }\n\nset b = { 10.0.0.2 }\nservice app = tcp 8000\n# its metrics\nservice app-metrics = tcp 9000\n"
);

style!(
    comments_behind_lines_are_aligned,
    "allow ssh to host # one\nallow https to host  # two\n                     # goes on\n# alone\nallow http to host # three\nallow { tcp 2049, udp 2049, tcp 111, udp 111, tcp 20048, udp 20048 } to host # wide\nto host { # a block\nallow dns # inside\n} # its end\n"
);

style!(
    long_lists_are_broken,
    "set blocked = { 192.0.2.1, 192.0.2.3, 192.0.2.5, 192.0.2.7, 192.0.2.9, 192.0.2.11, 2001:db8::1, 2001:db8::3 }\nallow { tcp 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015, 1016, 1017, udp 53 } from { office, vpn } to host\n"
);

style!(
    spread_lists_stay_spread,
    "set office = {\n198.51.100.0/24, 2001:db8:1::/48 }\nset vpn = { 10.8.0.0/24,\n  10.9.0.0/24, }\nto {\n  host, guest\n} {\nallow ping\n}\n"
);

style!(
    comments_in_lists_stay_with_their_members,
    "set office = { # all of them\n  198.51.100.0/24 # Lyon\n , 2001:db8:1::/48, # the same\n\n  # Paris\n  203.0.113.0/24 # new\n  # no more\n}\nallow from { guest # odd\n vm1, host } to world\n"
);

style!(
    chains_are_only_indented,
    "chain   filter  INPUT{\n-p tcp   --dport 80 -j DROP   # why\n   -m comment --comment \"a  b\"\n\n\n  # alone\n}\nchain nat OUTPUT { }\n"
);

style!(
    what_cannot_be_read_is_kept,
    "use   docker\nallow   shh frm   office\nto   host {\nallow  ssh\n   allw   http   # why\n allow tcp 10.0.0.300   to   host\n}\nset a={ 10.0.0.1,\n     ,10.0.0.2 }\n"
);

style!(
    where_braces_do_not_match_no_line_is_moved,
    "use   docker\n\n\nto   host {\n        allow   ssh\nset   a={10.0.0.1}\n"
);

style!(other_line_ends_and_marks, "\u{feff}use docker\r\n\r\n\r\nallow ssh to host   # why   \r\nallow http to host");

#[test]
fn a_range_changes_what_it_touches() {
    let text = "allow  ssh to host\nallow  http to host\nallow  dns to host\n";
    let at = text.find("http").expect("there");
    let edits = edits_in(text, &(at..at));
    assert_eq!(edits.len(), 1);
    assert_eq!(fwc::format::apply(text, &edits), "allow  ssh to host\nallow http to host\nallow  dns to host\n");
    assert_eq!(edits_in("allow ssh to host\n", &(0..5)), []);
}
