//! Where a redrive stands, in a file, so that a redrive that was stopped goes on and repeats nothing it knows of.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    topic: String,
    /// Letters that are meant, as text: another selection would pass over what this one left behind.
    selection: String,
    next: BTreeMap<i32, i64>,
}

pub(crate) struct ResumeFile {
    path: PathBuf,
    content: Content,
}

impl ResumeFile {
    /// Reads the file, or starts a new one where there is none.
    pub(crate) fn open(path: &Path, topic: &str, selection: &str) -> anyhow::Result<Self> {
        let content = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("{} is no file of a redrive", path.display()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Content { topic: topic.to_owned(), selection: selection.to_owned(), next: BTreeMap::new() }
            }
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        };
        ensure!(content.topic == topic, "{} belongs to a redrive of {}", path.display(), content.topic);
        ensure!(
            content.selection == selection,
            "{} belongs to a redrive of other letters ({}), take another file",
            path.display(),
            content.selection
        );
        Ok(Self { path: path.to_owned(), content })
    }

    /// Next offset by partition.
    pub(crate) fn next(&self) -> &BTreeMap<i32, i64> {
        &self.content.next
    }

    /// Everything before `next` is done; survives a crash.
    pub(crate) fn advance(&mut self, next: impl IntoIterator<Item = (i32, i64)>) -> anyhow::Result<()> {
        self.content.next.extend(next);
        let unfinished = self.path.with_extension("unfinished");
        let write = || {
            let file = std::fs::File::create(&unfinished)?;
            serde_json::to_writer(&file, &self.content)?;
            file.sync_all()?;
            std::fs::rename(&unfinished, &self.path)
        };
        write().with_context(|| format!("{} cannot be written", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_goes_on_where_it_stood() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("redrive.json");
        ResumeFile::open(&path, "dlq.notifier.v1", "all").unwrap().advance([(3, 17), (4, 1)]).unwrap();
        let mut file = ResumeFile::open(&path, "dlq.notifier.v1", "all").unwrap();
        file.advance([(3, 18)]).unwrap();
        assert_eq!(ResumeFile::open(&path, "dlq.notifier.v1", "all").unwrap().next(), &BTreeMap::from([(3, 18), (4, 1)]));
    }

    #[test]
    fn the_file_of_another_redrive_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("redrive.json");
        ResumeFile::open(&path, "dlq.notifier.v1", "reason bad_magic").unwrap().advance([(3, 17)]).unwrap();
        assert!(ResumeFile::open(&path, "dlq.notifier.v1", "all").is_err());
        assert!(ResumeFile::open(&path, "dlq.mqtt-bridge.v1", "reason bad_magic").is_err());
        std::fs::write(&path, "{}").unwrap();
        assert!(ResumeFile::open(&path, "dlq.notifier.v1", "all").is_err());
    }
}
