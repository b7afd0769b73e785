//! Payloads that are too large for a topic, kept where those who want them can fetch them (a claim check).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Half-written files of a process that ended.
const INCOMING: &str = "incoming";

/// Where payloads are kept; an object store would be another.
pub trait BlobStore: Send + Sync {
    /// Keeps `bytes` under their hash and returns where. Once it returns they are safe; the same bytes again are the same
    /// blob. Blocks.
    fn put(&self, sha256: &str, bytes: &[u8]) -> io::Result<String>;
}

/// Files named by their hash, in folders named by its first two digits. Nobody deletes them but who runs the bridge.
pub struct BlobFolder {
    path: PathBuf,
    /// What a blob's URI begins with.
    base: String,
}

impl BlobFolder {
    /// Makes the folder where there is none. An empty `base` is the folder's own path as a URI.
    pub fn open(path: &Path, base: &str) -> io::Result<Self> {
        fs::create_dir_all(path.join(INCOMING))?;
        let path = path.canonicalize()?;
        let base = if base.is_empty() { format!("file://{}", path.display()) } else { base.trim_end_matches('/').to_owned() };
        Ok(Self { path, base })
    }
}

impl BlobStore for BlobFolder {
    fn put(&self, sha256: &str, bytes: &[u8]) -> io::Result<String> {
        let place = format!("{}/{sha256}", sha256.get(..2).unwrap_or_default());
        let file = self.path.join(&place);
        let folder = file.parent().unwrap_or(&self.path);
        if !folder.is_dir() {
            fs::create_dir_all(folder)?;
            sync_folder(&self.path)?;
        }
        // A file bears its name only once it is whole and on disk; another bridge may be writing the same one.
        let whole = file.metadata().is_ok_and(|found| found.len() == bytes.len() as u64);
        if !whole {
            let incoming = self.path.join(INCOMING).join(Uuid::new_v4().to_string());
            let written = File::create(&incoming).and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            });
            if let Err(error) = written.and_then(|()| fs::rename(&incoming, &file)) {
                // What is left of it takes room that may be what is missing.
                let _ = fs::remove_file(&incoming);
                return Err(error);
            }
        }
        // Also where the file was there: who wrote it may have ended before this.
        sync_folder(folder)?;
        Ok(format!("{}/{place}", self.base))
    }
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_found_at_its_uri_and_the_same_bytes_are_kept_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = BlobFolder::open(folder.path(), "").unwrap();
        let hash = sha256(b"abc");
        assert_eq!(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let uri = store.put(&hash, b"abc").unwrap();
        assert_eq!(store.put(&hash, b"abc").unwrap(), uri);
        assert_eq!(fs::read(uri.strip_prefix("file://").unwrap()).unwrap(), b"abc");
        assert_eq!(fs::read_dir(folder.path().join(INCOMING)).unwrap().count(), 0);
        let elsewhere = BlobFolder::open(folder.path(), "https://blobs.example/fieldwatch/").unwrap();
        assert_eq!(elsewhere.put(&hash, b"abc").unwrap(), format!("https://blobs.example/fieldwatch/ba/{hash}"));
    }

    #[test]
    fn what_a_crash_left_half_written_under_the_name_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let store = BlobFolder::open(folder.path(), "").unwrap();
        let hash = sha256(b"whole");
        let file = folder.path().join(&hash[..2]).join(&hash);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, b"who").unwrap();
        store.put(&hash, b"whole").unwrap();
        assert_eq!(fs::read(file).unwrap(), b"whole");
    }

    #[test]
    fn what_cannot_be_kept_is_an_error_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = BlobFolder::open(folder.path(), "").unwrap();
        let hash = sha256(b"abc");
        // A file where the folder has to be.
        fs::write(folder.path().join(&hash[..2]), b"").unwrap();
        assert!(store.put(&hash, b"abc").is_err());
        assert_eq!(fs::read_dir(folder.path().join(INCOMING)).unwrap().count(), 0);
    }
}
