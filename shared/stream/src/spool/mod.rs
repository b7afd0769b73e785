//! A queue on disk for what cannot go on just now: first in, first out, over restarts and crashes.
//!
//! Guarantees: what [`append`](Spool::append) returned for is on disk (fsync) and is read until it is
//! [`finish`](Spool::finish)ed; a frame torn by a crash is cut off, with nothing lost that `append` had returned for.
//! With a key what is on disk is encrypted; what was there before the key is read as it is.
//! Refuses: to take more than its limits, a folder another process uses, to hand out a damaged message, to begin where it has
//! not the key of what is there.

mod folder;
mod segment;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use folder::sync_folder;
use segment::{BEGIN, Frames};
use service::sealing::SealingKeys;

pub use folder::{Position, SpoolUnusable};

/// A segment is closed beyond this; it is deleted as a whole once all of it is finished.
const SEGMENT_BYTES: u64 = 16 << 20;

/// How much a spool takes.
#[derive(Clone, Copy, Debug)]
pub struct SpoolLimits {
    /// Of all segments.
    pub bytes: u64,
    /// While the oldest message has waited longer than this, nothing more is taken.
    pub age: Duration,
}

/// A message read back.
#[derive(Debug, PartialEq, Eq)]
pub struct Spooled {
    pub bytes: Vec<u8>,
    pub arrived_at: SystemTime,
    /// The position behind it: what [`Spool::finish`] takes.
    pub end: Position,
}

/// Blocks on the disk.
pub struct Spool {
    folder: PathBuf,
    limits: SpoolLimits,
    keys: SealingKeys,
    segment_bytes: u64,
    segments: VecDeque<Segment>,
    /// `None`: the next message begins a segment.
    writing: Option<File>,
    reading: Option<(u64, Frames)>,
    next: Position,
    finished: Position,
    saved: Position,
    messages: u64,
    unread: u64,
    oldest: Option<SystemTime>,
    /// Kept from other processes as long as this is open.
    _lock: File,
}

struct Segment {
    number: u64,
    length: u64,
}

impl Spool {
    /// Opens the folder, makes it where there is none, cuts what a crash tore. Without keys it writes plain bytes.
    pub fn open(folder: &Path, limits: SpoolLimits, keys: SealingKeys) -> Result<Self, SpoolUnusable> {
        let lock = folder::lock(folder)?;
        let found = folder::recover(folder).map_err(|error| SpoolUnusable::Io { folder: folder.to_owned(), error })?;
        folder::check_sealed(folder, &found, &keys)?;
        Ok(Self {
            folder: folder.to_owned(),
            limits,
            keys,
            segment_bytes: SEGMENT_BYTES.min(limits.bytes / 4).max(1),
            segments: found.segments.into_iter().map(|(number, length)| Segment { number, length }).collect(),
            writing: None,
            reading: None,
            next: found.position,
            finished: found.position,
            saved: found.position,
            messages: found.messages,
            unread: found.messages,
            oldest: found.oldest_millis.map(|millis| UNIX_EPOCH + Duration::from_millis(millis)),
            _lock: lock,
        })
    }

    /// Whether `bytes` more are taken.
    pub fn has_room(&self, bytes: u64, now: SystemTime) -> bool {
        let too_old = self.age(now).is_some_and(|age| age > self.limits.age);
        !too_old && self.bytes() + bytes <= self.limits.bytes
    }

    /// Puts messages on disk: once this returns they stay. After a failure nothing of them is in the spool.
    pub fn append(&mut self, messages: &[Vec<u8>], now: SystemTime) -> io::Result<()> {
        if self.writing.is_none() {
            self.begin_segment()?;
        }
        let arrived_millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let (Some(file), Some(segment)) = (&mut self.writing, self.segments.back_mut()) else {
            return Err(io::Error::other("no segment is open"));
        };
        let mut buffer = Vec::with_capacity(messages.iter().map(|bytes| bytes.len() + 64).sum());
        for bytes in messages {
            if self.keys.is_empty() {
                segment::write_frame(&mut buffer, arrived_millis, bytes);
            } else {
                let place = segment::belonging(segment.number, segment.length + buffer.len() as u64);
                segment::write_frame(&mut buffer, arrived_millis, &self.keys.seal(&place, bytes).map_err(io::Error::other)?);
            }
        }
        if let Err(error) = file.write_all(&buffer).and_then(|()| file.sync_data()) {
            // What the disk holds now is not known; the segment ends where it was known.
            let _ = file.set_len(segment.length);
            self.writing = None;
            return Err(error);
        }
        segment.length += buffer.len() as u64;
        if segment.length >= self.segment_bytes {
            self.writing = None;
        }
        self.messages += messages.len() as u64;
        self.unread += messages.len() as u64;
        self.oldest.get_or_insert(now);
        Ok(())
    }

    /// The next messages, together about `bytes`; empty when all were read.
    pub fn read(&mut self, bytes: usize) -> io::Result<Vec<Spooled>> {
        let read = self.read_on(bytes);
        if read.is_err() {
            // The file stands behind what could not be handed out.
            self.reading = None;
        }
        read
    }

    fn read_on(&mut self, bytes: usize) -> io::Result<Vec<Spooled>> {
        let (mut found, mut size) = (Vec::new(), 0);
        while size < bytes && self.unread > 0 {
            let Some(at) = self.segments.iter().position(|segment| segment.number >= self.next.segment) else { break };
            let (number, length) = (self.segments[at].number, self.segments[at].length);
            if number > self.next.segment {
                self.next = Position { segment: number, offset: BEGIN };
            }
            let frames = match &mut self.reading {
                Some((open, frames)) if *open == number => frames.until(length),
                reading => &mut reading.insert((number, Frames::open(&segment::path(&self.folder, number), self.next.offset, length)?)).1,
            };
            match frames.next()? {
                Some(frame) => {
                    let bytes = if frames.is_sealed() {
                        let place = segment::belonging(number, self.next.offset);
                        self.keys.open(&place, &frame.bytes).map_err(|problem| io::Error::new(io::ErrorKind::InvalidData, problem))?
                    } else {
                        frame.bytes
                    };
                    self.next.offset = frames.offset();
                    self.unread -= 1;
                    size += bytes.len() + 16;
                    let arrived_at = UNIX_EPOCH + Duration::from_millis(frame.arrived_millis);
                    found.push(Spooled { bytes, arrived_at, end: self.next });
                }
                None if at + 1 < self.segments.len() => {
                    self.next = Position { segment: self.segments[at + 1].number, offset: BEGIN };
                }
                // It was whole when it was written or opened.
                None => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("segment {number} is damaged at {:?}", self.next))),
            }
        }
        Ok(found)
    }

    /// Everything up to `message` is done with. Saved by [`save`](Self::save).
    pub fn finish(&mut self, message: &Spooled) {
        self.finished = message.end;
        self.messages -= 1;
        self.oldest = (self.messages > 0).then_some(message.arrived_at);
    }

    /// What was read and not finished will be read again.
    pub fn rewind(&mut self) {
        self.next = self.finished;
        self.unread = self.messages;
        self.reading = None;
    }

    /// Puts the position on disk and deletes the segments before it.
    pub fn save(&mut self) -> io::Result<()> {
        if self.saved == self.finished {
            return Ok(());
        }
        if self.messages == 0 {
            // An empty spool is an empty folder.
            self.writing = None;
            if let Some(last) = self.segments.back() {
                self.finished = Position { segment: last.number + 1, offset: BEGIN };
                (self.next, self.reading) = (self.finished, None);
            }
        }
        folder::save(&self.folder, self.finished)?;
        self.saved = self.finished;
        while self.segments.front().is_some_and(|segment| segment.number < self.finished.segment) {
            if let Some(segment) = self.segments.pop_front() {
                std::fs::remove_file(segment::path(&self.folder, segment.number))?;
            }
        }
        Ok(())
    }

    /// Messages not finished.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    /// How long the oldest message has waited, at most a message's time too much.
    pub fn age(&self, now: SystemTime) -> Option<Duration> {
        self.oldest.map(|oldest| now.duration_since(oldest).unwrap_or_default())
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let number = self.segments.back().map_or(self.finished.segment, |last| last.number + 1);
        let (path, magic) = (segment::path(&self.folder, number), segment::magic(!self.keys.is_empty()));
        let begun = File::create(&path).and_then(|mut file| {
            file.write_all(magic)?;
            file.sync_all()?;
            sync_folder(&self.folder)?;
            Ok(file)
        });
        let file = begun.inspect_err(|_| drop(std::fs::remove_file(&path)))?;
        self.segments.push_back(Segment { number, length: BEGIN });
        self.writing = Some(file);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
