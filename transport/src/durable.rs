//! Files that survive a power cut: written beside, fsynced, renamed, directory fsynced.
//! A reader sees the old content or the new, never a part.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// A file that could not be written or read, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot {doing}: {source}", path.display())]
pub struct FileError {
    /// Which file.
    pub path: PathBuf,
    /// What was being done.
    pub doing: &'static str,
    /// The kernel's answer.
    pub source: io::Error,
}

impl FileError {
    pub(crate) fn new(path: &Path, doing: &'static str, source: io::Error) -> Self {
        Self {
            path: path.to_owned(),
            doing,
            source,
        }
    }
}

/// Replaces `path` with `content` under the permission bits `mode`.
///
/// # Errors
/// The kernel's refusal; the old content is then still there.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("life");
/// transport::durable::write(&path, b"7\n", 0o600)?;
/// assert_eq!(std::fs::read(&path).unwrap(), b"7\n");
/// # Ok::<(), transport::durable::FileError>(())
/// ```
pub fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    let beside = beside(path);
    write_beside(&beside, content, mode).map_err(|e| FileError::new(path, "write", e))?;
    std::fs::rename(&beside, path).map_err(|e| FileError::new(path, "replace", e))?;
    sync_directory(path)
}

/// Makes the directory and its parents, durably.
///
/// # Errors
/// The kernel's refusal.
pub fn create_dir(path: &Path, mode: u32) -> Result<(), FileError> {
    use std::os::unix::fs::DirBuilderExt;
    let missing = !path.exists();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|e| FileError::new(path, "create the directory", e))?;
    if missing {
        sync_directory(path)
    } else {
        Ok(())
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new{}", std::process::id()));
    path.with_file_name(name)
}

fn write_beside(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> Result<(), FileError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)
        .and_then(|dir| dir.sync_all())
        .map_err(|e| FileError::new(path, "fsync the directory of", e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn replaces_and_keeps_the_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write(&path, b"one", 0o644).unwrap();
        write(&path, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn says_which_file() {
        let error = write(Path::new("/proc/nowhere/x"), b"", 0o600).unwrap_err();
        assert!(error.to_string().contains("/proc/nowhere/x"), "{error}");
    }
}
