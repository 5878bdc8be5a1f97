//! `fwc check`: the forms, the levels, the colours, the directories.

use super::{Place, ended};

fn faulty() -> Place {
    Place::new(&[("site.fw", "# a policy\ninclude \"bsae.fw\"\ninclude \"conf.d/*.fw\"\n"), ("base.fw", "")])
}

#[test]
fn short_is_one_line_for_each() {
    let run = faulty().run(&["check", "--format", "short", "site.fw"]);
    assert_eq!(run.code, Some(1));
    assert_eq!(
        run.out,
        "site.fw:2:9: error[FW0150]: there is no file `bsae.fw`\n\
         site.fw:3:9: warning[FW0155]: no file matches `conf.d/*.fw`\n\
         1 error, 1 warning\n"
    );
    assert_eq!(run.err, "");
}

#[test]
fn full_shows_the_line_and_the_line_as_it_should_be() {
    let run = faulty().run(&["check", "site.fw"]);
    assert!(run.out.contains("[FW0150] Error: there is no file `bsae.fw`"), "{}", run.out);
    assert!(run.out.contains("2 │ include \"bsae.fw\""), "{}", run.out);
    assert!(run.out.contains("2 | include \"base.fw\""), "{}", run.out);
    assert!(run.out.ends_with("\n1 error, 1 warning\n"), "{}", run.out);
    assert!(!run.out.contains('\x1b'), "colours without a terminal");
}

#[test]
fn json_is_one_object_a_line() {
    let run = faulty().run(&["check", "--format", "json", "site.fw"]);
    let objects: Vec<serde_json::Value> =
        run.out.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!(objects.len(), 2);
    let first = objects.first().expect("one");
    assert_eq!(first["code"], "FW0150");
    assert_eq!(first["name"], "file-not-found");
    assert_eq!(first["level"], "error");
    assert_eq!(first["primary"]["file"], "site.fw");
    assert_eq!((first["primary"]["line"].as_u64(), first["primary"]["column"].as_u64()), (Some(2), Some(9)));
    assert_eq!((first["primary"]["start"].as_u64(), first["primary"]["end"].as_u64()), (Some(19), Some(28)));
    assert_eq!(first["helps"][0]["edits"][0]["replacement"], "\"base.fw\"");
}

#[test]
fn warnings_end_well_unless_denied() {
    let place = Place::new(&[("site.fw", "include \"conf.d/*.fw\"\n")]);
    let status = |deny: &[&str]| {
        let mut arguments = vec!["check", "--format", "short", "site.fw"];
        arguments.extend(deny.iter().flat_map(|code| ["--deny", code]));
        let run = place.run(&arguments);
        (run.code, run.out.lines().last().unwrap_or_default().to_owned())
    };
    assert_eq!(status(&[]), (Some(0), "1 warning".to_owned()));
    for deny in ["warnings", "FW0155", "pattern-matches-nothing", "fw0155"] {
        assert_eq!(status(&[deny]), (Some(1), "1 error".to_owned()), "{deny}");
    }
    assert_eq!(status(&["include-cycle"]), (Some(0), "1 warning".to_owned()));
}

#[test]
fn a_clean_policy_says_what_it_closes_and_nothing_else() {
    let place = Place::new(&[("site.fw", "# nothing\n")]);
    let run = place.run(&["check", "site.fw"]);
    let in_force = "site.fw: 0 rules; closed: nothing; left to the platform: outside to outside, outside to host, host to outside\n";
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (Some(0), "", in_force));
    let run = place.run(&["check", "site.fw", "--format", "json"]);
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (Some(0), "", ""));
}

#[test]
fn what_is_closed_is_said_in_one_line_unless_there_are_errors() {
    let policy =
        "use docker\nallow ssh from 198.51.100.0/24 to host\ndefault allow to container\ndeny smtp from host to world
assert deny ssh from 192.0.2.1 to host\n";
    let place = Place::new(&[("site.fw", policy), ("broken.fw", "allow shh to host\n")]);
    for arguments in [["check", "site.fw"], ["build", "site.fw"]] {
        let run = place.run(&arguments);
        assert_eq!(run.code, Some(0), "{}", run.err);
        let line = run.err.lines().find(|line| line.starts_with("site.fw: ")).expect("the line");
        insta::assert_snapshot!("in_force", line);
    }
    let run = place.run(&["check", "broken.fw", "site.fw"]);
    assert!(!run.err.contains("broken.fw: ") && run.err.contains("site.fw: 3 rules"), "{}", run.err);
    assert!(!place.run(&["build", "broken.fw"]).err.contains("closed:"));
}

#[test]
fn colours_obey_the_argument_then_the_environment() {
    let place = faulty();
    let coloured = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = place.command(arguments);
        command.args(["check", "site.fw"]).envs(environment.iter().copied());
        ended(&mut command).out.contains("\x1b[")
    };
    assert!(!coloured(&[], &[]));
    assert!(coloured(&["--color", "always"], &[]));
    assert!(coloured(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(coloured(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[], &[("CLICOLOR_FORCE", "0")]));
    assert!(!coloured(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(!coloured(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
}

#[test]
fn of_a_directory_those_are_checked_that_no_other_includes() {
    let place = Place::new(&[
        ("p/a/host.fw", "include \"../base.fw\"\n"),
        ("p/b/host.fw", "include \"../base.fw\"\n"),
        ("p/base.fw", "include \"missing.fw\"\n"),
        ("p/ring1.fw", "include \"ring2.fw\"\n"),
        ("p/ring2.fw", "include \"ring1.fw\"\n"),
        ("p/.hidden/x.fw", "include \"missing.fw\"\n"),
        ("p/notes.txt", "include \"missing.fw\"\n"),
    ]);
    let run = place.run(&["check", "--format", "short", "p"]);
    assert_eq!(
        run.out,
        "p/base.fw:1:9: error[FW0150]: there is no file `p/missing.fw`\n\
         p/ring2.fw:1:9: error[FW0152]: this include closes a circle\n\
         2 errors\n"
    );
    let empty = Place::new(&[("p/notes.txt", "")]);
    let run = empty.run(&["check", "p"]);
    assert_eq!((run.code, run.err.as_str()), (Some(2), "fwc: there is no policy (*.fw) below `p`\n"));
}

#[test]
fn what_would_move_a_cursor_is_shown_as_what_it_is() {
    let place = Place::new(&[("site.fw", "include \"\x1b[2Jx\u{202e}.fw\"\n")]);
    for form in ["full", "short"] {
        let run = place.run(&["check", "--format", form, "site.fw"]);
        assert_eq!(run.code, Some(1));
        assert!(!run.out.contains(['\x1b', '\u{202e}']), "{form}: {:?}", run.out);
    }
}

#[test]
fn a_line_of_a_megabyte_is_told_and_not_drawn() {
    let long = format!("include \"{}.fw\"\n", "x".repeat(1 << 20));
    let place = Place::new(&[("site.fw", "")]);
    place.write("site.fw", long.as_bytes());
    let run = place.run(&["check", "site.fw"]);
    assert_eq!(run.code, Some(1));
    assert!(run.out.lines().count() < 20);
}

#[test]
fn two_hundred_faults_in_a_large_file_are_drawn_quickly_and_with_their_own_lines() {
    let place = Place::new(&[("site.fw", "")]);
    place.write("site.fw", "# nothing\nalow ssh to host\n".repeat(50_000).as_bytes());
    let begin = std::time::Instant::now();
    let run = place.run(&["check", "site.fw"]);
    assert!(run.out.contains("[ site.fw:400:1 ]") && run.out.contains("\n 400 │ alow ssh to host\n"), "{}", run.out);
    assert!(run.out.contains("more are not shown; --format short lists them all"));
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}

#[test]
fn a_place_without_words_is_marked_too() {
    let place = Place::new(&[("site.fw", "alow ssh to host\n")]);
    assert!(place.run(&["check", "site.fw"]).out.contains("──┬─"));
}

#[test]
fn a_compose_file_by_itself_says_who_reaches_what_it_publishes() {
    let compose = "services:
  web:
    image: nginx
    ports: [\"8080:80\", \"127.0.0.1:9000:9000\"]
  db:
    image: postgres
    ports:
      - \"5432:5432\"
";
    let place = Place::new(&[
        ("docker-compose.yml", compose),
        ("closed.yml", &compose.replace("\"8080", "\"127.0.0.1:8080").replace("\"5432", "\"127.0.0.1:5432")),
    ]);
    let run = place.run(&["check", "--format", "short", "docker-compose.yml"]);
    assert_eq!(run.code, Some(1), "{}{}", run.out, run.err);
    let lines: Vec<&str> = run.out.lines().filter(|line| line.starts_with("docker-compose.yml:")).collect();
    assert_eq!(
        lines,
        [
            "docker-compose.yml:4:13: note[FW0857]: everybody reaches tcp 8080 of `web` at every address of this host",
            "docker-compose.yml:8:9: error[FW0843]: everybody reaches tcp 5432 of `db` (PostgreSQL) at every address of this host",
        ]
    );
    let full = place.run(&["check", "docker-compose.yml"]).out;
    assert!(full.starts_with("[FW0843] Error"), "{full}");
    for part in [
        "127.0.0.1:5432:5432",
        "allow tcp 5432 from 198.51.100.0/24 to container db",
        "--ctorigdstport 5432 --ctdir ORIGINAL",
    ] {
        assert!(full.contains(part), "{part}\n{full}");
    }
    let run = place.run(&["check", "--format", "short", "closed.yml"]);
    assert_eq!((run.code, run.out.contains("FW08")), (Some(0), false), "{}", run.out);
    let who = place.run(&["who", "docker-compose.yml"]);
    assert!(who.out.contains("container db") && who.out.contains("tcp 5432 (postgres)"), "{}{}", who.out, who.err);
}
