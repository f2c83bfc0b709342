//! One daemon of a kind for each node: a locked file that the kernel frees when its holder ends,
//! however it ends. The holder's process id stands in it, for the supervisor and for people.
//!
//! ```
//! # let dir = tempfile::tempdir().unwrap();
//! use transport::lock;
//! let path = dir.path().join("crmd.lock");
//! let held = lock::acquire(&path)?;
//! assert_eq!(lock::holder(&path)?, Some(std::process::id()));
//! drop(held);
//! assert_eq!(lock::holder(&path)?, None);
//! # Ok::<(), lock::LockError>(())
//! ```

use crate::durable::FileError;
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

/// How long a new daemon waits for the lock: somebody may just be looking who holds it, and a
/// predecessor that was killed may still be dying.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// A held lock; freed when dropped or when the process ends. It is not inherited by children.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{}: held by process {pid}: it runs already", path.display())]
    Held {
        /// Which file.
        path: PathBuf,
        /// By whom (0: it has not said yet).
        pid: u32,
    },
    /// The file could not be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Takes the lock, waiting half a second at most.
///
/// # Errors
/// It is held by another process, or the file cannot be opened.
pub fn acquire(path: &Path) -> Result<Lock, LockError> {
    let mut file = open(path)?;
    let until = Instant::now() + PATIENCE;
    while !try_lock(&file, path, FlockOperation::NonBlockingLockExclusive)? {
        if Instant::now() >= until {
            let pid = written_pid(&mut file).unwrap_or(0);
            return Err(LockError::Held {
                path: path.to_owned(),
                pid,
            });
        }
        sleep(Duration::from_millis(5));
    }
    write_pid(&mut file).map_err(|e| FileError::new(path, "write", e))?;
    Ok(Lock { _file: file })
}

/// The process that holds the lock, if one does. A holder that has not written its id yet is
/// waited for a moment.
///
/// # Errors
/// The file cannot be used.
pub fn holder(path: &Path) -> Result<Option<u32>, LockError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::new(path, "open", error).into()),
    };
    let until = Instant::now() + PATIENCE;
    loop {
        if try_lock(&file, path, FlockOperation::NonBlockingLockShared)? {
            return Ok(None);
        }
        match written_pid(&mut file) {
            Some(pid) if Path::new(&format!("/proc/{pid}")).exists() => return Ok(Some(pid)),
            _ if Instant::now() >= until => return Ok(None),
            _ => sleep(Duration::from_millis(5)),
        }
    }
}

fn open(path: &Path) -> Result<File, FileError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .open(path)
        .map_err(|e| FileError::new(path, "open", e))
}

fn try_lock(file: &File, path: &Path, how: FlockOperation) -> Result<bool, FileError> {
    match flock(file, how) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(FileError::new(path, "lock", error.into())),
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn written_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    text.strip_suffix('\n')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_refused_and_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("crmd.lock");
        let _held = acquire(&path).unwrap();
        let error = acquire(&path).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
    }

    #[test]
    fn looking_does_not_hinder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("crmd.lock");
        drop(acquire(&path).unwrap());
        assert_eq!(holder(&path).unwrap(), None);
        let _held = acquire(&path).unwrap();
        for _ in 0..100 {
            assert_eq!(holder(&path).unwrap(), Some(std::process::id()));
        }
    }
}
