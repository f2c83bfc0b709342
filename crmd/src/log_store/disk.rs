//! Where the log lies: a file, or in `sim-shell` a simulated disk that loses and tears on a crash what
//! was not synced.

use redb::{Builder, Database, DatabaseError};
use std::{fmt::Debug, io, path::Path, sync::Arc, time::Duration};

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
            Self::Files => builder.create(path),
            Self::Simulated(disk) => disk.open(builder),
        }
    }
}
