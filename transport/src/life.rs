//! Boots of the host and runs of a daemon (protocol.md, "Words").
//!
//! A *life* is one boot of a host: recognised by the kernel's boot id together with a random file
//! under the run directory, numbered by a durable counter in the state directory. An
//! *incarnation* is one run of a daemon within a life. A late message about an old one is told by
//! these numbers, so they must never go back while the state directory lives.
//!
//! ```no_run
//! use std::path::Path;
//! let (state, run) = (Path::new("/var/lib/systole"), Path::new("/run/systole"));
//! let life = transport::life::begin(state, run)?;
//! let incarnation = transport::life::next_incarnation(run, "crmd", &life)?;
//! println!("life {} ({}), run {incarnation} of crmd", life.number, life.id);
//! # Ok::<(), transport::life::LifeError>(())
//! ```

use crate::{
    durable::{self, FileError},
    lock::{self, LockError},
};
use std::path::{Path, PathBuf};

/// One boot of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLife {
    /// Counts boots, from 1.
    pub number: u64,
    /// Kernel boot id and random part: tells a clone of the machine from the original.
    pub id: String,
}

/// Why the life of this host is not known.
#[derive(Debug, thiserror::Error)]
pub enum LifeError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another program counts at the moment and does not end.
    #[error(transparent)]
    Busy(#[from] LockError),
    /// The counter is damaged; going on with a guess could make an old life look new.
    #[error(
        "{}: '{content}' is not 'NUMBER ID': the count of this host's boots is lost; have the node removed on another member (`systole cluster leave --node NAME` there) and join again",
        path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What stands in it.
        content: String,
    },
}

/// The present life of this host: the recorded one, or a new one if the host has booted since.
///
/// # Errors
/// Files that cannot be read or written, or a damaged counter.
pub fn begin(state_dir: &Path, run_dir: &Path) -> Result<HostLife, LifeError> {
    begin_with(state_dir, run_dir, &boot_id()?)
}

fn begin_with(state_dir: &Path, run_dir: &Path, boot_id: &str) -> Result<HostLife, LifeError> {
    durable::create_dir(state_dir, 0o750)?;
    durable::create_dir(run_dir, 0o755)?;
    let _alone = lock::acquire(&run_dir.join("life.lock"))?;
    let id = format!("{boot_id}:{}", nonce(run_dir)?);
    let path = state_dir.join("life");
    let recorded = recorded(&path)?;
    if let Some(life) = recorded.as_ref().filter(|life| life.id == id) {
        return Ok(life.clone());
    }
    let number = recorded.map_or(0, |life| life.number).saturating_add(1);
    durable::write(&path, format!("{number} {id}\n").as_bytes(), 0o640)?;
    Ok(HostLife { number, id })
}

/// Counts one more run of `daemon` in `life`, from 1.
///
/// # Errors
/// The file under the run directory cannot be read or written.
pub fn next_incarnation(run_dir: &Path, daemon: &str, life: &HostLife) -> Result<u64, LifeError> {
    let path = run_dir.join(format!("{daemon}.incarnation"));
    let last = match read(&path)? {
        None => 0,
        Some(content) => match content.trim().split_once(' ') {
            Some((number, id)) if id == life.id => {
                number.parse().map_err(|_| damaged(&path, &content))?
            }
            // Left from an earlier life on a run directory that is not emptied at boot.
            _ => 0,
        },
    };
    let next = u64::saturating_add(last, 1);
    durable::write(&path, format!("{next} {}\n", life.id).as_bytes(), 0o640)?;
    Ok(next)
}

fn boot_id() -> Result<String, FileError> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    std::fs::read_to_string(path)
        .map(|id| id.trim().to_owned())
        .map_err(|e| FileError::new(path, "read", e))
}

fn nonce(run_dir: &Path) -> Result<String, FileError> {
    let path = run_dir.join("boot-nonce");
    if let Some(nonce) = read(&path)?.filter(|n| !n.trim().is_empty()) {
        return Ok(nonce.trim().to_owned());
    }
    let nonce = format!("{:016x}", rand::random::<u64>());
    durable::write(&path, format!("{nonce}\n").as_bytes(), 0o640)?;
    Ok(nonce)
}

fn recorded(path: &Path) -> Result<Option<HostLife>, LifeError> {
    let Some(content) = read(path)? else {
        return Ok(None);
    };
    let parsed = content.trim().split_once(' ').and_then(|(number, id)| {
        let number = number.parse().ok()?;
        let id = id.to_owned();
        Some(HostLife { number, id })
    });
    parsed.map(Some).ok_or_else(|| damaged(path, &content))
}

fn damaged(path: &Path, content: &str) -> LifeError {
    LifeError::Damaged {
        path: path.to_owned(),
        content: content.trim().chars().take(80).collect(),
    }
}

fn read(path: &Path) -> Result<Option<String>, FileError> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(String::from_utf8_lossy(&content).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::new(path, "read", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_is_a_new_life_a_restart_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (state, run) = (dir.path().join("state"), dir.path().join("run"));
        let first = begin_with(&state, &run, "boot-a").unwrap();
        assert_eq!(first.number, 1);
        assert_eq!(begin_with(&state, &run, "boot-a").unwrap(), first);

        let booted = begin_with(&state, &run, "boot-b").unwrap();
        assert_eq!(booted.number, 2, "another boot id");

        std::fs::remove_dir_all(&run).unwrap();
        let emptied = begin_with(&state, &run, "boot-b").unwrap();
        assert_eq!(emptied.number, 3, "the run directory was emptied");
        assert_ne!(emptied.id, booted.id);
    }

    #[test]
    fn incarnations_start_again_with_each_life() {
        let dir = tempfile::tempdir().unwrap();
        let life = begin_with(dir.path(), dir.path(), "a").unwrap();
        assert_eq!(next_incarnation(dir.path(), "crmd", &life).unwrap(), 1);
        assert_eq!(next_incarnation(dir.path(), "crmd", &life).unwrap(), 2);
        assert_eq!(next_incarnation(dir.path(), "stonithd", &life).unwrap(), 1);
        let life = begin_with(dir.path(), dir.path(), "b").unwrap();
        assert_eq!(next_incarnation(dir.path(), "crmd", &life).unwrap(), 1);
    }

    #[test]
    fn a_damaged_counter_is_never_guessed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("life"), "\0\0\0\0").unwrap();
        let error = begin_with(dir.path(), dir.path(), "a").unwrap_err();
        assert!(matches!(error, LifeError::Damaged { .. }), "{error}");
    }

    #[test]
    fn the_kernel_tells_its_boot() {
        assert_eq!(boot_id().unwrap().len(), 36);
    }
}
