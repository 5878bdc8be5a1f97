//! `fwc fmt`: lays policies out in the one style.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use similar::TextDiff;

use super::failure::Failure;
use super::inputs::{STANDARD_INPUT, read_root};
use super::render::harmless;
use super::{Color, Ending, check, output, print, print_aside};
use crate::format;
use crate::read;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Policies and files of tests; of a directory, every *.fw and *.fwtest below it; `-` lays out the standard input and writes it to
    /// the standard output
    #[arg(required = true)]
    path: Vec<PathBuf>,
    /// Write nothing; name the files that would change, and end with 1 if there are any
    #[arg(long)]
    check: bool,
    /// Write nothing; show what would change as a unified diff
    #[arg(long)]
    diff: bool,
}

/// What files of policies and of tests end in.
const ENDINGS: [&str; 2] = ["fw", "fwtest"];

/// A file, as it is and as it should be.
struct Sheet {
    path: PathBuf,
    before: String,
    after: String,
}

impl Sheet {
    fn read(path: &Path) -> Result<Self, Failure> {
        let root = read_root(path)?;
        let before = String::from_utf8(root.bytes).map_err(|error| {
            let place = error.utf8_error().valid_up_to();
            Failure::new(format!("`{}` is not UTF-8 text: see its byte {place}", path.display()))
        })?;
        let named = path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known));
        if !named && read::detect(&before).is_some() {
            let what = "it is a rule set and no policy";
            return Err(Failure::new(format!("cannot lay out `{}`: {what}", path.display())));
        }
        let after = format::format(&before);
        Ok(Self { path: path.to_owned(), before, after })
    }

    fn is_standard_input(&self) -> bool {
        self.path.as_os_str() == STANDARD_INPUT
    }

    fn name(&self) -> String {
        if self.is_standard_input() { "<stdin>".to_owned() } else { self.path.display().to_string() }
    }

    fn changes(&self) -> bool {
        self.before != self.after
    }

    /// Says that statements were left as they are.
    fn tell_unread(&self) {
        let unread = format::unread(&self.before).len();
        let (statements, were) = if unread == 1 { ("statement", "was") } else { ("statements", "were") };
        if unread > 0 {
            let name = harmless(&self.name());
            print_aside(&format!(
                "fwc: {name}: {unread} {statements} cannot be read and {were} left as found; `fwc check` says why\n"
            ));
        }
    }

    fn diff(&self, color: bool) -> String {
        let name = self.name();
        let diff = TextDiff::from_lines(&self.before, &self.after);
        let diff = diff.unified_diff().header(&name, &name).to_string();
        if !color {
            return diff;
        }
        let painted = diff.split_inclusive('\n').map(|line| {
            let (text, end) = line.strip_suffix('\n').map_or((line, ""), |text| (text, "\n"));
            let text = harmless(text);
            match text.as_bytes().first() {
                Some(b'+') => format!("\x1b[32m{text}\x1b[0m{end}"),
                Some(b'-') => format!("\x1b[31m{text}\x1b[0m{end}"),
                Some(b'@') => format!("\x1b[36m{text}\x1b[0m{end}"),
                _ => format!("{text}{end}"),
            }
        });
        painted.collect()
    }

    fn write(&self) -> Result<(), Failure> {
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = self.path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Failure::new(format!("the name of `{}` is not UTF-8", self.path.display())))?;
        output::write(directory, &[(name.to_owned(), self.after.clone())], &[])
    }
}

pub(super) fn run(arguments: &Arguments, color: Color) -> Result<Ending, Failure> {
    let mut sheets = Vec::new();
    for path in files(&arguments.path)? {
        sheets.push(Sheet::read(&path)?);
    }
    let terminal = std::io::stdout().is_terminal();
    for sheet in &sheets {
        sheet.tell_unread();
        if arguments.diff {
            let diff = sheet.diff(color.on(terminal));
            print(&if terminal && !color.on(terminal) { harmless(&diff) } else { diff })?;
        } else if arguments.check {
            if sheet.changes() {
                print(&format!("{}\n", harmless(&sheet.name())))?;
            }
        } else if sheet.is_standard_input() {
            print(&sheet.after)?;
        } else if sheet.changes() {
            sheet.write()?;
        }
    }
    let unclean = arguments.check && sheets.iter().any(Sheet::changes);
    Ok(if unclean { Ending::Errors } else { Ending::Clean })
}

/// The files that the paths mean, each once.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files: Vec<PathBuf> = Vec::new();
    for path in paths {
        let mut found = Vec::new();
        if path.is_dir() {
            for ending in ENDINGS {
                found.extend(check::below(path, ending)?);
            }
            if found.is_empty() {
                return Err(Failure::new(format!("there is no policy (*.fw) below `{}`", path.display())));
            }
        } else {
            found.push(path.clone());
        }
        for path in found {
            if !files.contains(&path) {
                files.push(path);
            }
        }
    }
    Ok(files)
}
