//! What the other program said before: it never changes its mind about a document, and is slow.

use super::compare::{Part, Said};
use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
};

/// A folder with one file for each seed.
pub(crate) struct Memory {
    pub(crate) folder: PathBuf,
}

/// Between the parts of a file; no program says that.
const NEXT: &str = "\u{1}\n";

impl Memory {
    /// What it said to exactly this document.
    pub(crate) fn recall(&self, seed: u64, document: &str) -> Option<Said> {
        let text = fs::read_to_string(self.file(seed)).ok()?;
        let mut parts = text.split(NEXT);
        if parts.next()? != digest(document) {
            return None;
        }
        Part::ALL
            .into_iter()
            .map(|part| {
                let lines = parts.next()?.lines().map(str::to_owned).collect();
                Some((part, lines))
            })
            .collect()
    }

    /// Keeps what it said; if that cannot be written it is asked again next time.
    pub(crate) fn keep(&self, seed: u64, document: &str, said: &Said) {
        let mut text = digest(document);
        for part in Part::ALL {
            text.push_str(NEXT);
            for line in said.get(&part).into_iter().flatten() {
                text.push_str(line);
                text.push('\n');
            }
        }
        let _ = fs::write(self.file(seed), text);
    }

    fn file(&self, seed: u64) -> PathBuf {
        self.folder.join(seed.to_string())
    }
}

fn digest(document: &str) -> String {
    let mut hasher = DefaultHasher::new();
    document.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_document_is_remembered() {
        let folder = std::env::temp_dir().join(format!("differential-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let memory = Memory { folder };
        let said: Said = Part::ALL
            .into_iter()
            .map(|part| (part, vec![part.name().to_owned(), "b c".to_owned()]))
            .collect();
        memory.keep(7, "<cib/>", &said);
        assert_eq!(memory.recall(7, "<cib/>"), Some(said));
        assert_eq!(memory.recall(7, "<cib a=\"1\"/>"), None);
        assert_eq!(memory.recall(8, "<cib/>"), None);
        fs::remove_dir_all(&memory.folder).unwrap();
    }
}
