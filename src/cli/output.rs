//! Output files, all or none. Everything is written and synced beside its place first; only then are names moved, which either
//! happens or does not. Should moving one fail after others were moved, those get their old content back.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::failure::{Failure, words};

/// A file to write: its name, without a directory, and its text.
pub(super) type Output = (String, String);

/// What stands at a place before a build.
struct Before {
    path: PathBuf,
    content: Option<Vec<u8>>,
}

/// Writes `outputs` into `directory`, which is made if absent, and then removes those of `stale` that are there.
pub(super) fn write(directory: &Path, outputs: &[Output], stale: &[String]) -> Result<(), Failure> {
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
    // What the user's umask leaves of it, as for any file that a program makes.
    builder.prefix(".fwc-").permissions(fs::Permissions::from_mode(0o666));
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
