//! Output files, all or none. Everything is written and synced beside its place first; only then are names moved, which either
//! happens or does not. Should moving one fail after others were moved, those get their old content back.

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
    let mut staged = Vec::new();
    for (name, text) in outputs {
        let before = inspect(&directory.join(name))?;
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

/// Writes a text beside `path`, under a temporary name, to the disk. A file that is there lends its permissions.
fn stage(path: &Path, text: &str) -> io::Result<NamedTempFile> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // What the user's umask leaves of it, as for any file that a program makes. A script can be run.
    let mode = if text.starts_with("#!") { 0o777 } else { 0o666 };
    builder.prefix(".fwc-").permissions(fs::Permissions::from_mode(mode));
    let mut file = builder.tempfile_in(directory)?;
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
    use std::collections::BTreeMap;
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
