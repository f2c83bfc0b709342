//! The Raft log on disk (redb), durable: an append is reported only after fsync. A thread of its own
//! does all writing in the order given and commits what has queued up together.
//!
//! The part of the log that is not purged is also held in memory, so reading never touches the disk;
//! it is short, because a snapshot is taken every few hundred entries.
//!
//! A full disk is waited out: nothing is reported that was not written, and nothing fails.
//!
//! Must never: report something durable that is not, leave a hole, or reorder two writes.

mod disk;
mod space;
mod writer;

use crate::{
    raft_types::{LogEntry, LogId, Snapshot, SnapshotMeta, TypeConfig, Vote},
    realtime,
};
pub use disk::{Disk, SimulatedDisk};
use openraft::{
    LogState, OptionalSend, RaftLogReader,
    entry::RaftEntry,
    storage::{IOFlushed, RaftLogStorage},
};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
pub(crate) use space::Health;
use space::Space;
use std::{
    collections::BTreeMap,
    fmt::Debug,
    io,
    ops::RangeBounds,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
};
use tokio::sync::{
    mpsc::{UnboundedSender, unbounded_channel},
    oneshot,
};
use writer::{Write, Writer};

/// Entries by index, each in JSON.
const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
/// Single values, each in JSON, by the names below.
const VALUES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("values");
const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";
const SNAPSHOT_META: &str = "snapshot-meta";
const SNAPSHOT_DATA: &str = "snapshot-data";

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// redb refused the file.
    #[error("Raft log {path}: {source}")]
    Database {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: redb::Error,
    },
    /// The file is not what redb wrote.
    #[error(
        "Raft log {path} is damaged ({reason}); the other members have everything that was in it: \
         'systole cluster leave --node {{this one}}' on one of them, then 'systole cluster stop' and \
         'systole cluster join --force' here bring it back (the damaged file is kept)"
    )]
    NotWhole {
        /// Which file.
        path: PathBuf,
        /// redb's words.
        reason: String,
    },
    /// A value in it cannot be read.
    #[error("Raft log {path}: {what} cannot be read: {source}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Which value.
        what: String,
        /// Why.
        source: serde_json::Error,
    },
    /// No thread could be started.
    #[error("Raft log {path}: cannot start its writer: {source}")]
    Thread {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl OpenError {
    fn of(path: &Path, source: redb::Error) -> Self {
        let path = path.to_owned();
        let damaged = match &source {
            redb::Error::Corrupted(reason) => Some(reason.clone()),
            redb::Error::Io(e) if e.kind() == io::ErrorKind::InvalidData => Some(e.to_string()),
            redb::Error::UpgradeRequired(_) => Some(source.to_string()),
            _ => None,
        };
        match damaged {
            Some(reason) => Self::NotWhole { path, reason },
            None => Self::Database { path, source },
        }
    }
}

/// The log and what belongs to it: vote, commit position, purge position, snapshot. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct LogStore {
    memory: Arc<Mutex<Memory>>,
    writer: mpsc::Sender<Write>,
    /// Tells the writer of a simulated disk, which no thread waits for.
    wake: Option<UnboundedSender<()>>,
    health: Health,
}

#[derive(Debug, Default)]
struct Memory {
    vote: Option<Vote>,
    committed: Option<LogId>,
    purged: Option<LogId>,
    entries: BTreeMap<u64, LogEntry>,
    snapshot: Option<Snapshot>,
}

impl LogStore {
    /// Opens (or makes) the store and starts its writer.
    ///
    /// # Errors
    /// The file is locked by another daemon, damaged, or not accessible.
    pub(crate) fn open(path: &Path, disk: &Disk) -> Result<Self, OpenError> {
        let health = Health::default();
        let space = Space::new(path, disk, health.clone());
        let mut written_by =
            Writer::open(path, disk, space).map_err(|source| OpenError::of(path, source))?;
        let memory = written_by.read(|database| load(database, path))?;
        let (writer, queue) = mpsc::channel();
        let wake = match disk {
            Disk::Files => {
                work_in_a_thread(written_by, queue).map_err(|source| OpenError::Thread {
                    path: path.to_owned(),
                    source,
                })?;
                None
            }
            Disk::Simulated(disk) => {
                let (wake, woken) = unbounded_channel();
                tokio::spawn(written_by.work_simulated(disk.clone(), queue, woken));
                Some(wake)
            }
        };
        Ok(Self {
            memory: Arc::new(Mutex::new(memory)),
            writer,
            wake,
            health,
        })
    }

    /// How the disk under it does.
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// Keeps a snapshot, replacing the one before.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn save_snapshot(&self, snapshot: Snapshot) -> io::Result<()> {
        let (done, written) = oneshot::channel();
        self.write(Write::Snapshot {
            meta: to_json(&snapshot.meta)?,
            data: snapshot.snapshot.clone(),
            done,
        })?;
        wait(written).await?;
        self.memory().snapshot = Some(snapshot);
        Ok(())
    }

    /// The last snapshot.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        self.memory().snapshot.clone()
    }

    /// Whether nothing was ever written here: a node that was never in a cluster.
    pub(crate) fn is_pristine(&self) -> bool {
        let memory = self.memory();
        memory.vote.is_none() && memory.entries.is_empty() && memory.snapshot.is_none()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // A panic while it was held cannot leave it half changed: each change is one assignment.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, write: Write) -> io::Result<()> {
        let ended = || io::Error::other("the writer of the Raft log has ended");
        self.writer.send(write).map_err(|_| ended())?;
        match &self.wake {
            Some(wake) => wake.send(()).map_err(|_| ended()),
            None => Ok(()),
        }
    }
}

fn work_in_a_thread(mut writer: Writer, queue: mpsc::Receiver<Write>) -> io::Result<()> {
    thread::Builder::new()
        .name("raft-log".to_owned())
        .stack_size(256 * 1024)
        .spawn(move || {
            realtime::thread();
            writer.work(&queue);
        })
        .map(drop)
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<LogEntry>> {
        let memory = self.memory();
        Ok(memory
            .entries
            .range(range)
            .map(|(_, e)| e.clone())
            .collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.memory().vote)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let memory = self.memory();
        let last = memory.entries.last_key_value().map(|(_, e)| e.log_id());
        Ok(LogState {
            last_purged_log_id: memory.purged,
            last_log_id: last.or(memory.purged),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (done, written) = oneshot::channel();
        self.write(Write::Value {
            name: VOTE,
            json: to_json(vote)?,
            done: Some(done),
        })?;
        wait(written).await?;
        self.memory().vote = Some(*vote);
        Ok(())
    }

    /// Written with the next durable write: what is lost of it by a crash is found out again from
    /// the leader.
    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.memory().committed = committed;
        self.write(Write::Value {
            name: COMMITTED,
            json: to_json(&committed)?,
            done: None,
        })
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.memory().committed)
    }

    async fn append<I>(&mut self, entries: I, done: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut written = Vec::new();
        {
            let mut memory = self.memory();
            for entry in entries {
                let index = entry.log_id().index;
                written.push((index, to_json(&entry)?));
                memory.entries.insert(index, entry);
            }
        }
        self.write(Write::Append {
            entries: written,
            done,
        })
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |id| id.index + 1);
        self.memory().entries.split_off(&from);
        let (done, written) = oneshot::channel();
        self.write(Write::Truncate { from, done })?;
        wait(written).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        {
            let mut memory = self.memory();
            memory.entries = memory.entries.split_off(&(upto.index + 1));
            memory.purged = Some(upto);
        }
        let (done, written) = oneshot::channel();
        self.write(Write::Purge {
            upto: upto.index,
            json: to_json(&upto)?,
            done,
        })?;
        wait(written).await
    }
}

async fn wait(written: oneshot::Receiver<io::Result<()>>) -> io::Result<()> {
    written
        .await
        .map_err(|_| io::Error::other("the writer of the Raft log has ended"))?
}

fn to_json<T: serde::Serialize>(value: &T) -> io::Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(io::Error::other)
}

fn load(database: &Database, path: &Path) -> Result<Memory, OpenError> {
    let failed = |source| OpenError::of(path, source);
    let (values, entries) = read_raw(database).map_err(failed)?;
    let mut memory = Memory {
        vote: parse_value(&values, VOTE, path)?,
        committed: parse_value::<Option<LogId>>(&values, COMMITTED, path)?.flatten(),
        purged: parse_value(&values, PURGED, path)?,
        ..Memory::default()
    };
    for (index, json) in entries {
        let entry = serde_json::from_slice(&json).map_err(|source| OpenError::Damaged {
            path: path.to_owned(),
            what: format!("entry {index}"),
            source,
        })?;
        memory.entries.insert(index, entry);
    }
    let meta: Option<SnapshotMeta> = parse_value(&values, SNAPSHOT_META, path)?;
    if let (Some(meta), Some(data)) = (meta, values.get(SNAPSHOT_DATA)) {
        memory.snapshot = Some(Snapshot {
            meta,
            snapshot: data.clone(),
        });
    }
    Ok(memory)
}

type RawValues = BTreeMap<String, Vec<u8>>;
type RawEntries = Vec<(u64, Vec<u8>)>;

fn read_raw(database: &Database) -> Result<(RawValues, RawEntries), redb::Error> {
    let transaction = database.begin_read()?;
    let mut values = RawValues::new();
    for item in transaction.open_table(VALUES)?.iter()? {
        let (name, json) = item?;
        values.insert(name.value().to_owned(), json.value().to_vec());
    }
    let mut entries = RawEntries::new();
    for item in transaction.open_table(ENTRIES)?.iter()? {
        let (index, json) = item?;
        entries.push((index.value(), json.value().to_vec()));
    }
    Ok((values, entries))
}

fn parse_value<T: serde::de::DeserializeOwned>(
    values: &RawValues,
    name: &str,
    path: &Path,
) -> Result<Option<T>, OpenError> {
    let parse = |json: &Vec<u8>| {
        serde_json::from_slice(json).map_err(|source| OpenError::Damaged {
            path: path.to_owned(),
            what: name.to_owned(),
            source,
        })
    };
    values.get(name).map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        driver::Event,
        raft_types::{Fact, TypeConfig},
        state_machine::StateMachine,
    };
    use openraft::{
        EntryPayload, StorageError,
        testing::log::{StoreBuilder, Suite},
        type_config::TypeConfigExt,
    };
    use std::process::{Command, Stdio};
    use tempfile::TempDir;

    struct Builder;

    impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for Builder {
        async fn build(
            &self,
        ) -> Result<(TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
            let dir = tempfile::tempdir().unwrap();
            let store = LogStore::open(&dir.path().join("raft.redb"), &Disk::Files).unwrap();
            let (events, mut queue) = tokio::sync::mpsc::unbounded_channel();
            tokio::spawn(async move {
                while let Some(event) = queue.recv().await {
                    if let Event::Snapshot { reply } = event {
                        let _ = reply.send(b"state".to_vec());
                    }
                }
            });
            let machine = StateMachine::new(events, store.clone());
            Ok((dir, store, machine))
        }
    }

    /// openraft's own checks of a store.
    #[tokio::test]
    async fn it_is_what_openraft_expects() {
        Suite::test_all(Builder).await.unwrap();
    }

    fn entry(index: u64) -> LogEntry {
        LogEntry {
            log_id: LogId::new_term_index(1, index),
            payload: EntryPayload::Normal(Fact(crmd_core::entry::Entry::MemberRemoved {
                node: format!("node-{index}").as_str().into(),
            })),
        }
    }

    async fn append(store: &mut LogStore, entries: impl IntoIterator<Item = LogEntry>) {
        let (sender, written) = TypeConfig::oneshot();
        let entries: Vec<LogEntry> = entries.into_iter().collect();
        store
            .append(entries, IOFlushed::signal(sender))
            .await
            .unwrap();
        written.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn everything_is_there_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("raft.redb");
        let vote = Vote::new(1, 7);
        {
            let mut store = LogStore::open(&path, &Disk::Files).unwrap();
            assert!(store.is_pristine());
            store.save_vote(&vote).await.unwrap();
            append(&mut store, (0..10).map(entry)).await;
            store.truncate_after(Some(entry(7).log_id)).await.unwrap();
            store.purge(entry(2).log_id).await.unwrap();
            store.save_committed(Some(entry(5).log_id)).await.unwrap();
        }
        let mut store = reopen(&path);
        assert!(!store.is_pristine());
        assert_eq!(store.read_vote().await.unwrap(), Some(vote));
        assert_eq!(store.read_committed().await.unwrap(), Some(entry(5).log_id));
        let state = store.get_log_state().await.unwrap();
        assert_eq!(state.last_purged_log_id, Some(entry(2).log_id));
        assert_eq!(state.last_log_id, Some(entry(7).log_id));
        let kept = store.try_get_log_entries(..).await.unwrap();
        assert_eq!(kept, (3..8).map(entry).collect::<Vec<_>>());
    }

    /// The writer of the store before may need a moment to let go of the file.
    fn reopen(path: &Path) -> LogStore {
        for _ in 0..100 {
            if let Ok(store) = LogStore::open(path, &Disk::Files) {
                return store;
            }
            thread::sleep(std::time::Duration::from_millis(20));
        }
        LogStore::open(path, &Disk::Files).unwrap()
    }

    const CHILD: &str = "LOG_STORE_TEST_PATH";

    /// Not a test of its own: the process that `survives_kill_9` kills. Prints each index once its
    /// append was reported durable.
    #[tokio::test]
    async fn child_that_appends_until_killed() {
        let Some(path) = std::env::var_os(CHILD) else {
            return;
        };
        let mut store = LogStore::open(Path::new(&path), &Disk::Files).unwrap();
        let next = store.get_log_state().await.unwrap().last_log_id;
        for index in next.map_or(0, |id| id.index + 1).. {
            append(&mut store, [entry(index)]).await;
            println!("\nacked {index}");
        }
    }

    /// Killed at 20 moments, the store always opens again, without hole, with all that was reported.
    #[tokio::test]
    async fn survives_kill_9() {
        use std::io::{BufRead, BufReader};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("raft.redb");
        let mut acked = None;
        for round in 1..=20 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args([
                    "log_store::tests::child_that_appends_until_killed",
                    "--exact",
                    "--nocapture",
                ])
                .env(CHILD, &path)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let reports = lines
                .map_while(Result::ok)
                .filter_map(|l| l.strip_prefix("acked ")?.parse::<u64>().ok());
            let mut reports = reports;
            acked = reports.by_ref().take(round).last().or(acked);
            child.kill().unwrap();
            child.wait().unwrap();
            acked = reports.last().or(acked);

            let mut store = LogStore::open(&path, &Disk::Files).unwrap();
            let entries = store.try_get_log_entries(..).await.unwrap();
            let indexes: Vec<u64> = entries.iter().map(|e| e.log_id.index).collect();
            assert_eq!(indexes, (0..indexes.len() as u64).collect::<Vec<_>>());
            assert!(
                indexes.last().copied() >= acked,
                "{acked:?} was reported, {:?} is there",
                indexes.last()
            );
            drop(store);
            thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(acked.is_some_and(|index| index > 20));
    }
}
