use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use service::sealing::{SealingKeys, Unsealable};

use crate::spool::segment::{self, BEGIN};

const POSITION: &str = "position";
const LOCK: &str = "lock";

/// A place in a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

impl Position {
    /// The start of the segment.
    fn start(self) -> Self {
        Self { offset: BEGIN, ..self }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SpoolUnusable {
    #[error("the spool {} is used by another process", .0.display())]
    InUse(PathBuf),
    #[error("the spool {} cannot be used: {error}", .folder.display())]
    Io { folder: PathBuf, error: io::Error },
    #[error("the spool {} holds messages that cannot be opened: {problem}", .folder.display())]
    Sealed { folder: PathBuf, problem: Unsealable },
}

/// What an earlier process left.
pub(super) struct Recovered {
    pub(super) position: Position,
    /// Number and whole length of each segment, in order.
    pub(super) segments: Vec<(u64, u64)>,
    pub(super) messages: u64,
    pub(super) oldest_millis: Option<u64>,
}

pub(super) fn lock(folder: &Path) -> Result<File, SpoolUnusable> {
    let unusable = |error| SpoolUnusable::Io { folder: folder.to_owned(), error };
    std::fs::create_dir_all(folder).map_err(unusable)?;
    let lock = File::create(folder.join(LOCK)).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(SpoolUnusable::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

pub(super) fn recover(folder: &Path) -> io::Result<Recovered> {
    let numbers = segment::numbers(folder)?;
    let first = Position { segment: numbers.first().copied().unwrap_or(1), offset: BEGIN };
    // Without a position everything is read again: twice is better than never.
    let saved = load(folder)?;
    let position = saved.map_or(first, |saved| if numbers.contains(&saved.segment) { saved } else { saved.max(first).start() });
    // Its segment is gone: what is written in its place must not be taken for finished.
    if saved.is_some_and(|saved| saved != position) {
        save(folder, position)?;
    }
    let mut recovered = Recovered { position, segments: Vec::new(), messages: 0, oldest_millis: None };
    for number in numbers {
        let path = segment::path(folder, number);
        if number < position.segment {
            std::fs::remove_file(path)?;
            continue;
        }
        let from = if number == position.segment { position.offset } else { BEGIN };
        let size = path.metadata()?.len();
        let extent = segment::scan(&path, from)?;
        if extent.length != size {
            tracing::warn!(segment = number, cut = size - extent.length, "cut what was not written to its end");
            let file = File::options().write(true).open(&path)?;
            file.set_len(extent.length)?;
            file.sync_all()?;
        }
        if extent.messages == 0 && number > position.segment {
            std::fs::remove_file(path)?;
            continue;
        }
        recovered.segments.push((number, extent.length));
        recovered.messages += extent.messages;
        recovered.oldest_millis = recovered.oldest_millis.or(extent.first_arrival_millis);
    }
    Ok(recovered)
}

/// Whether what was found can be opened: better said now than when it is its turn.
pub(super) fn check_sealed(folder: &Path, recovered: &Recovered, keys: &SealingKeys) -> Result<(), SpoolUnusable> {
    for (number, length) in &recovered.segments {
        let from = if *number == recovered.position.segment { recovered.position.offset } else { BEGIN };
        let first = segment::first(&segment::path(folder, *number), from, *length);
        let first = first.map_err(|error| SpoolUnusable::Io { folder: folder.to_owned(), error })?;
        if let Some((frame, at, true)) = first {
            let opened = keys.open(&segment::belonging(*number, at), &frame.bytes);
            opened.map_err(|problem| SpoolUnusable::Sealed { folder: folder.to_owned(), problem })?;
        }
    }
    Ok(())
}

/// The position is replaced as a whole: it is the old one or the new one.
pub(super) fn save(folder: &Path, position: Position) -> io::Result<()> {
    let mut bytes = [position.segment.to_le_bytes(), position.offset.to_le_bytes()].concat();
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    let (path, new) = (folder.join(POSITION), folder.join("position.new"));
    let mut file = File::create(&new)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_folder(folder)
}

fn load(folder: &Path) -> io::Result<Option<Position>> {
    let bytes = match std::fs::read(folder.join(POSITION)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let whole = bytes.len() == 20 && crc32fast::hash(&bytes[..16]).to_le_bytes() == bytes[16..];
    let number = |at: usize| bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map(u64::from_le_bytes);
    if let (true, Some(segment), Some(offset)) = (whole, number(0), number(8)) {
        return Ok(Some(Position { segment, offset }));
    }
    tracing::warn!("the spool's position is damaged: everything in it is sent again");
    Ok(None)
}

pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
