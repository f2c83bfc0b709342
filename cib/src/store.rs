//! The document on disk: `cib.xml`, its digest `cib.xml.sig`, and a bounded number of older
//! versions `cib-N.raw` with `cib-N.raw.sig`; `cib.last` names the number that comes next.
//!
//! The only module of the crate that touches files. What [`Store::save`] has returned for is on the
//! disk; a crash at any moment leaves that or the next document readable. [`Store::load`] never
//! uses a file that its digest does not confirm, and reports everything it found wrong.

use crate::{Element, Version, digest};
use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Older versions kept if nothing else is asked for.
pub const DEFAULT_KEEP: u32 = 100;

/// A directory with a document.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
    keep: u32,
}

/// A file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct StoreError {
    /// What was being done.
    pub action: &'static str,
    /// With which file.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

/// What was found on disk.
#[derive(Debug)]
pub struct Loaded {
    /// The document; nothing if there is none (a new node) or none that is whole.
    pub document: Option<Element>,
    /// What is wrong, and what was done about it; empty if all is well.
    pub findings: Vec<Finding>,
}

/// Something to tell the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A file is not used.
    Damaged {
        /// Which.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// There is no digest beside the file: it is used all the same, as people may put one there.
    NoDigest {
        /// Which.
        file: PathBuf,
    },
    /// An older version stands in for the damaged or missing one.
    UsedOlder {
        /// Which.
        file: PathBuf,
        /// Its version.
        version: Version,
    },
    /// There are files, but none is whole.
    NothingUsable,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { file, reason } => {
                write!(f, "{} is not used: {reason}", file.display())
            }
            Self::NoDigest { file } => {
                let file = file.display();
                write!(
                    f,
                    "{file} has no digest {file}.sig beside it: used as it is"
                )
            }
            Self::UsedOlder { file, version } => {
                write!(f, "using version {version} from {} instead", file.display())
            }
            Self::NothingUsable => f.write_str(
                "no file with a configuration is whole: starting without one; \
                 put a good copy to cib.xml and remove cib.xml.sig to use that",
            ),
        }
    }
}

/// A step that changes the disk; tests end the world before one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    WriteDocument,
    WriteDigest,
    KeepOlder,
    KeepOlderDigest,
    CountOlder,
    SyncOlder,
    RenameDigest,
    RenameDocument,
    SyncNew,
}

impl Store {
    /// A store in this directory, which exists.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            keep: DEFAULT_KEEP,
        }
    }

    /// Keeps this many older versions, at least one: it is what a crash falls back to.
    #[must_use]
    pub fn keeping(mut self, versions: u32) -> Self {
        self.keep = versions.max(1);
        self
    }

    /// Where the document is.
    pub fn document_path(&self) -> PathBuf {
        self.path("cib.xml")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn older_path(&self, number: u32) -> PathBuf {
        self.path(&format!("cib-{number}.raw"))
    }

    /// Writes a document durably and keeps the one before.
    ///
    /// # Errors
    /// If the disk refuses (full, read-only, failing); the previous document then is still good.
    pub fn save(&self, document: &Element) -> Result<(), StoreError> {
        self.save_in_steps(document, &mut |_| Ok(()))
    }

    fn save_in_steps(
        &self,
        document: &Element,
        before: &mut dyn FnMut(Step) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let current = self.document_path();
        let new = self.path("cib.xml.new");
        let new_digest = self.path("cib.xml.sig.new");
        let fail = |action, path: &Path| {
            let path = path.to_owned();
            move |source| StoreError {
                action,
                path,
                source,
            }
        };

        before(Step::WriteDocument)
            .and_then(|()| write_durably(&new, &document.to_xml()))
            .map_err(fail("write", &new))?;
        before(Step::WriteDigest)
            .and_then(|()| write_durably(&new_digest, &digest::on_disk(document)))
            .map_err(fail("write", &new_digest))?;
        self.keep_older(before)?;
        before(Step::SyncOlder)
            .and_then(|()| sync_directory(&self.directory))
            .map_err(fail("sync", &self.directory))?;
        before(Step::RenameDigest)
            .and_then(|()| fs::rename(&new_digest, digest_path(&current)))
            .map_err(fail("rename", &new_digest))?;
        before(Step::RenameDocument)
            .and_then(|()| fs::rename(&new, &current))
            .map_err(fail("rename", &new))?;
        before(Step::SyncNew)
            .and_then(|()| sync_directory(&self.directory))
            .map_err(fail("sync", &self.directory))
    }

    /// Gives the present files further names. A damaged document does not push a good one out.
    fn keep_older(&self, before: &mut dyn FnMut(Step) -> io::Result<()>) -> Result<(), StoreError> {
        let current = self.document_path();
        if !matches!(read(&current), Ok(Found::Good(_) | Found::WithoutDigest(_))) {
            return Ok(());
        }
        let number = self.next_number();
        let older = self.older_path(number);
        let fail = |action, path: &Path| {
            let path = path.to_owned();
            move |source| StoreError {
                action,
                path,
                source,
            }
        };
        before(Step::KeepOlder)
            .and_then(|()| give_name(&current, &older))
            .map_err(fail("keep the previous version as", &older))?;
        before(Step::KeepOlderDigest)
            .and_then(|()| give_name(&digest_path(&current), &digest_path(&older)))
            .map_err(fail("keep the previous digest beside", &older))?;
        let last = self.path("cib.last");
        let next = (number + 1) % self.keep;
        before(Step::CountOlder)
            .and_then(|()| replace(&last, &next.to_string()))
            .map_err(fail("write", &last))
    }

    /// Without a readable `cib.last`, the count goes on after the newest good version.
    fn next_number(&self) -> u32 {
        let counted = fs::read_to_string(self.path("cib.last"))
            .ok()
            .and_then(|text| text.trim().parse::<u32>().ok())
            .filter(|number| *number < self.keep);
        counted.unwrap_or_else(|| {
            let newest = self.newest_older(&mut Vec::new());
            newest.map_or(0, |(number, _)| (number + 1) % self.keep)
        })
    }

    /// Reads the document, or the newest older one that is whole.
    ///
    /// # Errors
    /// If the directory cannot be read, or a file cannot for another reason than damage.
    pub fn load(&self) -> Result<Loaded, StoreError> {
        let file = self.document_path();
        let mut findings = Vec::new();
        let found = read(&file).map_err(|source| StoreError {
            action: "read",
            path: file.clone(),
            source,
        })?;
        let reason = match found {
            Found::Good(document) => {
                return Ok(Loaded {
                    document: Some(document),
                    findings,
                });
            }
            Found::WithoutDigest(document) => {
                findings.push(Finding::NoDigest { file });
                return Ok(Loaded {
                    document: Some(document),
                    findings,
                });
            }
            Found::Damaged(reason) => reason,
            Found::Missing => "it is missing".to_owned(),
        };
        self.fall_back(Finding::Damaged { file, reason })
    }

    fn fall_back(&self, first: Finding) -> Result<Loaded, StoreError> {
        let mut findings = vec![first];
        let newest = self.newest_older(&mut findings);
        let anything = fs::exists(self.document_path()).unwrap_or(true) || findings.len() > 1;
        let document = match newest {
            Some((number, document)) => {
                findings.push(Finding::UsedOlder {
                    file: self.older_path(number),
                    version: Version::of(&document),
                });
                Some(document)
            }
            None if anything => {
                findings.push(Finding::NothingUsable);
                None
            }
            // A new node: nothing is there, and nothing is wrong.
            None => {
                findings.clear();
                None
            }
        };
        Ok(Loaded { document, findings })
    }

    /// The good older document with the highest version; of several, the last kept.
    fn newest_older(&self, findings: &mut Vec<Finding>) -> Option<(u32, Element)> {
        let mut best: Option<(u32, Element)> = None;
        for number in self.older_numbers() {
            let file = self.older_path(number);
            let reason = match read(&file) {
                Ok(Found::Good(document)) => {
                    let better = best
                        .as_ref()
                        .is_none_or(|(_, b)| Version::of(b) <= Version::of(&document));
                    if better {
                        best = Some((number, document));
                    }
                    continue;
                }
                Ok(Found::Missing) => continue,
                // Its digest was not written in time: whether it is whole is not known.
                Ok(Found::WithoutDigest(_)) => "it has no digest".to_owned(),
                Ok(Found::Damaged(reason)) => reason,
                Err(error) => error.to_string(),
            };
            findings.push(Finding::Damaged { file, reason });
        }
        best
    }

    /// Numbers of older versions there are, whatever the bound was when they were written.
    fn older_numbers(&self) -> Vec<u32> {
        let names = fs::read_dir(&self.directory).into_iter().flatten();
        let mut numbers: Vec<u32> = names
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                let number = name.strip_prefix("cib-")?.strip_suffix(".raw")?;
                number.parse().ok()
            })
            .collect();
        numbers.sort_unstable();
        numbers
    }
}

fn digest_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// What a file turned out to be.
enum Found {
    Good(Element),
    WithoutDigest(Element),
    Damaged(String),
    Missing,
}

fn read(file: &Path) -> io::Result<Found> {
    let Some(bytes) = read_if_there(file)? else {
        return Ok(Found::Missing);
    };
    let document = match String::from_utf8(bytes).map(|text| Element::parse(&text)) {
        Ok(Ok(document)) => document,
        Ok(Err(error)) => return Ok(Found::Damaged(error.to_string())),
        Err(error) => return Ok(Found::Damaged(format!("it is not text: {error}"))),
    };
    let Some(expected) = read_if_there(&digest_path(file))? else {
        return Ok(Found::WithoutDigest(document));
    };
    if digest::on_disk(&document).as_bytes() == expected.trim_ascii() {
        return Ok(Found::Good(document));
    }
    let reason = format!(
        "its content does not match the digest in {}",
        digest_path(file).display()
    );
    Ok(Found::Damaged(reason))
}

fn read_if_there(file: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a new file, readable for its owner and group only, and waits for the disk.
fn write_durably(file: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut open = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(file)?;
    open.write_all(text.as_bytes())?;
    open.sync_all()
}

/// A file that must be whole but may be lost.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    write_durably(&new, text)?;
    fs::rename(&new, file)
}

/// Gives a file a further name, taking that from whatever had it; copies where the file system
/// has no hard links. Nothing happens if the file is missing.
fn give_name(file: &Path, name: &Path) -> io::Result<()> {
    match fs::remove_file(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match fs::hard_link(file, name) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) => {
            fs::copy(file, name)?;
            File::open(name)?.sync_all()
        }
    }
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests;
