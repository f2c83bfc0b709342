//! Where the log lies: a file, or in `sim-shell` a simulated disk that loses and tears on a crash what
//! was not synced.

use redb::{Builder, Database, DatabaseError};
use std::{
    fmt::Debug,
    io,
    path::Path,
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};
use transport::lock::PATIENCE;

/// See the module.
#[derive(Clone, Debug)]
pub enum Disk {
    /// The file at the path that the store is given.
    Files,
    /// That path's place on a simulated disk.
    Simulated(Arc<dyn SimulatedDisk>),
}

/// A disk for one log.
pub trait SimulatedDisk: Debug + Send + Sync {
    /// Opens or makes the database on it.
    ///
    /// # Errors
    /// redb's.
    fn open(&self, builder: &mut Builder) -> Result<Database, DatabaseError>;

    /// How long the next write takes.
    fn delay(&self) -> Duration;

    /// Sets space aside for a day when it is full.
    ///
    /// # Errors
    /// There is no room.
    fn set_aside(&self) -> io::Result<()>;

    /// Gives that space free: whether there was some.
    fn release(&self) -> bool;
}

impl Disk {
    pub(super) fn open(
        &self,
        builder: &mut Builder,
        path: &Path,
    ) -> Result<Database, DatabaseError> {
        match self {
            Self::Files => open_file(builder, path),
            Self::Simulated(disk) => disk.open(builder),
        }
    }
}

/// Waits for a lock that is about to be freed, as the daemon's own is waited for, and for no other: a predecessor that
/// was killed may still be dying, and a child that it began has its files until it has become the agent's program.
fn open_file(builder: &Builder, path: &Path) -> Result<Database, DatabaseError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match builder.create(path) {
            Err(DatabaseError::DatabaseAlreadyOpen) if Instant::now() < until => {
                sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{FlockOperation, flock};
    use std::{fs::File, thread};

    #[test]
    fn a_lock_that_is_freed_in_a_moment_is_waited_for_and_another_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("raft.redb");
        let held = File::create(&path).unwrap();
        flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
        let refused = Disk::Files.open(&mut Builder::new(), &path);
        assert!(matches!(refused, Err(DatabaseError::DatabaseAlreadyOpen)));

        let holder = thread::spawn(move || {
            sleep(Duration::from_millis(50));
            drop(held);
        });
        Disk::Files.open(&mut Builder::new(), &path).unwrap();
        holder.join().unwrap();
    }
}
