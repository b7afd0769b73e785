//! One file of a spool: a magic number, then frames of length, checksum, time of arrival and bytes. Whatever was not
//! written to its end fails its checksum; what follows it is not looked at. The magic number says whether the bytes of its
//! frames are sealed.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const PLAIN: &[u8; 8] = b"FWSPOOL1";
const SEALED: &[u8; 8] = b"FWSPOOL2";
/// Bytes of a magic number: where the first frame begins.
pub(super) const BEGIN: u64 = PLAIN.len() as u64;
/// Length, checksum and arrival.
pub(super) const FRAME_HEADER: u64 = 16;
const SUFFIX: &str = "spool";

/// A frame as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) arrived_millis: u64,
    pub(super) bytes: Vec<u8>,
}

/// What a segment holds, as far as it is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Up to here it is whole.
    pub(super) length: u64,
    pub(super) messages: u64,
    pub(super) first_arrival_millis: Option<u64>,
}

pub(super) fn magic(sealed: bool) -> &'static [u8; 8] {
    if sealed { SEALED } else { PLAIN }
}

/// What makes the bytes of a frame open in its own place only.
pub(super) fn belonging(segment: u64, offset: u64) -> [u8; 16] {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&segment.to_be_bytes());
    place[8..].copy_from_slice(&offset.to_be_bytes());
    place
}

pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:012}.{SUFFIX}"))
}

/// The numbers of all segments of a folder, in order.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == SUFFIX) {
            numbers.extend(path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok()));
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Appends a frame to `buffer`.
pub(super) fn write_frame(buffer: &mut Vec<u8>, arrived_millis: u64, bytes: &[u8]) {
    buffer.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    buffer.extend_from_slice(&checksum(arrived_millis, bytes).to_le_bytes());
    buffer.extend_from_slice(&arrived_millis.to_le_bytes());
    buffer.extend_from_slice(bytes);
}

fn checksum(arrived_millis: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(bytes.len() as u32);
    hasher.update(&arrived_millis.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// Reads frames from an offset on.
pub(super) struct Frames {
    file: BufReader<File>,
    sealed: bool,
    offset: u64,
    /// Nothing beyond is read, whatever is there.
    end: u64,
}

impl Frames {
    /// A file that begins with no magic number of a spool has no frames.
    pub(super) fn open(path: &Path, offset: u64, end: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut magic = [0; BEGIN as usize];
        let known = file.read_exact(&mut magic).is_ok() && [*PLAIN, *SEALED].contains(&magic);
        let offset = if known { offset.max(BEGIN) } else { 0 };
        file.seek(SeekFrom::Start(offset))?;
        let end = if known { end } else { 0 };
        Ok(Self { file: BufReader::with_capacity(1 << 16, file), sealed: magic == *SEALED, offset, end })
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Reads on up to `end`: the segment has grown.
    pub(super) fn until(&mut self, end: u64) -> &mut Self {
        self.end = end;
        self
    }

    /// Where the next frame begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next whole frame; `None` at the end, and where a frame is torn or damaged.
    pub(super) fn next(&mut self) -> io::Result<Option<Frame>> {
        if self.offset + FRAME_HEADER > self.end {
            return Ok(None);
        }
        let mut header = [0; FRAME_HEADER as usize];
        self.file.read_exact(&mut header)?;
        let (length, rest) = header.split_at(4);
        let (sum, arrived) = rest.split_at(4);
        let length = u64::from(u32::from_le_bytes(length.try_into().unwrap_or_default()));
        let arrived_millis = u64::from_le_bytes(arrived.try_into().unwrap_or_default());
        let end = self.offset + FRAME_HEADER + length;
        if end > self.end {
            return Ok(None);
        }
        let mut bytes = vec![0; length as usize];
        self.file.read_exact(&mut bytes)?;
        if checksum(arrived_millis, &bytes).to_le_bytes() != sum {
            return Ok(None);
        }
        self.offset = end;
        Ok(Some(Frame { arrived_millis, bytes }))
    }
}

/// What is whole of a segment, counted from `offset`.
pub(super) fn scan(path: &Path, offset: u64) -> io::Result<Extent> {
    let size = path.metadata()?.len();
    let mut frames = Frames::open(path, offset, size)?;
    let mut extent = Extent::default();
    while let Some(frame) = frames.next()? {
        extent.messages += 1;
        extent.first_arrival_millis.get_or_insert(frame.arrived_millis);
    }
    extent.length = frames.offset().min(size);
    Ok(extent)
}

/// The first frame from `offset` on, where it begins, and whether its bytes are sealed.
pub(super) fn first(path: &Path, offset: u64, end: u64) -> io::Result<Option<(Frame, u64, bool)>> {
    let mut frames = Frames::open(path, offset, end)?;
    let at = frames.offset();
    Ok(frames.next()?.map(|frame| (frame, at, frames.is_sealed())))
}
