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
    life: Life,
    file: File,
    under_way: Vec<Unfinished>,
}

/// What the lines add up to. Only the core knows which of its records still matter, so all are kept
/// until it gives others.
#[derive(Debug, Default)]
struct State {
    records: Vec<JournalRecord>,
    under_way: Vec<Unfinished>,
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
        if state.records.first() != Some(&JournalRecord::Life(life.clone())) {
            state = State::default();
            state.take(&Line::Core(JournalRecord::Life(life.clone())));
        }
        let file = rewrite(path, &state).map_err(failed)?;
        let recovered = Recovered {
            records: std::mem::take(&mut state.records),
            unfinished: state.under_way.clone(),
        };
        let open = Open {
            path: path.to_owned(),
            life: life.clone(),
            file,
            under_way: state.under_way,
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
        note(&mut self.under_way, line);
        let written = self.file.write_all(to_text(line).as_bytes());
        written.map_err(|e| self.failed(e))
    }

    fn replace(&mut self, records: &[JournalRecord]) -> Result<(), JournalError> {
        let mut state = State::default();
        if !matches!(records.first(), Some(JournalRecord::Life(_))) {
            state.take(&Line::Core(JournalRecord::Life(self.life.clone())));
        }
        for record in records {
            state.take(&Line::Core(record.clone()));
        }
        for left in &mut state.under_way {
            let known = self.under_way.iter().find(|u| u.exec == left.exec);
            left.group = known.and_then(|u| u.group.clone());
        }
        self.file = rewrite(&self.path, &state).map_err(|e| self.failed(e))?;
        self.under_way = state.under_way;
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
        note(&mut self.under_way, line);
        if let Line::Core(record) = line {
            self.records.push(record.clone());
        }
    }
}

/// Keeps account of what is under way.
fn note(under_way: &mut Vec<Unfinished>, line: &Line) {
    match line {
        Line::Core(JournalRecord::Began { exec, action, .. }) => under_way.push(Unfinished {
            exec: *exec,
            resource: action.resource.clone(),
            group: None,
        }),
        Line::Core(JournalRecord::Ended { exec }) => under_way.retain(|u| u.exec != *exec),
        Line::Core(_) => {}
        Line::Group(group) => {
            let started = under_way.iter_mut().filter(|u| u.exec == group.exec);
            started.for_each(|u| u.group = Some(group.group.clone()));
        }
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
    for record in &state.records {
        text.push_str(&to_text(&Line::Core(record.clone())));
    }
    for left in &state.under_way {
        if let Some(group) = left.group.clone() {
            let exec = left.exec;
            text.push_str(&to_text(&Line::Group(ExecGroup { exec, group })));
        }
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
    use std::collections::BTreeMap;

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
        // Every record in its order: the core takes up a monitor from one that has ended.
        let records = [
            JournalRecord::Life(life(1)),
            began(7),
            JournalRecord::Ended { exec: 7 },
            began(8),
            resource(Some("<lrm_resource/>")),
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
