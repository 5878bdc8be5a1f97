//! Output files, all or none. Everything is written and synced beside its place first; only then are names moved, which either
//! happens or does not. Should moving one fail after others were moved, those get their old content back.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::failure::Failure;
use crate::disk::words;

/// A file to write: its name, without a directory, and its text.
pub(super) type Output = (String, String);

/// What stands at a place before a build.
struct Before {
    path: PathBuf,
    content: Option<Vec<u8>>,
}

/// Writes `outputs` into `directory`, which is made if absent, and then removes those of `stale` that are there.
pub(super) fn write(directory: &Path, outputs: &[Output], stale: &[String]) -> Result<(), Failure> {
    if fs::metadata(directory).is_ok_and(|kind| !kind.is_dir()) {
        let place = directory.display();
        return Err(Failure::new(format!("cannot write into `{place}`: it is a file, and a directory is asked for")));
    }
    fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
    let mut places = Vec::new();
    for (name, text) in outputs {
        places.push((inspect(&directory.join(name))?, text));
    }
    let names = outputs.iter().map(|(name, _)| &**name).chain(stale.iter().map(String::as_str));
    let paths = names.map(|name| directory.join(name)).chain(places.iter().map(|(before, _)| before.path.clone()));
    let _kept = Kept::new(paths);
    let mut staged = Vec::new();
    for (before, text) in places {
        let file = stage(&before.path, text).map_err(|error| failed(&before.path, &error))?;
        staged.push((before, file));
    }
    let mut moved = Vec::new();
    for (before, file) in staged {
        match file.persist(&before.path) {
            Ok(_) => moved.push(before),
            Err(error) => {
                let failure = failed(&before.path, &error.error);
                return Err(undo(&moved, failure));
            }
        }
    }
    sync(directory).map_err(|error| failed(directory, &error))?;
    remove(directory, stale)
}

/// Writes one file, or leaves what is there.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let before = inspect(path)?;
    let _kept = Kept::new([before.path.clone()]);
    let file = stage(&before.path, text).map_err(|error| failed(path, &error))?;
    file.persist(&before.path).map_err(|error| failed(path, &error.error))?;
    Ok(())
}

/// Looks at a place and refuses what must not be replaced.
fn inspect(path: &Path) -> Result<Before, Failure> {
    let refuse = |reason: &str| Err(Failure::new(format!("cannot write `{}`: {reason}", path.display())));
    // A link is followed, so that the file it leads to is replaced and the link stays.
    let path = match fs::symlink_metadata(path) {
        Ok(kind) if kind.is_symlink() => match fs::canonicalize(path) {
            Ok(target) => target,
            Err(_) => return refuse("it is a symbolic link that leads nowhere"),
        },
        _ => path.to_path_buf(),
    };
    match fs::metadata(&path) {
        Ok(kind) if kind.is_dir() => refuse("it is a directory"),
        Ok(kind) if !kind.is_file() => refuse("it is not a regular file"),
        Ok(kind) if kind.permissions().readonly() => refuse("it is read-only"),
        Ok(_) => {
            let content = fs::read(&path).map_err(|error| failed(&path, &error))?;
            Ok(Before { path, content: Some(content) })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Before { path, content: None }),
        Err(error) => Err(failed(&path, &error)),
    }
}

/// Directories that are kept from other runs of fwc while files are written to them. Where that cannot be had (on some network file
/// systems), writing goes on without.
struct Kept {
    _directories: Vec<fs::File>,
}

impl Kept {
    /// Waits until no other run writes where these files go, and then removes what runs that were killed left of the same files: nobody
    /// else has temporary files there now.
    fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut names: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
        for path in paths {
            names.entry(directory_of(&path).to_path_buf()).or_default().push(temporary(&path));
        }
        let mut kept = Vec::new();
        // All runs take directories in the same order: none waits for one that waits for it.
        for (directory, beginnings) in names {
            let Ok(file) = fs::File::open(&directory) else { continue };
            if rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).is_ok() {
                clear(&directory, &beginnings);
                kept.push(file);
            }
        }
        Self { _directories: kept }
    }
}

/// Removes temporary files whose names begin so. One that cannot be removed harms nobody.
fn clear(directory: &Path, beginnings: &[String]) {
    let is_left = |name: &str| {
        let rest = beginnings.iter().find_map(|beginning| name.strip_prefix(beginning.as_str()));
        rest.is_some_and(|rest| rest.len() == RANDOM && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && entry.file_name().to_str().is_some_and(is_left) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Letters at the end of a temporary name.
const RANDOM: usize = 6;

/// What the temporary names of a file begin with. A name has room for 255 bytes.
fn temporary(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let short = (0..=200).rev().find_map(|end| name.get(..end));
    format!(".fwc-{}-", if name.len() > 200 { short.unwrap_or_default() } else { &name })
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a text beside `path`, under a temporary name, to the disk. A file that is there lends its permissions.
fn stage(path: &Path, text: &str) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    // What the user's umask leaves of it, as for any file that a program makes. A script can be run.
    let mode = if text.starts_with("#!") { 0o777 } else { 0o666 };
    let prefix = temporary(path);
    builder.prefix(&prefix).rand_bytes(RANDOM).permissions(fs::Permissions::from_mode(mode));
    let mut file = builder.tempfile_in(directory_of(path))?;
    file.write_all(text.as_bytes())?;
    if let Ok(there) = fs::metadata(path) {
        file.as_file().set_permissions(there.permissions())?;
    }
    file.as_file().sync_all()?;
    Ok(file)
}

fn sync(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}

/// Gives the files that were replaced their old content back.
fn undo(moved: &[Before], failure: Failure) -> Failure {
    let mut left = Vec::new();
    for before in moved {
        let restored = match &before.content {
            None => fs::remove_file(&before.path),
            Some(content) => fs::write(&before.path, content),
        };
        if restored.is_err() {
            left.push(before.path.display().to_string());
        }
    }
    if left.is_empty() {
        return failure;
    }
    Failure::new(format!("{failure}; and these new files could not be taken back: {}", left.join(", ")))
}

fn remove(directory: &Path, stale: &[String]) -> Result<(), Failure> {
    let mut removed = false;
    for name in stale {
        let path = directory.join(name);
        match fs::remove_file(&path) {
            Ok(()) => removed = true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let reason = words(&error);
                return Err(Failure::new(format!("cannot remove `{}` of an earlier build: {reason}", path.display())));
            }
        }
    }
    if removed { sync(directory).map_err(|error| failed(directory, &error)) } else { Ok(()) }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::write(format!("`{}`", path.display()), error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn outputs(files: &[(&str, &str)]) -> Vec<Output> {
        files.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect()
    }

    /// What a directory holds; directories without content.
    fn holds(directory: &Path) -> BTreeMap<String, String> {
        fs::read_dir(directory)
            .expect("directory")
            .map(|entry| entry.expect("entry").path())
            .map(|path| {
                let name = path.file_name().expect("name").to_string_lossy().into_owned();
                (name, fs::read_to_string(&path).unwrap_or_else(|_| "(directory)".to_owned()))
            })
            .collect()
    }

    fn table(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        outputs(files).into_iter().collect()
    }

    #[test]
    fn all_files_are_written_and_stale_ones_removed() {
        let directory = tempfile::tempdir().expect("directory");
        fs::write(directory.path().join("a.ipset"), "old").expect("write");
        fs::write(directory.path().join("b.ipset"), "another policy's").expect("write");
        write(directory.path(), &outputs(&[("a.rules.v4", "4\n"), ("a.rules.v6", "6\n")]), &["a.ipset".to_owned()])
            .expect("written");
        assert_eq!(
            holds(directory.path()),
            table(&[("a.rules.v4", "4\n"), ("a.rules.v6", "6\n"), ("b.ipset", "another policy's")])
        );
    }

    #[test]
    fn a_script_can_be_run_and_a_list_of_rules_cannot() {
        let directory = tempfile::tempdir().expect("directory");
        write(directory.path(), &outputs(&[("a.attach", "#!/bin/sh\n"), ("a.rules.v4", "*filter\n")]), &[])
            .expect("written");
        let mode = |name: &str| fs::metadata(directory.path().join(name)).expect("file").permissions().mode();
        assert_eq!(mode("a.attach") & 0o100, 0o100);
        assert_eq!(mode("a.rules.v4") & 0o111, 0);
    }

    #[test]
    fn a_directory_that_is_not_there_is_made() {
        let directory = tempfile::tempdir().expect("directory");
        let below = directory.path().join("x/y");
        write(&below, &outputs(&[("a.nft", "n")]), &[]).expect("written");
        assert_eq!(holds(&below), table(&[("a.nft", "n")]));
    }

    #[test]
    fn one_place_that_must_not_be_replaced_keeps_all_from_being_written() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path();
        fs::write(path.join("a.rules.v4"), "before").expect("write");
        fs::write(path.join("a.ipset"), "stale").expect("write");
        let wanted = outputs(&[("a.rules.v4", "after"), ("a.rules.v6", "after")]);
        let refused = |reason: &str| {
            let failure = write(path, &wanted, &["a.ipset".to_owned()]).expect_err("refused").to_string();
            assert!(failure.contains(reason) && failure.contains("a.rules.v6"), "{failure}");
            assert_eq!(holds(path).get("a.rules.v4").map(String::as_str), Some("before"));
            assert_eq!(holds(path).get("a.ipset").map(String::as_str), Some("stale"));
            assert!(!holds(path).keys().any(|name| name.starts_with(".fwc-")), "a temporary file was left");
        };
        fs::create_dir(path.join("a.rules.v6")).expect("directory");
        refused("it is a directory");
        fs::remove_dir(path.join("a.rules.v6")).expect("removed");
        fs::write(path.join("a.rules.v6"), "kept").expect("write");
        fs::set_permissions(path.join("a.rules.v6"), fs::Permissions::from_mode(0o444)).expect("mode");
        refused("it is read-only");
        fs::remove_file(path.join("a.rules.v6")).expect("removed");
        symlink("nowhere", path.join("a.rules.v6")).expect("link");
        refused("it is a symbolic link that leads nowhere");
    }

    #[test]
    fn a_link_stays_and_the_file_it_leads_to_is_replaced() {
        let directory = tempfile::tempdir().expect("directory");
        let elsewhere = tempfile::tempdir().expect("directory");
        let target = elsewhere.path().join("rules");
        fs::write(&target, "before").expect("write");
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).expect("mode");
        symlink(&target, directory.path().join("a.nft")).expect("link");
        write(directory.path(), &outputs(&[("a.nft", "after")]), &[]).expect("written");
        assert_eq!(fs::read_to_string(&target).expect("target"), "after");
        assert!(directory.path().join("a.nft").is_symlink());
        assert_eq!(fs::metadata(&target).expect("target").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_was_moved_is_taken_back() {
        let directory = tempfile::tempdir().expect("directory");
        let (old, new) = (directory.path().join("old"), directory.path().join("new"));
        fs::write(&old, "after").expect("write");
        fs::write(&new, "after").expect("write");
        let moved = [Before { path: old, content: Some(b"before".to_vec()) }, Before { path: new, content: None }];
        undo(&moved, Failure::new("why"));
        assert_eq!(holds(directory.path()), table(&[("old", "before")]));
    }

    #[test]
    fn what_a_killed_run_left_of_the_same_files_is_removed() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path();
        let others = [".fwc-b.nft-abcdef", ".fwc-a.nft-notes.txt", ".fwc-backup", ".fwc-a.nft-ab-def"];
        for name in others.iter().chain(&[".fwc-a.nft-Ab3dEf", ".fwc-a.empty.nft-000000"]) {
            fs::write(path.join(name), "left").expect("write");
        }
        fs::create_dir(path.join(".fwc-a.nft-direct")).expect("directory");
        write(path, &outputs(&[("a.nft", "n")]), &["a.empty.nft".to_owned()]).expect("written");
        let mut left = holds(path);
        assert_eq!(left.remove("a.nft").as_deref(), Some("n"));
        assert_eq!(left.remove(".fwc-a.nft-direct").as_deref(), Some("(directory)"));
        assert_eq!(left.keys().collect::<Vec<_>>(), [others[3], others[1], others[0], others[2]]);
    }

    #[test]
    fn a_run_that_writes_keeps_its_temporary_files() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("a.nft");
        let kept = Kept::new([path.clone()]);
        let running = stage(&path, "of the run that goes on").expect("staged");
        let other = std::thread::spawn({
            let path = path.clone();
            move || replace(&path, "of another")
        });
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(running.path().exists() && !path.exists(), "the other run did not wait");
        running.persist(&path).expect("moved");
        drop(kept);
        other.join().expect("no panic").expect("written");
        assert_eq!(holds(directory.path()), table(&[("a.nft", "of another")]));
    }

    #[test]
    fn a_long_name_has_room() {
        let directory = tempfile::tempdir().expect("directory");
        let name = format!("{}.nft", "ä".repeat(125));
        write(directory.path(), &outputs(&[(&name, "n")]), &[]).expect("written");
        assert_eq!(holds(directory.path()), table(&[(&name, "n")]));
    }

    #[test]
    fn a_full_disk_is_told_and_leaves_nothing() {
        // A device that is always full stands in for the disk: it fails as a full disk does, with ENOSPC.
        let mut full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let error = full.write_all(b"x").expect_err("full");
        assert_eq!(
            failed(Path::new("out/a.nft"), &error).to_string(),
            "cannot write `out/a.nft`: no space left on device"
        );
    }
}
