//! The thread that does all writing: in the order given, what has queued up in one transaction, reported
//! after fsync. When the disk is full it waits until there is room again, and nothing is lost or skipped.

use super::{
    ENTRIES, PURGED, SNAPSHOT_DATA, SNAPSHOT_META, VALUES,
    disk::{Disk, SimulatedDisk},
    space::Space,
};
use crate::raft_types::TypeConfig;
use openraft::storage::IOFlushed;
use redb::{Database, WriteTransaction};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};
use tokio::sync::{mpsc::UnboundedReceiver, oneshot};

/// redb's cache: everything is in memory already, so it only needs the pages it is changing.
const CACHE_BYTES: usize = 2 * 1024 * 1024;

/// Between two attempts to write to a full disk.
const RETRY: Duration = Duration::from_millis(200);

/// Between two looks whether a disk that was full has room again.
const LOOK: Duration = Duration::from_secs(1);

/// One thing to write; `Done` is told after fsync.
pub(super) enum Write {
    Append {
        entries: Vec<(u64, Vec<u8>)>,
        done: IOFlushed<TypeConfig>,
    },
    Value {
        name: &'static str,
        json: Vec<u8>,
        done: Option<Done>,
    },
    /// Remove entries from this index on.
    Truncate { from: u64, done: Done },
    /// Remove entries up to this index, and note the position (JSON of the log id).
    Purge {
        upto: u64,
        json: Vec<u8>,
        done: Done,
    },
    Snapshot {
        meta: Vec<u8>,
        data: Vec<u8>,
        done: Done,
    },
}

pub(super) type Done = oneshot::Sender<io::Result<()>>;

/// The store's only writer.
pub(super) struct Writer {
    path: PathBuf,
    disk: Disk,
    /// Nothing after a failed write: redb trusts a file again only when it is opened anew.
    database: Option<Database>,
    space: Space,
}

impl Writer {
    /// Opens (or makes) the file, with the space set aside if there is no other.
    pub(super) fn open(path: &Path, disk: &Disk, mut space: Space) -> Result<Self, redb::Error> {
        let database = match open_database(disk, path) {
            Err(error) if is_full(&error) && space.release(&error) => open_database(disk, path)?,
            other => other?,
        };
        space.set_aside();
        Ok(Self {
            path: path.to_owned(),
            disk: disk.clone(),
            database: Some(database),
            space,
        })
    }

    /// For what is read at the start.
    pub(super) fn read<T>(
        &mut self,
        read: impl FnOnce(&Database) -> Result<T, super::OpenError>,
    ) -> Result<T, super::OpenError> {
        let failed = |source| super::OpenError::Database {
            path: self.path.clone(),
            source,
        };
        if self.database.is_none() {
            self.database = Some(open_database(&self.disk, &self.path).map_err(failed)?);
        }
        match &self.database {
            Some(database) => read(database),
            None => Err(failed(redb::Error::DatabaseClosed)),
        }
    }

    /// Writes until every sender of the queue is gone.
    pub(super) fn work(&mut self, queue: &mpsc::Receiver<Write>) {
        let mut kept: Vec<Write> = Vec::new();
        loop {
            match self.next(queue) {
                Ok(Some(first)) => kept.push(first),
                Ok(None) => continue,
                Err(_) => break,
            }
            self.write_waiting(&mut kept, queue);
        }
        // The daemon ends in order: the commit position need not be found out again.
        if !kept.is_empty()
            && let Err(error) = self.try_write(&kept)
        {
            tracing::warn!(%error, "the commit position could not be written; it will be learnt again");
        }
    }

    /// The same on a simulated disk, as a task; `wake` tells of each write, and ends with their senders.
    pub(super) async fn work_simulated(
        mut self,
        disk: Arc<dyn SimulatedDisk>,
        queue: mpsc::Receiver<Write>,
        mut wake: UnboundedReceiver<()>,
    ) {
        let mut kept: Vec<Write> = Vec::new();
        loop {
            match tokio::time::timeout(self.patience(), wake.recv()).await {
                Ok(Some(())) => {}
                Ok(None) => return,
                Err(_) => {
                    self.space.set_aside();
                    continue;
                }
            }
            self.space.begin();
            tokio::time::sleep(disk.delay()).await;
            if let Some(batch) = waiting(&mut kept, &queue) {
                let result = loop {
                    match self.attempt(&batch) {
                        Some(result) => break result,
                        None => tokio::time::sleep(RETRY).await,
                    }
                };
                report_all(batch, &result);
            }
            self.space.end();
        }
    }

    /// How long to wait for a write before a look at the disk.
    fn patience(&self) -> Duration {
        match self.space.is_short() {
            true => LOOK,
            false => Duration::MAX,
        }
    }

    /// Writes and reports what was kept and what waits in the queue, all together.
    fn write_waiting(&mut self, kept: &mut Vec<Write>, queue: &mpsc::Receiver<Write>) {
        if let Some(batch) = waiting(kept, queue) {
            let result = self.write(&batch);
            report_all(batch, &result);
        }
    }

    /// The next write; nothing from time to time while there is a disk to look at.
    fn next(&mut self, queue: &mpsc::Receiver<Write>) -> Result<Option<Write>, mpsc::RecvError> {
        if !self.space.is_short() {
            return queue.recv().map(Some);
        }
        match queue.recv_timeout(LOOK) {
            Ok(write) => Ok(Some(write)),
            Err(RecvTimeoutError::Timeout) => {
                self.space.set_aside();
                Ok(None)
            }
            Err(RecvTimeoutError::Disconnected) => Err(mpsc::RecvError),
        }
    }

    /// Writes for certain, however long the disk is full; any other failure is final.
    fn write(&mut self, batch: &[Write]) -> Result<(), redb::Error> {
        self.space.begin();
        let result = loop {
            match self.attempt(batch) {
                Some(result) => break result,
                None => thread::sleep(RETRY),
            }
        };
        self.space.end();
        result
    }

    /// Nothing if the disk is full, even without the space set aside.
    fn attempt(&mut self, batch: &[Write]) -> Option<Result<(), redb::Error>> {
        loop {
            match self.try_write(batch) {
                Err(error) if is_full(&error) => {
                    self.database = None;
                    if !self.space.release(&error) {
                        return None;
                    }
                }
                other => return Some(other),
            }
        }
    }

    fn try_write(&mut self, batch: &[Write]) -> Result<(), redb::Error> {
        let database = match self.database.take() {
            Some(database) => database,
            None => open_database(&self.disk, &self.path)?,
        };
        let result = commit(&database, batch);
        self.database = Some(database);
        result
    }
}

fn open_database(disk: &Disk, path: &Path) -> Result<Database, redb::Error> {
    let database = disk.open(Database::builder().set_cache_size(CACHE_BYTES), path)?;
    let transaction = database.begin_write()?;
    transaction.open_table(ENTRIES)?;
    transaction.open_table(VALUES)?;
    transaction.commit()?;
    Ok(database)
}

fn is_full(error: &redb::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error, redb::Error::Io(e) if matches!(e.kind(), StorageFull | QuotaExceeded))
}

fn commit(database: &Database, batch: &[Write]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    for write in batch {
        put(&transaction, write)?;
    }
    transaction.commit()?;
    Ok(())
}

fn put(transaction: &WriteTransaction, write: &Write) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(ENTRIES)?;
    let mut values = transaction.open_table(VALUES)?;
    match write {
        Write::Append { entries, .. } => {
            for (index, json) in entries {
                table.insert(*index, json.as_slice())?;
            }
        }
        Write::Value { name, json, .. } => {
            values.insert(*name, json.as_slice())?;
        }
        Write::Truncate { from, .. } => table.retain_in(*from.., |_, _| false)?,
        Write::Purge { upto, json, .. } => {
            table.retain_in(..=*upto, |_, _| false)?;
            values.insert(PURGED, json.as_slice())?;
        }
        Write::Snapshot { meta, data, .. } => {
            values.insert(SNAPSHOT_META, meta.as_slice())?;
            values.insert(SNAPSHOT_DATA, data.as_slice())?;
        }
    }
    Ok(())
}

/// What was kept and what waits in the queue. A commit position alone is not worth an fsync: it is kept
/// until it has company.
fn waiting(kept: &mut Vec<Write>, queue: &mpsc::Receiver<Write>) -> Option<Vec<Write>> {
    kept.extend(queue.try_iter());
    let alone = |w: &Write| matches!(w, Write::Value { done: None, .. });
    (!kept.iter().all(alone)).then(|| std::mem::take(kept))
}

fn report_all(batch: Vec<Write>, result: &Result<(), redb::Error>) {
    let result = match result {
        Ok(()) => Ok(()),
        Err(error) => Err(error.to_string()),
    };
    for write in batch {
        report(write, &result);
    }
}

fn report(write: Write, result: &Result<(), String>) {
    let outcome = match result {
        Ok(()) => Ok(()),
        Err(text) => Err(io::Error::other(text.clone())),
    };
    match write {
        Write::Append { done, .. } => done.io_completed(outcome),
        Write::Value { done: None, .. } => {}
        Write::Value {
            done: Some(done), ..
        }
        | Write::Truncate { done, .. }
        | Write::Purge { done, .. }
        | Write::Snapshot { done, .. } => {
            // Nobody waits any more when Raft is being shut down.
            let _ = done.send(outcome);
        }
    }
}
