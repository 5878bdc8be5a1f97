//! The state of one client's session, and what follows from a change of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crossbeam_channel::Sender;
use gen_lsp_types::{Diagnostic as Published, Notification, PublishDiagnosticsNotification, Request, Uri};
use lsp_server::{Message, Request as Asked, RequestId};
use serde::Serialize;

use super::client::Client;
use super::diagnostics;
use super::documents::Documents;
use super::pool::Question;
use super::proofs::{Found, Job};
use super::relation::Relation;
use super::snapshot::{Snapshot, View};
use super::subject::{Kind, Subject};
use super::workspace::Workspace;
use crate::database;

/// Files include others; a change of that changes which are roots. It settles at once, unless files change meanwhile.
const ROUNDS: usize = 4;

/// The protocol's `PublishDiagnosticsParams`, of a list that is kept: it may be long, and goes out at each keystroke.
#[derive(Serialize)]
struct PublishParameters<'a> {
    uri: Uri,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    diagnostics: &'a [Published],
}

/// A session.
pub struct Session {
    sender: Sender<Message>,
    jobs: Sender<Job>,
    /// Those who answer requests.
    pub questions: Sender<Question>,
    /// Requests that are being answered.
    pub pending: HashSet<RequestId>,
    /// What the client can do.
    pub client: Arc<Client>,
    /// Its folders.
    pub folders: Vec<PathBuf>,
    /// What it has open.
    documents: Arc<Documents>,
    workspace: Workspace,
    /// The roots of open texts.
    subjects: BTreeMap<PathBuf, Subject>,
    /// Roots of which something changed.
    stale: BTreeSet<PathBuf>,
    /// Open texts whose roots may be others now.
    regrouped: BTreeSet<PathBuf>,
    /// The roots of each open text.
    roots: Relation,
    /// The files that each root depends on, or would if they existed.
    rests: Relation,
    /// Texts that were edited since diagnostics were told.
    edited: BTreeSet<PathBuf>,
    /// What is said of each file, by the root that it is said of.
    said: BTreeMap<PathBuf, BTreeMap<PathBuf, Arc<Vec<Published>>>>,
    /// The files of which something is said for each root.
    speaks: Relation,
    /// What was told of each file, and how often that changed.
    told: BTreeMap<PathBuf, (Arc<Vec<Published>>, u64)>,
    /// Texts of which the client asks for diagnostics itself.
    pulled: BTreeSet<PathBuf>,
    /// When each file on disk was changed, as far as it is looked at.
    changed: BTreeMap<PathBuf, Option<SystemTime>>,
    /// Whether the client said `shutdown`.
    pub shut_down: bool,
    requests: i32,
}

impl Session {
    /// A session in which nothing is open.
    pub fn new(sender: Sender<Message>, client: Client, jobs: Sender<Job>, questions: Sender<Question>) -> Self {
        Self {
            sender,
            jobs,
            questions,
            pending: HashSet::new(),
            folders: client.folders.clone(),
            client: Arc::new(client),
            documents: Arc::default(),
            workspace: Workspace::default(),
            subjects: BTreeMap::new(),
            stale: BTreeSet::new(),
            regrouped: BTreeSet::new(),
            roots: Relation::default(),
            rests: Relation::default(),
            edited: BTreeSet::new(),
            said: BTreeMap::new(),
            speaks: Relation::default(),
            told: BTreeMap::new(),
            pulled: BTreeSet::new(),
            changed: BTreeMap::new(),
            shut_down: false,
            requests: 0,
        }
    }

    /// Sends a message. A client that is gone is noticed where messages are received.
    pub fn send(&self, message: impl Into<Message>) {
        let _ = self.sender.send(message.into());
    }

    /// Asks the client for something; what it answers is of no consequence.
    pub fn ask<R: Request>(&mut self, parameters: R::Params) {
        self.requests += 1;
        self.send(Asked::new(self.requests.into(), R::METHOD.into(), parameters));
    }

    /// What is open, to be changed.
    pub fn documents(&mut self) -> &mut Documents {
        Arc::make_mut(&mut self.documents)
    }

    /// Looks for policies in the client's folders.
    pub fn search(&mut self) {
        self.workspace = Workspace::search(&self.folders, &self.documents);
        self.regrouped.extend(self.documents.iter().map(|(key, _)| key.clone()));
    }

    /// A text was opened or closed.
    pub fn opened(&mut self, key: PathBuf) {
        self.changed_text(&key);
        self.regrouped.insert(key.clone());
        self.edited.insert(key);
    }

    /// A text was closed.
    pub fn closed(&mut self, key: &Path) {
        self.changed_text(key);
        self.pulled.remove(key);
        self.edited.remove(key);
        self.regrouped.insert(key.to_path_buf());
    }

    /// A text was edited.
    pub fn edited(&mut self, key: PathBuf) {
        self.changed_text(&key);
        self.edited.insert(key);
    }

    /// A text changed, in the editor or on disk: whatever rests on it is to be looked at again.
    pub fn changed_text(&mut self, key: &Path) {
        self.stale.extend(self.rests.to(key).map(Path::to_path_buf));
    }

    /// Gives up what is being proved.
    pub fn give_up(&self) {
        self.subjects.values().for_each(Subject::give_up);
    }

    /// Finds the files that changed on disk and that the client does not watch: those outside its folders, or all.
    pub fn look_at_disk(&mut self) {
        let is_watched =
            |path: &&PathBuf| self.client.watches && self.folders.iter().any(|folder| path.starts_with(folder));
        let asked = self.subjects.values().flat_map(|subject| &subject.asked).filter(|path| !is_watched(path));
        let asked: BTreeSet<PathBuf> = asked.cloned().collect();
        let mut now = BTreeMap::new();
        for path in asked {
            let time = std::fs::metadata(&path).and_then(|data| data.modified()).ok();
            if self.changed.get(&path).is_some_and(|before| *before != time) {
                self.changed_text(&path);
            }
            now.insert(path, time);
        }
        self.changed = now;
    }

    /// Brings everything up to the texts as they are, and tells what can be said at once. A fault of fwc costs this one answer.
    pub fn settle(&mut self) {
        if self.stale.is_empty() && self.regrouped.is_empty() {
            return;
        }
        if catch_unwind(AssertUnwindSafe(|| self.bring_up())).is_err() {
            self.stale.clear();
            self.regrouped.clear();
        }
    }

    fn bring_up(&mut self) {
        let mut unchecked = BTreeSet::new();
        let mut orphans = BTreeSet::new();
        for _ in 0..ROUNDS {
            orphans.extend(self.choose_roots());
            let stale = std::mem::take(&mut self.stale);
            if stale.is_empty() {
                break;
            }
            for path in stale {
                let Some(subject) = self.subjects.get_mut(&path) else { continue };
                let (table, asked) = (Arc::clone(&subject.table), std::mem::take(&mut subject.asked));
                subject.read(&self.documents);
                let others = subject.table.keys != table.keys;
                if others || subject.asked != asked {
                    self.rests.set(&path, subject.rests_on());
                }
                if let (Kind::Policy, Some((db, input))) = (subject.kind, &subject.policy)
                    && others
                {
                    let affected = self.workspace.learn(&path, database::project(db, *input));
                    self.regrouped.extend(affected.into_iter().filter(|key| self.documents.get(key).is_some()));
                }
                unchecked.insert(path);
            }
        }
        let mut done = Vec::new();
        for path in unchecked {
            let Some(subject) = self.subjects.get_mut(&path) else { continue };
            let (job, before) = subject.check();
            done.extend(before);
            orphans.extend(self.say(&path));
            // The worker lives as long as the session.
            let _ = self.jobs.send(job);
        }
        orphans.append(&mut self.edited.clone());
        self.tell(orphans);
        // When all is told, and here: memory that another thread gives back comes home one cold block after the other, at the next keystroke.
        drop(done);
    }

    /// Finds the roots of open texts anew where they may be others. Returns files of which something was said that nobody says any more.
    fn choose_roots(&mut self) -> BTreeSet<PathBuf> {
        let mut concerned = BTreeSet::new();
        for text in std::mem::take(&mut self.regrouped) {
            let roots = match self.kind(&text) {
                None | Some(Kind::Other) => BTreeSet::new(),
                Some(Kind::Policy) => self.workspace.roots_of(&text),
                Some(_) => BTreeSet::from([text.clone()]),
            };
            concerned.extend(roots.iter().cloned());
            concerned.extend(self.roots.set(&text, roots));
        }
        let mut orphans = BTreeSet::new();
        for root in concerned {
            let is_wanted = self.roots.to(&root).next().is_some();
            // A root that is not open itself is the policy of others.
            let kind = self.kind(&root).filter(|kind| *kind != Kind::Other).unwrap_or(Kind::Policy);
            let kind = is_wanted.then_some(kind);
            if self.subjects.get(&root).map(|subject| subject.kind) == kind {
                continue;
            }
            if let Some(subject) = self.subjects.remove(&root) {
                subject.give_up();
                self.rests.set(&root, BTreeSet::new());
                orphans.extend(self.write_down(&root, BTreeMap::new()));
            }
            if let Some(kind) = kind {
                self.subjects.insert(root.clone(), Subject::new(root.clone(), kind));
                self.stale.insert(root);
            }
        }
        orphans
    }

    /// What an open text is.
    fn kind(&self, key: &Path) -> Option<Kind> {
        let document = self.documents.get(key).filter(|_| !self.client.pages.has(key))?;
        Some(Kind::of(key, &document.language, &document.text))
    }

    /// Writes down what is said of a root. Returns the files of which it says something, or did.
    fn say(&mut self, root: &Path) -> BTreeSet<PathBuf> {
        let Some(subject) = self.subjects.get(root) else { return BTreeSet::new() };
        let said = diagnostics::published(subject, &self.documents, &self.client);
        self.write_down(root, said)
    }

    fn write_down(&mut self, root: &Path, said: BTreeMap<PathBuf, Vec<Published>>) -> BTreeSet<PathBuf> {
        let mut files: BTreeSet<PathBuf> = said.keys().cloned().collect();
        let before = self.speaks.set(root, files.clone());
        for gone in before.difference(&files) {
            if let Some(by_root) = self.said.get_mut(gone) {
                by_root.remove(root);
                if by_root.is_empty() {
                    self.said.remove(gone);
                }
            }
        }
        for (file, list) in said {
            self.said.entry(file).or_default().insert(root.to_path_buf(), Arc::new(list));
        }
        files.extend(before);
        files
    }

    /// What is said of a file, by whichever roots. What a comment in it expects is missed if each of its roots misses it; as long as
    /// one of them has not been looked at, nobody knows.
    fn of_file(&self, key: &Path) -> Arc<Vec<Published>> {
        let Some(said) = self.said.get(key) else { return Arc::default() };
        let mut lists = said.values();
        let mut out = lists.next().map(Arc::clone).unwrap_or_default();
        for list in lists {
            let new: Vec<Published> = list.iter().filter(|one| !out.contains(one)).cloned().collect();
            Arc::make_mut(&mut out).extend(new);
        }
        if out.iter().any(diagnostics::is_missed) {
            let roots = self.workspace.roots_of(key);
            let says = |root: &PathBuf, one: &Published| said.get(root).is_some_and(|told| told.contains(one));
            Arc::make_mut(&mut out)
                .retain(|one| !diagnostics::is_missed(one) || roots.iter().all(|root| says(root, one)));
        }
        out
    }

    /// Publishes what is said of some files, if it is not what was told, or if they were edited.
    fn tell(&mut self, files: BTreeSet<PathBuf>) {
        let mut refresh = false;
        for key in files {
            let new = self.of_file(&key);
            let edited = self.edited.remove(&key);
            let (told, count) = self.told.entry(key.clone()).or_default();
            let differs = *told != new;
            if differs {
                *told = Arc::clone(&new);
                *count += 1;
            }
            if self.is_pulled(&key) {
                refresh |= differs;
            } else if differs || edited {
                self.publish(&key, &new);
            }
        }
        if refresh {
            self.ask::<gen_lsp_types::DiagnosticRefreshRequest>(());
        }
    }

    fn publish(&self, key: &Path, diagnostics: &[Published]) {
        let version = self.documents.get(key).map(|document| document.version);
        let parameters = PublishParameters { uri: self.documents.uri(key), version, diagnostics };
        self.send(lsp_server::Notification::new(PublishDiagnosticsNotification::METHOD.into(), parameters));
    }

    /// Whether the client asks for the diagnostics of a text itself, and can be told when to: then they are not pushed, or it
    /// would show everything twice.
    fn is_pulled(&self, key: &Path) -> bool {
        self.client.refreshes && self.pulled.contains(key)
    }

    /// Answers a client that asks: what there is to say, and a number that changes with it.
    pub fn pull(&mut self, key: &Path) -> (Arc<Vec<Published>>, String) {
        self.settle();
        let first = self.pulled.insert(key.to_path_buf());
        if first && self.is_pulled(key) && self.told.get(key).is_some_and(|(told, _)| !told.is_empty()) {
            self.publish(key, &[]);
        }
        let count = self.told.get(key).map_or(0, |(_, count)| *count);
        (self.of_file(key), count.to_string())
    }

    /// Takes in what the worker found.
    pub fn found(&mut self, result: Found) {
        let Some(subject) = self.subjects.get_mut(&result.root) else { return };
        if !subject.is_current(result.revision) {
            return;
        }
        subject.say(result.part, result.diagnostics);
        let files = self.say(&result.root);
        self.tell(files);
    }

    /// The state now, for whoever answers a request: of the roots in which a text takes part, or of all.
    pub fn snapshot(&mut self, text: Option<&Path>) -> Snapshot {
        self.settle();
        let subjects: Vec<&Subject> = match text {
            Some(key) => self.rests.to(key).filter_map(|root| self.subjects.get(root)).collect(),
            None => self.subjects.values().collect(),
        };
        let views = subjects.into_iter().map(|subject| View {
            path: subject.path.clone(),
            kind: subject.kind,
            policy: subject.policy.clone(),
            table: Arc::clone(&subject.table),
            said: subject.diagnostics().map(|(_, one)| one.clone()).collect(),
        });
        let views = views.collect();
        Snapshot { views, documents: Arc::clone(&self.documents), client: Arc::clone(&self.client) }
    }
}
