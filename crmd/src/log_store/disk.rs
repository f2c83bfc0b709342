//! Where the log lies: a file, or in `sim-shell` a simulated disk that loses and tears on a crash what
//! was not synced.

use redb::{Builder, Database, DatabaseError};
use std::{fmt::Debug, path::Path, sync::Arc, time::Duration};

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
