//! Room on the disk: some is set aside, so that what a recovery has to write still finds a place when
//! the disk is full (protocol.md, 5); and what the rest of the daemon may know of the disk.

use super::disk::Disk;
use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// How much is set aside, beside the log.
const BYTES: usize = 8 * 1024 * 1024;

/// What is known of the disk; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health(Arc<(Mutex<State>, Notify)>);

#[derive(Debug, Default)]
struct State {
    trouble: Option<String>,
    /// The copy of the configuration beside the log finds no room, while the log still has its own.
    copy_trouble: Option<String>,
    writing_since: Option<Instant>,
}

impl Health {
    /// What is wrong with it, for people.
    pub(crate) fn trouble(&self) -> Option<String> {
        let state = self.state();
        state.trouble.clone().or_else(|| state.copy_trouble.clone())
    }

    /// Whether `file`, written beside the log, finds a full disk: `error` says so, or all is well with it.
    pub(crate) fn beside(&self, file: &Path, error: Option<&io::Error>) {
        let full = error.filter(|e| e.kind() == io::ErrorKind::StorageFull);
        let trouble = full.map(|error| full_words(file, error));
        let mut state = self.state();
        if state.copy_trouble != trouble {
            state.copy_trouble = trouble;
            self.stir();
        }
    }

    /// How long the write under way has taken so far.
    pub(crate) fn writing_for(&self) -> Option<Duration> {
        self.state().writing_since.map(|since| since.elapsed())
    }

    /// Waits until a write begins or trouble comes or goes.
    pub(crate) async fn stirs(&self) {
        self.0.1.notified().await;
    }

    fn stir(&self) {
        self.0.1.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one assignment: a panic cannot leave it half changed.
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The space set aside; owned by the writer.
#[derive(Debug)]
pub(super) struct Space {
    disk: Disk,
    reserve: PathBuf,
    /// The reserve is there.
    held: bool,
    health: Health,
}

impl Space {
    /// Beside this log on this disk. Nothing is set aside yet.
    pub(super) fn new(log: &Path, disk: &Disk, health: Health) -> Self {
        Self {
            disk: disk.clone(),
            reserve: log.with_extension("reserve"),
            held: false,
            health,
        }
    }

    /// The disk was full, or is.
    pub(super) fn is_short(&self) -> bool {
        !self.held
    }

    /// Sets the space aside, if there is room for it.
    pub(super) fn set_aside(&mut self) {
        if self.held {
            return;
        }
        let done = match &self.disk {
            Disk::Simulated(disk) => disk.set_aside(),
            Disk::Files => room(&self.reserve)
                .and_then(|()| fill(&self.reserve))
                .inspect_err(|_| drop(fs::remove_file(&self.reserve))),
        };
        match done {
            Ok(()) => {
                self.held = true;
                self.health.state().trouble = None;
                self.health.stir();
            }
            Err(error) => self.say(&error),
        }
    }

    /// Gives the space free: whether that made room.
    pub(super) fn release(&mut self, error: &redb::Error) -> bool {
        self.say(error);
        self.held = false;
        match &self.disk {
            Disk::Simulated(disk) => disk.release(),
            Disk::Files => fs::remove_file(&self.reserve).is_ok(),
        }
    }

    /// A write begins.
    pub(super) fn begin(&self) {
        self.health.state().writing_since = Some(Instant::now());
        self.health.stir();
    }

    /// It has ended.
    pub(super) fn end(&self) {
        self.health.state().writing_since = None;
    }

    fn say(&self, error: &dyn std::fmt::Display) {
        let text = full_words(&self.reserve, error);
        let mut state = self.health.state();
        if state.trouble.is_none() {
            state.trouble = Some(text);
            self.health.stir();
        }
    }
}

fn full_words(file: &Path, error: &dyn std::fmt::Display) -> String {
    let directory = file.parent().unwrap_or(Path::new("/"));
    format!(
        "the disk under {} is full ({error}): make room there",
        directory.display()
    )
}

/// Twice what is set aside must be free: a disk on the brink is not in order.
fn room(reserve: &Path) -> io::Result<()> {
    if reserve.exists() {
        return Ok(());
    }
    let disk = rustix::fs::statvfs(reserve.parent().unwrap_or(Path::new("/")))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free >= 2 * BYTES as u64 {
        return Ok(());
    }
    let text = format!("{} KiB are free", free / 1024);
    Err(io::Error::new(io::ErrorKind::StorageFull, text))
}

/// Real bytes: a hole would promise room that is not there.
fn fill(path: &Path) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|m| m.len() == BYTES as u64) {
        return Ok(());
    }
    let mut file = File::create(path)?;
    let block = vec![0xA5; 64 * 1024];
    for _ in 0..BYTES / block.len() {
        file.write_all(&block)?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beside_the_log_that_finds_no_room_is_trouble_until_it_is_written() {
        let health = Health::default();
        let file = Path::new("/var/lib/systole/cib.xml");
        let refused = io::Error::from(io::ErrorKind::PermissionDenied);
        health.beside(file, Some(&refused));
        assert_eq!(health.trouble(), None);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        health.beside(file, Some(&full));
        let trouble = health.trouble().expect("full");
        assert!(trouble.starts_with("the disk under /var/lib/systole is full"));
        health.beside(file, None);
        assert_eq!(health.trouble(), None);
    }

    #[test]
    fn the_space_is_real_given_free_once_and_set_aside_again() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("raft.redb");
        let health = Health::default();
        let mut space = Space::new(&log, &Disk::Files, health.clone());
        space.set_aside();
        assert!(!space.is_short());
        let reserve = dir.path().join("raft.reserve");
        assert_eq!(fs::metadata(&reserve).unwrap().len(), BYTES as u64);

        let full = redb::Error::Io(io::ErrorKind::StorageFull.into());
        assert!(space.release(&full));
        assert!(!space.release(&full), "there is nothing more to give");
        assert!(health.trouble().unwrap().contains("make room"));
        space.set_aside();
        assert_eq!(health.trouble(), None);
    }

    #[test]
    fn without_a_directory_nothing_is_set_aside_and_it_is_said() {
        let health = Health::default();
        let mut space = Space::new(
            Path::new("/nonexistent/raft.redb"),
            &Disk::Files,
            health.clone(),
        );
        space.set_aside();
        assert!(space.is_short());
        assert!(health.trouble().is_some());
    }
}
