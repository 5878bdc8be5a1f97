//! Which files go with which, asked either way: a session with thousands of open texts looks at those that a change concerns, and at no
//! other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Pairs of paths.
#[derive(Debug, Default)]
pub struct Relation {
    forward: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    backward: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
}

impl Relation {
    /// Replaces what goes with a path. Returns what did before.
    pub fn set(&mut self, path: &Path, others: BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
        let before = self.forward.remove(path).unwrap_or_default();
        for gone in before.difference(&others) {
            if let Some(paths) = self.backward.get_mut(gone) {
                paths.remove(path);
                if paths.is_empty() {
                    self.backward.remove(gone);
                }
            }
        }
        for new in others.difference(&before) {
            self.backward.entry(new.clone()).or_default().insert(path.to_path_buf());
        }
        if !others.is_empty() {
            self.forward.insert(path.to_path_buf(), others);
        }
        before
    }

    /// Whether a path was set to go with another.
    pub fn has(&self, path: &Path, other: &Path) -> bool {
        self.forward.get(path).is_some_and(|others| others.contains(other))
    }

    /// The paths that were set to go with another.
    pub fn to(&self, other: &Path) -> impl Iterator<Item = &Path> {
        self.backward.get(other).into_iter().flatten().map(PathBuf::as_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> BTreeSet<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn both_ways_say_the_same() {
        let mut relation = Relation::default();
        assert_eq!(relation.set(Path::new("a"), paths(&["x", "y"])), paths(&[]));
        assert_eq!(relation.set(Path::new("b"), paths(&["y"])), paths(&[]));
        assert_eq!(relation.to(Path::new("y")).collect::<Vec<_>>(), [Path::new("a"), Path::new("b")]);
        assert_eq!(relation.set(Path::new("a"), paths(&["x", "z"])), paths(&["x", "y"]));
        assert!(relation.has(Path::new("a"), Path::new("z")) && !relation.has(Path::new("a"), Path::new("y")));
        assert_eq!(relation.to(Path::new("y")).collect::<Vec<_>>(), [Path::new("b")]);
        relation.set(Path::new("a"), paths(&[]));
        relation.set(Path::new("b"), paths(&[]));
        assert!(relation.forward.is_empty() && relation.backward.is_empty(), "{relation:?}");
    }
}
