//! Texts that nobody writes: the real program gives an error or a result in bounded time and memory, and never falls over.
//!
//! The bounds are wide, for a build without optimisation on a busy machine: what they catch is time that grows with the square of
//! the input, and memory that is not bounded at all.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longest time of a run.
const TIME: Duration = Duration::from_secs(120);
/// Largest address space of a run, KiB.
const MEMORY: u32 = 3 << 20;

/// Writes the files and builds `site.fw` among them for both back ends; the exit status is that of the last.
fn build(name: &str, files: &[(&str, &[u8])]) -> i32 {
    let directory = tempfile::tempdir().expect("directory");
    for (path, bytes) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("directory");
        fs::write(path, bytes).expect("write");
    }
    let mut status = 0;
    for target in ["iptables", "nft"] {
        status = run(name, directory.path(), target);
    }
    status
}

fn run(name: &str, directory: &Path, target: &str) -> i32 {
    let start = Instant::now();
    // The limit is the shell's to set: this crate has no unsafe code, and a limit on itself would be one on all tests.
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -v {MEMORY} && exec \"$@\""), "sh", env!("CARGO_BIN_EXE_fwc")])
        .args(["build", "site.fw", "--target", target, "-o", "out"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(directory.join("stderr")).expect("file"))
        .spawn()
        .expect("sh");
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break status;
        }
        if start.elapsed() > TIME {
            child.kill().expect("kill");
            child.wait().expect("wait");
            panic!("{name}, {target}: not done after {TIME:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let told = fs::read(directory.join("stderr")).expect("stderr");
    let told = String::from_utf8_lossy(&told);
    assert!(status.signal().is_none(), "{name}, {target}: {status}: {}", tail(&told));
    let code = status.code().expect("a status");
    assert!([0, 1, 2].contains(&code), "{name}, {target}: status {code}: {}", tail(&told));
    assert!(told.len() < 20 << 20, "{name}, {target}: {} bytes of diagnostics", told.len());
    assert!(code == 0 || !told.trim().is_empty(), "{name}, {target}: refused without a word");
    println!("{name}, {target}: status {code} after {:?}", start.elapsed());
    code
}

fn tail(text: &str) -> &str {
    let start = text.len().saturating_sub(2_000);
    (start..text.len()).find_map(|at| text.get(at..)).unwrap_or_default()
}

/// One policy, without other files.
fn site(name: &str, text: impl AsRef<[u8]>) -> i32 {
    build(name, &[("site.fw", text.as_ref())])
}

fn lines(count: u32, line: impl Fn(u32) -> String) -> String {
    let mut text = String::new();
    for number in 0..count {
        let _ = writeln!(text, "{}", line(number));
    }
    text
}

/// The only one of a kind: 10.x.y.z.
fn address(number: u32) -> String {
    std::net::Ipv4Addr::from(0x0a00_0000 + number * 2).to_string()
}

#[test]
fn long_lines() {
    assert_eq!(site("100 MB in one line", "allow tcp 443 from 10.1.1.1 ".repeat(100 * 1024 * 1024 / 28)), 2);
    assert_eq!(site("30 MB in one line", format!("allow from {{ {} }} to host", "10.0.0.1, ".repeat(3 << 20))), 1);
    assert_eq!(site("30 MB in one word", "x".repeat(30 << 20)), 1);
    assert_eq!(site("30 MB in one comment", format!("# {}\nallow ssh to host\n", "x".repeat(30 << 20))), 0);
    assert_eq!(site("a million quotation marks", "\"".repeat(1 << 20)), 1);
}

#[test]
fn deep_nesting() {
    assert_eq!(site("10,000 braces", "{".repeat(10_000)), 1);
    assert_eq!(site("10,000 braces, closed", "{".repeat(10_000) + &"}".repeat(10_000)), 1);
    let deep = |open: &str, close: &str| open.repeat(10_000) + "allow ssh to host\n" + &close.repeat(10_000);
    assert_eq!(site("10,000 scopes", deep("to host {\n", "}\n")), 1);
    assert_eq!(site("10,000 groups", deep("group a {\n", "}\n")), 1);
    assert_eq!(
        site("10,000 lists", format!("allow from {}any{} to host", "{ ".repeat(10_000), " }".repeat(10_000))),
        1
    );
    assert_eq!(site("10,000 negations", format!("allow from {} any to host", "not ".repeat(10_000))), 1);
}

#[test]
fn bytes_that_are_no_text() {
    assert_eq!(site("one NUL", b"allow ssh\0 to host\n"), 1);
    assert_eq!(site("10 MB of NUL", vec![0; 10 << 20]), 1);
    assert_eq!(site("invalid UTF-8", b"allow ssh to host # \xff\xfe\n"), 1);
    assert_eq!(site("10 MB of invalid UTF-8", vec![0xff; 10 << 20]), 1);
    assert_eq!(site("a character cut short", b"set a = { 10.0.0.1 } # \xe2\x82"), 1);
    assert_eq!(
        build(
            "a set file that is no text",
            &[("site.fw", b"set a from file \"a\"\ndeny from a to host\n"), ("a", &[0xff; 999])]
        ),
        1
    );
}

#[test]
fn includes_in_circles_and_in_thousands() {
    assert_eq!(site("a file that includes itself", "include \"site.fw\"\n"), 1);
    assert_eq!(
        build(
            "a circle",
            &[("site.fw", b"include \"a.fw\"\n"), ("a.fw", b"include \"b.fw\"\n"), ("b.fw", b"include \"site.fw\"\n")]
        ),
        1
    );
    let names: Vec<String> = (0..5_000).map(|number| format!("parts/{number:04}.fw")).collect();
    let mut files: Vec<(&str, &[u8])> =
        names.iter().map(|name| (name.as_str(), b"allow ssh to host\n".as_slice())).collect();
    files.push(("site.fw", b"include \"parts/*.fw\"\n"));
    assert_eq!(build("5,000 includes", &files), 1);
    let again = lines(20_000, |_| "include \"a.fw\"".to_owned());
    assert_eq!(build("20,000 times the same", &[("site.fw", again.as_bytes()), ("a.fw", b"allow ssh to host\n")]), 0);
    let chain: Vec<(String, String)> =
        (0..900).map(|number| (format!("{number}.fw"), format!("include \"{}.fw\"\n", number + 1))).collect();
    let mut files: Vec<(&str, &[u8])> = chain.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    files.push(("900.fw", b"allow ssh to host\n"));
    files.push(("site.fw", b"include \"0.fw\"\n"));
    assert_eq!(build("900 files, each including the next", &files), 0);
}

#[test]
fn long_files() {
    let good = lines(200_000, |number| format!("allow tcp {} from {} to host", 1 + number % 60_000, address(number)));
    assert_eq!(site("200,000 good lines", good), 0);
    assert_eq!(site("200,000 times the same", "allow tcp 443 from 10.1.1.1 to host\n".repeat(200_000)), 0);
    assert_eq!(site("200,000 bad lines", "allow tcp 443 form 10.1.1.1 to host\n".repeat(200_000)), 1);
    assert_eq!(
        site("200,000 unknown names", lines(200_000, |number| format!("allow ssh from office{number} to host"))),
        1
    );
    assert_eq!(site("200,000 empty lines", "\n".repeat(200_000)), 0);
}

#[test]
fn long_lists() {
    let list = (0..100_000).map(address).collect::<Vec<_>>();
    let uses = lines(200, |number| format!("allow tcp {} from many to host", 1 + number));
    let set = format!("set many = {{ {} }}\n{uses}", list.join(", "));
    assert_eq!(site("a set of 100,000 addresses, used 200 times", set), 0);
    let file = list.join("\n");
    let site_text = format!("set many from file \"list\"\n{uses}deny from not many to host\n");
    assert_eq!(
        build("a set file of 100,000 addresses", &[("site.fw", site_text.as_bytes()), ("list", file.as_bytes())]),
        0
    );
    let ports = (0..20_000).map(|number| (1 + number * 3).to_string()).collect::<Vec<_>>().join(", ");
    assert_eq!(site("20,000 ports", format!("allow tcp {ports} from any to host")), 0);
    let cards = (0..5_000).map(|number| format!("eth{number}")).collect::<Vec<_>>().join(", ");
    assert_eq!(site("5,000 cards", format!("interface many = {{ {cards} }}\nallow ssh to host via many\n")), 0);
}

#[test]
fn many_declarations() {
    let groups = lines(10_000, |number| {
        format!(
            "group g{number} {{ allow tcp {} from {} }}\nto host {{ apply g{number} }}",
            1 + number,
            address(number)
        )
    });
    assert_eq!(site("10,000 groups, applied", groups), 0);
    let guests = lines(2_000, |number| {
        format!("guest vm{number} on tap{number}i0 address {} {{ in allow ssh from 192.0.2.1 }}", address(number))
    });
    site("2,000 guests", guests);
    let containers = lines(10_000, |number| format!("container c{number} on front publish tcp {} to 80", 1 + number));
    let uses = lines(10_000, |number| format!("allow tcp {} from any to container c{number}", 1 + number));
    assert_eq!(site("10,000 containers", containers + &uses), 0);
    let forwards = lines(10_000, |number| {
        format!("forward tcp {} to 192.168.{}.{} port 22", 1 + number, number / 250, 1 + number % 250)
    });
    assert_eq!(site("10,000 forwards", forwards), 0);
    let sets = lines(100_000, |number| format!("set site{number} = {}", address(number)));
    let slips = lines(500, |number| format!("allow ssh from sitex{number} to host"));
    assert_eq!(site("500 slips among 100,000 names", sets + &slips), 1);
}

#[test]
fn names_that_lead_to_names() {
    let chain = |word: &str, first: &str, joint: &str| {
        lines(10_000, |number| {
            if number == 0 {
                format!("{word} n0 {first}")
            } else {
                format!("{word} n{number} {}", joint.replace('%', &(number - 1).to_string()))
            }
        })
    };
    let sets = chain("set", "= 192.0.2.1", "= n%") + "allow ssh from n9999 to host\n";
    site("10,000 sets, each made of the one before", sets);
    let services = chain("service", "= tcp 22", "= n%") + "allow n9999 to host\n";
    site("10,000 services, each made of the one before", services);
    let groups = chain("group", "{ allow ssh }", "{ apply n% }") + "to host { apply n9999 }\n";
    site("10,000 groups, each applying the one before", groups);
    let double = |word: &str, first: &str, joint: &str| {
        lines(60, |number| {
            if number == 0 {
                format!("{word} n0 {first}")
            } else {
                format!("{word} n{number} {}", joint.replace('%', &(number - 1).to_string()))
            }
        })
    };
    let sets = double("set", "= 192.0.2.1", "= { n%, n% on eth1, n% }") + "allow ssh from n59 to host\n";
    site("60 sets, each doubling the one before", sets);
    let services = double("service", "= tcp 22", "= { n%, n% }") + "allow n59 to host\n";
    site("60 services, each doubling the one before", services);
    let groups = double("group", "{ allow ssh }", "{\napply n%\napply n%\n}") + "to host { apply n59 }\n";
    assert_eq!(site("60 groups, each doubling the one before", groups), 1);
}
