//! Payloads that are too large for a topic, kept where those who want them can fetch them (a claim check).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Half-written files of a process that ended.
const INCOMING: &str = "incoming";

/// Where payloads are kept; an object store would be another.
pub trait BlobStore: Send + Sync {
    /// Keeps `bytes` under their hash and returns where. Once it returns they are safe; the same bytes again are the same
    /// blob. Blocks.
    fn put(&self, sha256: &str, bytes: &[u8]) -> io::Result<String>;

    /// Deletes what was put before `before` and not since. Returns how many blobs. Blocks.
    fn expire(&self, before: SystemTime) -> io::Result<usize>;
}

/// Files named by their hash, in folders named by its first two digits; when one was last put is when it was modified.
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
        if !put_again(&file, bytes.len() as u64)? {
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

    fn expire(&self, before: SystemTime) -> io::Result<usize> {
        let mut deleted = 0;
        // Half-written files too, of whoever ended while writing them.
        for folder in fs::read_dir(&self.path)? {
            let folder = folder?.path();
            if !folder.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder)? {
                let path = file?.path();
                let Some(file) = open(&path)? else { continue };
                file.lock()?;
                let found = file.metadata()?;
                // Without a link it is another's: deleted by another bridge, and perhaps put anew since.
                if found.nlink() > 0 && found.modified()? < before {
                    deleted += usize::from(remove(&path)?);
                }
            }
        }
        Ok(deleted)
    }
}

/// Whether the file is there, whole: it begins to age anew. Locked, so that it is not being deleted meanwhile.
fn put_again(path: &Path, length: u64) -> io::Result<bool> {
    let Some(file) = open(path)? else { return Ok(false) };
    file.lock()?;
    let found = file.metadata()?;
    let is_there = found.len() == length && found.nlink() > 0;
    if is_there {
        file.set_modified(SystemTime::now())?;
    }
    Ok(is_there)
}

/// `None`: there is no such file, or it was deleted just now.
fn open(path: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether it was there: what was half-written may be whole by now, and in its place.
fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
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
    use std::time::Duration;

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
    fn a_blob_goes_once_it_was_long_enough_not_put_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = BlobFolder::open(folder.path(), "").unwrap();
        let (gone, kept) = (sha256(b"gone"), sha256(b"kept"));
        let path = |uri: String| PathBuf::from(uri.strip_prefix("file://").unwrap());
        let (gone_at, kept_at) = (path(store.put(&gone, b"gone").unwrap()), path(store.put(&kept, b"kept").unwrap()));
        let (now, day) = (SystemTime::now(), Duration::from_hours(24));
        for file in [&gone_at, &kept_at] {
            open(file).unwrap().unwrap().set_modified(now - 8 * day).unwrap();
        }
        store.put(&kept, b"kept").unwrap();
        let half_written = folder.path().join(INCOMING).join("half");
        fs::write(&half_written, b"ha").unwrap();
        assert_eq!(store.expire(now - 7 * day).unwrap(), 1);
        assert_eq!((gone_at.exists(), kept_at.exists(), half_written.exists()), (false, true, true));
        assert_eq!(store.expire(now + day).unwrap(), 2);
        assert_eq!(path(store.put(&gone, b"gone").unwrap()), gone_at);
        assert_eq!(fs::read(gone_at).unwrap(), b"gone");
    }

    #[test]
    fn a_blob_that_is_put_while_old_ones_are_deleted_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let store = BlobFolder::open(folder.path(), "").unwrap();
        let (hash, hour) = (sha256(b"abc"), Duration::from_hours(1));
        std::thread::scope(|scope| {
            let putting = scope.spawn(|| {
                for _ in 0..300 {
                    let uri = store.put(&hash, b"abc").unwrap();
                    let file = open(Path::new(uri.strip_prefix("file://").unwrap())).unwrap().expect("what was just put is there");
                    file.set_modified(SystemTime::now() - 2 * hour).unwrap();
                }
            });
            while !putting.is_finished() {
                store.expire(SystemTime::now() - hour).unwrap();
            }
        });
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
