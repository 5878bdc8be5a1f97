//! Puts under one another what is read as a column: the `=` of declarations of a kind, and the comments behind lines.

use super::WIDTH;
use super::layout::Line;

/// How much white space a column of `=` may cost a line.
const WIDEST_PADDING: usize = 24;
/// A line wider than this has its comment right behind it, so that it does not push those of all others away.
const WIDEST_COMMENTED: usize = 72;

/// Aligns what stands in adjacent lines.
pub(super) fn align(lines: &mut [Line<'_>]) {
    for run in lines.chunk_by_mut(declares_alike) {
        align_equals(run);
    }
    for run in lines.chunk_by_mut(|above, below| under(above, below) && !stands_alone(above, below)) {
        align_comments(run);
    }
}

/// Whether one line stands right under the other, in the same block.
fn under(above: &Line<'_>, below: &Line<'_>) -> bool {
    above.indent == below.indent && !below.blank && !above.edge && !below.edge
}

/// Whether one of the two is a comment that belongs to no line above.
fn stands_alone(above: &Line<'_>, below: &Line<'_>) -> bool {
    let alone = |line: &Line<'_>| line.text.is_empty() && !line.continues;
    alone(above) || alone(below)
}

fn declares_alike(above: &Line<'_>, below: &Line<'_>) -> bool {
    let keyword = |line: &Line<'_>| line.text.split(' ').next().map(str::to_owned);
    under(above, below) && above.equals.is_some() && below.equals.is_some() && keyword(above) == keyword(below)
}

fn align_equals(run: &mut [Line<'_>]) {
    let column = |line: &Line<'_>| line.equals.and_then(|at| line.text.get(..at)).map(|text| text.chars().count());
    let Some(widest) = run.iter().filter_map(column).max() else { return };
    let fits = |line: &Line<'_>| {
        column(line).is_some_and(|at| widest - at <= WIDEST_PADDING && line.width() + (widest - at) <= WIDTH)
    };
    if !run.iter().all(fits) {
        return;
    }
    for line in run {
        if let (Some(at), Some(column)) = (line.equals, column(line)) {
            line.text.insert_str(at, &" ".repeat(widest - column));
        }
    }
}

fn align_comments(run: &mut [Line<'_>]) {
    let commented = |line: &&mut Line<'_>| line.comment.is_some() && !line.text.is_empty();
    let widths = run.iter_mut().filter(commented).map(|line| line.width()).filter(|&width| width <= WIDEST_COMMENTED);
    let widest = widths.max().unwrap_or(0);
    let mut above = None;
    for line in run {
        if line.comment.is_none() {
            above = None;
            continue;
        }
        if line.text.is_empty() {
            match above {
                Some(column) if line.continues => line.pad = column - line.indent,
                _ => above = None,
            }
            continue;
        }
        line.pad = widest.saturating_sub(line.width());
        above = Some(line.width() + line.pad + 2);
    }
}
