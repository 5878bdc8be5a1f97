//! What `fwc check` writes: one form on the standard output, and any number of them into files.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;

use super::baseline::{self, Baseline};
use super::failure::Failure;
use super::render::finding::{Finding, findings};
use super::render::{Sheet, Tally, full, github, gitlab, json, junit, rdjson, sarif, short};
use super::repository::Repository;
use super::{output, print, print_aside};
use crate::diagnostic::Diagnostic;
use crate::fingerprint::{Fingerprints, statement};
use crate::levels::Levels;
use crate::span::SourceText;

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// With the lines of source that take part
    Full,
    /// One line each: FILE:LINE:COLUMN: LEVEL[CODE]: MESSAGE
    Short,
    /// One JSON object a line, described in docs/diagnostics-json.md
    Json,
    /// SARIF 2.1.0, for GitHub's code scanning and others
    Sarif,
    /// Annotations of GitHub's runner
    Github,
    /// GitLab's code quality report
    Gitlab,
    /// Reviewdog's diagnostic format
    Rdjson,
    /// JUnit's XML, as Jenkins reads it
    Junit,
}

impl Format {
    /// Whether it is written for each policy when that was checked; the others are one document for all.
    fn flows(self) -> bool {
        matches!(self, Self::Full | Self::Short | Self::Json)
    }

    /// Whether people read it: then how many findings there are is said, too.
    fn is_for_people(self) -> bool {
        matches!(self, Self::Full | Self::Short)
    }
}

/// Where findings are written to.
#[derive(Debug, clap::Args)]
pub(super) struct FormatArguments {
    /// How the findings are written to the standard output
    #[arg(long, default_value = "full")]
    format: Format,
    /// Write them to a file, too, in a form of its own (sarif=fwc.sarif); may be given several times. Without FORMAT the form is
    /// that of --format, and the standard output gets nothing
    #[arg(long, value_name = "[FORMAT=]FILE", value_parser = destination)]
    output_file: Vec<(Option<Format>, PathBuf)>,
    /// Findings that are known, as --write-baseline wrote them: they are not told, and do not fail the check
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write the findings that there are to a file for --baseline, and tell none of them
    #[arg(long, value_name = "FILE", conflicts_with = "baseline")]
    write_baseline: Option<PathBuf>,
}

/// `sarif=fwc.sarif`, or a file's name alone. What stands before `=` is a format unless it cannot be one.
fn destination(text: &str) -> Result<(Option<Format>, PathBuf), String> {
    let Some((form, file)) = text.split_once('=').filter(|(form, _)| !form.contains(['/', '.'])) else {
        return Ok((None, PathBuf::from(text)));
    };
    if file.is_empty() {
        return Err("no file is named behind `=`".to_owned());
    }
    let known = Format::value_variants().iter().filter_map(|format| format.to_possible_value());
    let names: Vec<String> = known.map(|value| value.get_name().to_owned()).collect();
    let format = Format::from_str(form, false).map_err(|_| {
        format!("there is no format `{form}` (there are {}); a file of such a name is `./{text}`", names.join(", "))
    })?;
    Ok((Some(format), PathBuf::from(file)))
}

/// Takes findings as they come, writes at once what can be, and the rest at the end.
pub(super) struct Reporter {
    /// The form of the standard output, if it gets any.
    shown: Option<Format>,
    files: Vec<(Format, PathBuf)>,
    color: bool,
    repository: Repository,
    fingerprints: Fingerprints,
    findings: Vec<Finding>,
    /// Paths of what was looked at.
    checked: Vec<String>,
    /// What goes into each file whose form flows.
    texts: Vec<String>,
    tally: Tally,
    baseline: Option<Baseline>,
    /// What goes into a baseline, and where that is written.
    adopted: Option<(PathBuf, Vec<baseline::Entry>)>,
    /// Files that were looked at to the end.
    seen: BTreeSet<String>,
}

impl Reporter {
    pub(super) fn new(arguments: &FormatArguments, color: bool) -> Result<Self, Failure> {
        let plain = arguments.output_file.iter().any(|(format, _)| format.is_none());
        let files: Vec<(Format, PathBuf)> = arguments
            .output_file
            .iter()
            .map(|(format, path)| (format.unwrap_or(arguments.format), path.clone()))
            .collect();
        Ok(Self {
            baseline: arguments.baseline.as_deref().map(Baseline::read).transpose()?,
            adopted: arguments.write_baseline.clone().map(|path| (path, Vec::new())),
            seen: BTreeSet::new(),
            shown: (!plain).then_some(arguments.format),
            texts: vec![String::new(); files.len()],
            files,
            color,
            repository: Repository::here(),
            fingerprints: Fingerprints::default(),
            findings: Vec::new(),
            checked: Vec::new(),
            tally: Tally::default(),
        })
    }

    /// Whether people read the standard output.
    pub(super) fn is_for_people(&self) -> bool {
        self.shown.is_some_and(Format::is_for_people)
    }

    /// Takes what was found in one policy, whose root is the first of its files, or in one rule set. Gives how much that is.
    pub(super) fn add(
        &mut self,
        files: &[SourceText],
        diagnostics: &[Diagnostic],
        levels: &Levels,
        order: Order,
    ) -> Result<Tally, Failure> {
        let mut sheet = Sheet::new(files, diagnostics, levels);
        let names: Vec<Arc<str>> = files.iter().map(|file| Arc::from(self.repository.name(&file.path))).collect();
        let fingerprints = self.set_aside(&mut sheet, &names);
        self.checked.extend(names.first().map(|name| name.to_string()));
        let tally = sheet.tally();
        self.tally += tally;
        let flowing = |format, color| flowing(format, &sheet, order, color);
        if let Some(text) = self.shown.filter(|format| format.flows()).map(|format| flowing(format, self.color)) {
            print(&text)?;
        }
        for ((format, _), text) in self.files.iter().zip(&mut self.texts) {
            if format.flows() {
                text.push_str(&flowing(*format, false));
            }
        }
        let formats = self.shown.iter().chain(self.files.iter().map(|(format, _)| format));
        if formats.into_iter().any(|format| !format.flows()) {
            self.findings.extend(findings(&sheet, &names, fingerprints));
        }
        Ok(tally)
    }

    /// The fingerprints of a sheet's diagnostics. What a baseline knows, or takes, is no longer among them.
    fn set_aside(&mut self, sheet: &mut Sheet<'_>, names: &[Arc<str>]) -> Vec<String> {
        let nowhere = SourceText { path: "".into(), text: "".into() };
        let mut fingerprints = Vec::new();
        let whole = sheet.diagnostics.iter().all(|(_, one)| baseline::takes(one));
        sheet.diagnostics.retain(|(_, one)| {
            let file = one.primary.location.file.0 as usize;
            let source = sheet.files.get(file).unwrap_or(&nowhere);
            let name = names.get(file).map_or("", |name| name);
            let fingerprint = self.fingerprints.of(one, source, name);
            if let Some((_, adopted)) = self.adopted.as_mut().filter(|_| baseline::takes(one)) {
                adopted.push(baseline::Entry::new(one, name, statement(source, one), &fingerprint));
                return false;
            }
            if self.baseline.as_mut().is_some_and(|baseline| baseline.knows(one, &fingerprint)) {
                return false;
            }
            fingerprints.push(fingerprint);
            true
        });
        if whole {
            self.seen.extend(names.iter().map(|name| name.to_string()));
        }
        fingerprints
    }

    /// Writes what is written last, and says how many findings there were.
    pub(super) fn finish(mut self) -> Result<Tally, Failure> {
        match self.shown {
            Some(format) if format.is_for_people() => print(&self.tally.line())?,
            Some(format) if !format.flows() => print(&self.document(format))?,
            _ => {}
        }
        let texts = std::mem::take(&mut self.texts);
        for ((format, path), mut text) in self.files.iter().zip(texts) {
            if !format.flows() {
                text = self.document(*format);
            } else if format.is_for_people() {
                text.push_str(&self.tally.line());
            }
            output::replace(path, &text)?;
        }
        if let Some(baseline) = &self.baseline {
            print_aside(&baseline.summary(&self.seen));
        }
        if let Some((path, adopted)) = self.adopted.take() {
            let number = adopted.len();
            baseline::write(&path, adopted)?;
            let findings = if number == 1 { "1 finding is" } else { &format!("{number} findings are") };
            print_aside(&format!("fwc: {findings} written to the baseline {}\n", path.display()));
        }
        Ok(self.tally)
    }

    fn document(&self, format: Format) -> String {
        match format {
            Format::Sarif => sarif::render(&self.findings),
            Format::Github => github::render(&self.findings),
            Format::Gitlab => gitlab::render(&self.findings),
            Format::Rdjson => rdjson::render(&self.findings),
            Format::Junit => junit::render(&self.findings, &self.checked),
            Format::Full | Format::Short | Format::Json => String::new(),
        }
    }
}

/// In what order the full text shows findings. Everything else is in the order of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// By place: a policy is read from the top.
    Place,
    /// Errors first: of a rule set that somebody wrote, the first screen shows what matters most.
    Worth,
}

fn flowing(format: Format, sheet: &Sheet<'_>, order: Order, color: bool) -> String {
    match format {
        Format::Full if order == Order::Worth => {
            let mut sheet = sheet.clone();
            sheet.diagnostics.sort_by_key(|(level, _)| Reverse(*level));
            full::render(&sheet, color)
        }
        Format::Full => full::render(sheet, color),
        Format::Short => short::render(sheet),
        _ => json::render(sheet),
    }
}
