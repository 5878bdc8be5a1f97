//! No text makes a reader panic, or takes it long.

use std::time::{Duration, Instant};

use fwc::net::Family;
use fwc::read;
use fwc::span::FileId;

use super::root;

/// Every reader on one text.
fn all(text: &str) {
    let file = FileId(0);
    let _ = read::detect(text);
    let mut count = 0;
    for family in Family::BOTH {
        count += read::iptables(file, text, family).faults.len();
    }
    count += read::ipset(file, text).1.len();
    count += read::nft(file, text).faults.len();
    count += read::nft_json(file, text).faults.len();
    std::hint::black_box(count);
}

fn samples() -> Vec<String> {
    let paths = [
        "tests/data/listings/everything.txt",
        "tests/data/listings/everything.json",
        "tests/data/rulesets/ufw-0.36/b-typical/ip6tables.save",
        "tests/data/rulesets/docker-28.5/b-web/iptables.save",
        "tests/data/rulesets/fail2ban-1.1/iptables-ipset/ipset.save",
    ];
    paths.map(|path| std::fs::read_to_string(root().join(path)).expect(path)).to_vec()
}

#[test]
fn a_text_may_end_anywhere() {
    for text in samples() {
        // At every byte of the first lines, and at many of the rest.
        let ends = (0..text.len()).filter(|end| *end < 2000 || end % 97 == 0);
        for end in ends.filter(|end| text.is_char_boundary(*end)) {
            all(text.get(..end).expect("the end of a character"));
        }
    }
}

#[test]
fn damage_is_survived() {
    let mut state = 11u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let marks = b"{}()\",;\n!-@.:/*# \\0[]";
    for text in samples() {
        for _ in 0..150 {
            let mut bytes = text.clone().into_bytes();
            bytes.truncate(20_000);
            for _ in 0..=random(6) {
                let at = random(bytes.len());
                match random(4) {
                    0 => drop(bytes.remove(at)),
                    1 => bytes.insert(at, marks[random(marks.len())]),
                    2 => bytes[at] = u8::try_from(random(256)).expect("a byte"),
                    _ => {
                        let end = (at + random(60)).min(bytes.len());
                        let part: Vec<u8> = bytes[at..end].to_vec();
                        let to = random(bytes.len());
                        bytes.splice(to..to, part);
                    }
                }
            }
            all(&String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn nothing_takes_long() {
    let before = Instant::now();
    for text in [
        "{".repeat(100_000),
        format!("table inet x {{ set a {{ elements = {{ {}", "{ ".repeat(100_000)),
        format!("*filter\n-A INPUT {}", "! ".repeat(200_000)),
        format!("*filter\n-A INPUT {}", "-m tcp --dport 1 ".repeat(50_000)),
        format!("{{\"nftables\":[{}", "[".repeat(100_000)),
        format!("add rule ip a b ip saddr {}", "1.2.3.4,".repeat(100_000)),
        format!("table ip a {{ chain b {{\n{}", "ip saddr 1.2.3.4 log ip daddr 1.2.3.4 ".repeat(20_000)),
        format!("table ip a {{ chain b {{\n{}", "tcp dport 1 ".repeat(100_000)),
        format!("table inet a {{ chain b {{\n{}", "meta mark set ".repeat(100_000)),
    ] {
        all(&text);
    }
    assert!(before.elapsed() < Duration::from_secs(60), "{:?}", before.elapsed());
}
