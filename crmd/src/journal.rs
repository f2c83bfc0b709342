//! The journal in the run directory: append-only JSON lines that make known to a restarted daemon
//! what runs here and what this node's status was (protocol.md, 12). The run directory is memory of
//! the host, emptied by a reboot, so a completed `write` survives `kill -9` and nothing is fsynced.
//!
//! A torn last line is the trace of a crash while it was written: what it announced did not happen.
//! When the core finds it too long it gives what still matters, and the file is replaced.

use crmd_core::{command::ExecId, ids::Life, journal::JournalRecord};
use process::Group;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Line {
    /// The core's.
    Core(JournalRecord),
    /// The shell's: the process group that carries out an execution.
    Group(ExecGroup),
}

/// The process group that was started for an execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExecGroup {
    /// Which execution.
    pub(crate) exec: ExecId,
    /// Its processes.
    pub(crate) group: Group,
}

/// The journal could not be used.
#[derive(Debug, thiserror::Error)]
#[error("journal {path}: {source}")]
pub struct JournalError {
    path: PathBuf,
    source: io::Error,
}

/// An execution that began and whose end was not recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unfinished {
    /// Which.
    pub(crate) exec: ExecId,
    /// The resource it is about.
    pub(crate) resource: String,
    /// Its process group; nothing if the crash came before that was known.
    pub(crate) group: Option<Group>,
}

/// What an earlier incarnation of the same life left.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Recovered {
    /// For [`crmd_core::Node::recover`].
    pub(crate) records: Vec<JournalRecord>,
    /// To be waited for or ended before.
    pub(crate) unfinished: Vec<Unfinished>,
}

/// The open journal; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Journal(Arc<Mutex<Open>>);

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    state: State,
}

/// What the lines add up to.
#[derive(Debug, Default)]
struct State {
    life: Option<Life>,
    term: Option<JournalRecord>,
    resources: BTreeMap<String, JournalRecord>,
    attributes: BTreeMap<String, JournalRecord>,
    began: BTreeMap<ExecId, JournalRecord>,
    groups: BTreeMap<ExecId, ExecGroup>,
}

impl Journal {
    /// Opens the journal of `life`, reading what an earlier incarnation of it left. One of another
    /// life is emptied.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(crate) fn open(path: &Path, life: &Life) -> Result<(Self, Recovered), JournalError> {
        let failed = |source| JournalError {
            path: path.to_owned(),
            source,
        };
        let text = read_or_empty(path).map_err(failed)?;
        let mut state = replay(&text, path);
        if state.life.as_ref() != Some(life) {
            state = State::default();
            state.take(&Line::Core(JournalRecord::Life(life.clone())));
        }
        let recovered = state.recovered();
        let file = rewrite(path, &state).map_err(failed)?;
        let open = Open {
            path: path.to_owned(),
            file,
            state,
        };
        Ok((Self(Arc::new(Mutex::new(open))), recovered))
    }

    /// Appends a record of the core; done when it returns.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn append(&self, record: &JournalRecord) -> Result<(), JournalError> {
        self.open_file().append(&Line::Core(record.clone()))
    }

    /// Replaces everything by `records` (and the process groups of what is under way in them).
    ///
    /// # Errors
    /// The file cannot be written; the old one stays.
    pub(crate) fn rewrite(&self, records: &[JournalRecord]) -> Result<(), JournalError> {
        self.open_file().replace(records)
    }

    /// Appends the process group of an execution.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn append_group(&self, group: ExecGroup) -> Result<(), JournalError> {
        self.open_file().append(&Line::Group(group))
    }

    fn open_file(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn append(&mut self, line: &Line) -> Result<(), JournalError> {
        self.state.take(line);
        let written = self.file.write_all(to_text(line).as_bytes());
        written.map_err(|e| self.failed(e))
    }

    fn replace(&mut self, records: &[JournalRecord]) -> Result<(), JournalError> {
        let mut state = State::default();
        for record in records {
            state.take_record(record);
        }
        state.life = state.life.or_else(|| self.state.life.clone());
        state.groups = std::mem::take(&mut self.state.groups);
        state
            .groups
            .retain(|exec, _| state.began.contains_key(exec));
        self.file = rewrite(&self.path, &state).map_err(|e| self.failed(e))?;
        self.state = state;
        Ok(())
    }

    fn failed(&self, source: io::Error) -> JournalError {
        JournalError {
            path: self.path.clone(),
            source,
        }
    }
}

impl State {
    fn take(&mut self, line: &Line) {
        match line {
            Line::Group(group) => {
                self.groups.insert(group.exec, group.clone());
            }
            Line::Core(record) => self.take_record(record),
        }
    }

    fn take_record(&mut self, record: &JournalRecord) {
        match record {
            JournalRecord::Life(life) => self.life = Some(life.clone()),
            JournalRecord::Term(_) => self.term = Some(record.clone()),
            JournalRecord::Began { exec, .. } => {
                self.began.insert(*exec, record.clone());
            }
            JournalRecord::Ended { exec } => {
                self.began.remove(exec);
                self.groups.remove(exec);
            }
            JournalRecord::Resource { resource, xml } => {
                keep(&mut self.resources, resource, xml.is_some(), record);
            }
            JournalRecord::Attribute { name, value } => {
                keep(&mut self.attributes, name, value.is_some(), record);
            }
        }
    }

    fn records(&self) -> Vec<JournalRecord> {
        let life = self.life.clone().map(JournalRecord::Life);
        let status = self.resources.values().chain(self.attributes.values());
        life.into_iter()
            .chain(self.term.clone())
            .chain(status.cloned())
            .chain(self.began.values().cloned())
            .collect()
    }

    fn recovered(&self) -> Recovered {
        let unfinished = |record: &JournalRecord| match record {
            JournalRecord::Began { exec, action, .. } => Some(Unfinished {
                exec: *exec,
                resource: action.resource.clone(),
                group: self.groups.get(exec).map(|g| g.group.clone()),
            }),
            _ => None,
        };
        Recovered {
            records: self.records(),
            unfinished: self.began.values().filter_map(unfinished).collect(),
        }
    }
}

fn keep(
    map: &mut BTreeMap<String, JournalRecord>,
    name: &str,
    present: bool,
    record: &JournalRecord,
) {
    if present {
        map.insert(name.to_owned(), record.clone());
    } else {
        map.remove(name);
    }
}

fn read_or_empty(path: &Path) -> io::Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

fn replay(text: &str, path: &Path) -> State {
    let mut state = State::default();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if !line.ends_with('\n') {
            tracing::info!(path = %path.display(), "the journal ends in a torn line, as a crash leaves it; dropped");
            break;
        }
        match serde_json::from_str(line) {
            Ok(line) => state.take(&line),
            Err(error) => {
                tracing::warn!(path = %path.display(), line = number + 1, %error, "a damaged line of the journal was skipped");
            }
        }
    }
    state
}

fn rewrite(path: &Path, state: &State) -> io::Result<File> {
    let mut text = String::new();
    for record in state.records() {
        text.push_str(&to_text(&Line::Core(record)));
    }
    for group in state.groups.values() {
        text.push_str(&to_text(&Line::Group(group.clone())));
    }
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    OpenOptions::new().append(true).open(path)
}

/// Plain data with string keys: cannot fail to become JSON.
fn to_text(line: &Line) -> String {
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crmd_core::command::AgentAction;

    fn life(number: u64) -> Life {
        Life {
            number,
            id: format!("boot-{number}"),
        }
    }

    fn began(exec: ExecId) -> JournalRecord {
        let action = AgentAction {
            resource: "R".to_owned(),
            class: "ocf".to_owned(),
            provider: Some("heartbeat".to_owned()),
            kind: "Dummy".to_owned(),
            operation: "start".to_owned(),
            interval_ms: 0,
            timeout_ms: 20_000,
            parameters: BTreeMap::new(),
        };
        JournalRecord::Began {
            exec,
            action,
            transition_key: "1:2:0:x".to_owned(),
            target_rc: 0,
            record: BTreeMap::new(),
        }
    }

    fn group(exec: ExecId) -> ExecGroup {
        let group = Group {
            pgid: 4711,
            start_time: 99,
            mark: "1/1/8".to_owned(),
        };
        ExecGroup { exec, group }
    }

    fn resource(xml: Option<&str>) -> JournalRecord {
        JournalRecord::Resource {
            resource: "R".to_owned(),
            xml: xml.map(str::to_owned),
        }
    }

    #[test]
    fn a_restarted_daemon_finds_what_was_under_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (journal, nothing) = Journal::open(&path, &life(1)).unwrap();
        assert_eq!(nothing.unfinished, []);
        journal.append(&began(7)).unwrap();
        journal.append(&JournalRecord::Ended { exec: 7 }).unwrap();
        journal.append(&began(8)).unwrap();
        journal.append_group(group(8)).unwrap();
        journal.append(&resource(Some("<lrm_resource/>"))).unwrap();
        drop(journal);

        let (_, found) = Journal::open(&path, &life(1)).unwrap();
        let expected = Unfinished {
            exec: 8,
            resource: "R".to_owned(),
            group: Some(group(8).group),
        };
        assert_eq!(found.unfinished, [expected]);
        let records = [
            JournalRecord::Life(life(1)),
            resource(Some("<lrm_resource/>")),
            began(8),
        ];
        assert_eq!(found.records, records);
    }

    #[test]
    fn another_life_starts_with_an_empty_journal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (journal, _) = Journal::open(&path, &life(1)).unwrap();
        journal.append(&began(7)).unwrap();
        let (_, found) = Journal::open(&path, &life(2)).unwrap();
        assert_eq!(found.unfinished, []);
        assert_eq!(found.records, [JournalRecord::Life(life(2))]);
    }

    /// Cut at every byte, the journal still gives everything whose line was complete.
    #[test]
    fn a_torn_line_loses_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (journal, _) = Journal::open(&path, &life(1)).unwrap();
        for exec in 1..=3 {
            journal.append(&began(exec)).unwrap();
        }
        let whole = fs::read(&path).unwrap();
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let complete = whole[..length].iter().filter(|b| **b == b'\n').count();
            let (_, found) = Journal::open(&path, &life(1)).unwrap();
            assert_eq!(
                found.unfinished.len(),
                complete.saturating_sub(1),
                "cut at {length}"
            );
        }
    }

    #[test]
    fn a_rewrite_keeps_the_groups_of_what_is_under_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (journal, _) = Journal::open(&path, &life(1)).unwrap();
        for exec in [1, 2] {
            journal.append(&began(exec)).unwrap();
            journal.append_group(group(exec)).unwrap();
        }
        journal.rewrite(&[began(2)]).unwrap();
        let (_, found) = Journal::open(&path, &life(1)).unwrap();
        assert_eq!(found.records, [JournalRecord::Life(life(1)), began(2)]);
        assert_eq!(found.unfinished.len(), 1);
        assert_eq!(found.unfinished[0].group, Some(group(2).group));
    }
}
