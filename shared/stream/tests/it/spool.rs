//! A spool over whatever a disk may hold.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use service::sealing::SealingKeys;
use stream::spool::{Spool, SpoolLimits, SpoolUnusable};

const LIMITS: SpoolLimits = SpoolLimits { bytes: 1 << 20, age: Duration::from_hours(1) };
const CORPUS: &str = "tests/corpus/spool";

/// What the segments of the corpus hold.
const WRITTEN: [&[u8]; 4] = [b"first", b"", b"second, a little longer", &[0xff; 300]];

fn segment(folder: &Path) -> PathBuf {
    folder.join("000000000001.spool")
}

/// All that was not read yet.
fn rest(spool: &mut Spool) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let read = spool.read(1 << 20).unwrap();
        if read.is_empty() {
            return all;
        }
        all.extend(read.into_iter().map(|message| message.bytes));
    }
}

#[test]
fn a_segment_of_an_earlier_release_is_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(Path::new(CORPUS).join("whole"), segment(folder.path())).unwrap();
    assert_eq!(rest(&mut Spool::open(folder.path(), LIMITS, SealingKeys::default()).unwrap()), WRITTEN);
}

mod fuzz {
    use testkit::fuzz::fuzz;

    use super::*;

    #[test]
    fn whatever_a_segment_holds_only_messages_that_were_written_come_out_and_new_ones_behind_them() {
        // In memory where that can be had: each input costs a few fsyncs.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        fuzz("spool-segment", Path::new(CORPUS), |bytes| {
            for entry in std::fs::read_dir(folder.path()).unwrap() {
                std::fs::remove_file(entry.unwrap().path()).unwrap();
            }
            std::fs::write(segment(folder.path()), bytes).unwrap();
            let mut spool = match Spool::open(folder.path(), LIMITS, SealingKeys::default()) {
                Ok(spool) => spool,
                Err(SpoolUnusable::Sealed { .. }) => return 9,
                Err(unusable) => panic!("{unusable}"),
            };
            let found = rest(&mut spool);
            assert_eq!(found.len() as u64, spool.messages());
            for message in &found {
                assert!(WRITTEN.contains(&message.as_slice()), "{} was never written", message.escape_ascii());
            }
            spool.append(&[b"new".to_vec()], SystemTime::now()).unwrap();
            assert_eq!(rest(&mut spool), [b"new"]);
            found.len().min(8)
        });
    }
}
