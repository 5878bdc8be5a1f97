//! Thousands of open texts.

use std::time::{Duration, Instant};

use super::client::Client;

/// Policies that are open at once; every tenth includes a file that others include as well.
const TEXTS: usize = 400;

fn text(number: usize) -> String {
    let include = if number.is_multiple_of(10) { "include \"base.fw\"\n" } else { "" };
    format!("{include}allow ssh from 10.0.{}.{} to host\nallow shh to host\n", number / 250, number % 250 + 1)
}

/// How long it takes until something is said of each of so many texts.
fn opened(count: usize) -> (Client, Duration) {
    let names: Vec<String> = (0..count).map(|number| format!("site{number}.fw")).collect();
    let texts: Vec<String> = (0..count).map(text).collect();
    let mut files: Vec<(&str, &str)> = names.iter().zip(&texts).map(|(name, text)| (&**name, &**text)).collect();
    files.push(("base.fw", "allow https from 10.9.0.0/16 to host\n"));
    let mut client = Client::new(&files);
    let start = Instant::now();
    for (name, text) in names.iter().zip(&texts) {
        client.open(name, text);
        // One that waits for each is the worst client there is.
        assert_eq!(client.published(name).len(), 1, "{name}");
    }
    let took = start.elapsed();
    (client, took)
}

#[test]
fn a_text_is_opened_as_fast_among_many_as_among_few() {
    let (_, few) = opened(TEXTS / 8);
    let (mut client, many) = opened(TEXTS);
    // Eight times as many take eight times as long, not 64 times; the machine does other things as well.
    assert!(many < few * 24 + Duration::from_secs(1), "{few:?} for {}, {many:?} for {TEXTS}", TEXTS / 8);
    // What several include is still looked at with each of them.
    client.open("base.fw", "allow https from 10.9.0.0/16 to host\nallow shh to host\n");
    assert_eq!(client.published("base.fw").len(), 1);
    client.replace("base.fw", "allow https from 10.9.0.0/16 to host\n");
    assert_eq!(client.published("base.fw").len(), 0);
    client.close("site0.fw");
    client.replace("site1.fw", "include \"base.fw\"\nallow ssh from 10.0.0.0/8 to host\n");
    assert_eq!(client.published("site1.fw").len(), 0);
}
