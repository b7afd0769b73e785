use std::io::Write as _;

use proptest::prelude::*;
use service::sealing::{SealingConfig, Unsealable};
use tempfile::TempDir;

use super::*;

const LIMITS: SpoolLimits = SpoolLimits { bytes: 1 << 20, age: Duration::from_hours(1) };

fn spool(folder: &TempDir) -> Spool {
    Spool::open(folder.path(), LIMITS, SealingKeys::default()).unwrap()
}

fn keys(key: &str, previous: &str) -> SealingKeys {
    let secret = |text: &str| service::Secret::new(text.repeat(32));
    let config = SealingConfig { key: secret(key), previous_key: secret(previous), ..SealingConfig::default() };
    config.keys("encryption", "spool").unwrap()
}

fn sealed(folder: &TempDir, keys: SealingKeys) -> Spool {
    Spool::open(folder.path(), LIMITS, keys).unwrap()
}

fn append(spool: &mut Spool, texts: &[&str]) {
    let messages: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    spool.append(&messages, SystemTime::now()).unwrap();
}

fn texts(read: &[Spooled]) -> Vec<&str> {
    read.iter().map(|message| std::str::from_utf8(&message.bytes).unwrap()).collect()
}

fn newest_segment(folder: &TempDir) -> PathBuf {
    segment::path(folder.path(), *segment::numbers(folder.path()).unwrap().last().unwrap())
}

/// Does to the newest segment what a disk or a hand does.
fn rewrite(folder: &TempDir, change: impl FnOnce(&mut Vec<u8>)) {
    let path = newest_segment(folder);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Reads one message, finishes it, and ends.
fn finish_one(mut spool: Spool) -> Spooled {
    let mut read = spool.read(1).unwrap();
    spool.finish(&read[0]);
    spool.save().unwrap();
    read.remove(0)
}

#[test]
fn messages_come_back_in_order_after_a_restart_from_the_saved_position_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = spool(&folder);
    append(&mut first, &["a", "b"]);
    append(&mut first, &["c"]);
    let read = first.read(1 << 20).unwrap();
    assert_eq!(texts(&read), ["a", "b", "c"]);
    first.finish(&read[0]);
    first.save().unwrap();
    first.finish(&read[1]);
    drop(first);

    let mut second = spool(&folder);
    assert_eq!(second.messages(), 2);
    append(&mut second, &["d"]);
    assert_eq!(texts(&second.read(1 << 20).unwrap()), ["b", "c", "d"], "b was finished, but that was not saved");
}

#[test]
fn a_frame_torn_anywhere_is_cut_and_nothing_before_it() {
    let whole = {
        let folder = tempfile::tempdir().unwrap();
        append(&mut spool(&folder), &["kept", "torn"]);
        std::fs::read(newest_segment(&folder)).unwrap()
    };
    for length in whole.len() - (16 + 4)..whole.len() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(segment::path(folder.path(), 1), &whole[..length]).unwrap();
        let mut spool = spool(&folder);
        assert_eq!(newest_segment(&folder).metadata().unwrap().len(), BEGIN + 16 + 4, "cut at {length}");
        append(&mut spool, &["next"]);
        assert_eq!(texts(&spool.read(1 << 20).unwrap()), ["kept", "next"], "cut at {length}");
    }
}

#[test]
fn a_damaged_frame_is_never_handed_out() {
    let folder = tempfile::tempdir().unwrap();
    append(&mut spool(&folder), &["fine", "damaged"]);
    rewrite(&folder, |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(texts(&spool(&folder).read(1 << 20).unwrap()), ["fine"]);
}

#[test]
fn a_lost_position_means_everything_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = spool(&folder);
    append(&mut first, &["a", "b"]);
    finish_one(first);
    std::fs::write(folder.path().join("position"), b"rubbish").unwrap();
    assert_eq!(texts(&spool(&folder).read(1 << 20).unwrap()), ["a", "b"]);
}

#[test]
fn a_full_or_too_old_spool_has_no_room_until_it_is_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let limits = SpoolLimits { bytes: 1_000, age: Duration::from_mins(1) };
    let mut spool = Spool::open(folder.path(), limits, SealingKeys::default()).unwrap();
    let now = SystemTime::now();
    spool.append(&[vec![0; 500]], now).unwrap();
    let left = 1_000 - (BEGIN + 16 + 500);
    assert!(spool.has_room(left, now) && !spool.has_room(left + 1, now));
    assert!(spool.has_room(1, now + limits.age) && !spool.has_room(1, now + limits.age + Duration::from_millis(1)));
    let read = spool.read(1_000).unwrap();
    spool.finish(&read[0]);
    spool.save().unwrap();
    assert!(spool.has_room(900, now + Duration::from_secs(61)));
    assert_eq!((spool.bytes(), segment::numbers(folder.path()).unwrap()), (0, vec![]));
}

#[test]
fn how_long_the_oldest_has_waited_is_known_across_a_restart_and_while_there_is_one() {
    let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    spool(&folder).append(&[b"a".to_vec(), b"b".to_vec()], now).unwrap();
    let later = now + Duration::from_secs(10);
    let has_waited = |waited: Duration| (10_000..=10_001).contains(&waited.as_millis());
    let mut spool = spool(&folder);
    assert!(spool.age(later).is_some_and(has_waited));
    let read = spool.read(1 << 20).unwrap();
    assert!(read.iter().all(|message| has_waited(later.duration_since(message.arrived_at).unwrap())));
    spool.finish(&read[0]);
    assert!(spool.age(later).is_some_and(has_waited));
    spool.finish(&read[1]);
    assert_eq!(spool.age(later), None);
}

#[test]
fn a_first_segment_of_nothing_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(segment::path(folder.path(), 1), segment::magic(false)).unwrap();
    let mut spool = spool(&folder);
    append(&mut spool, &["new"]);
    assert_eq!(texts(&spool.read(1 << 20).unwrap()), ["new"]);
}

#[test]
fn a_spool_is_kept_in_a_few_segments_and_each_goes_once_it_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let limits = SpoolLimits { bytes: 4_000, ..LIMITS };
    let mut spool = Spool::open(folder.path(), limits, SealingKeys::default()).unwrap();
    for _ in 0..3 {
        spool.append(&[vec![0; 500]], SystemTime::now()).unwrap();
    }
    assert_eq!(segment::numbers(folder.path()).unwrap(), [1, 2], "a quarter of the limit is begun with the second message");
    let read = spool.read(1 << 20).unwrap();
    read[..2].iter().for_each(|message| spool.finish(message));
    spool.save().unwrap();
    assert_eq!((segment::numbers(folder.path()).unwrap(), spool.messages()), (vec![1, 2], 1), "its end is where the first ends");
    spool.finish(&read[2]);
    spool.save().unwrap();
    assert_eq!((segment::numbers(folder.path()).unwrap(), spool.messages(), spool.bytes()), (vec![], 0, 0));
}

#[test]
fn a_read_takes_about_as_many_bytes_as_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = spool(&folder);
    append(&mut spool, &["four", "more", "last", ""]);
    assert_eq!(texts(&spool.read(0).unwrap()), [""; 0]);
    assert_eq!(texts(&spool.read(16 + 4).unwrap()), ["four"]);
    assert_eq!(texts(&spool.read(16 + 4 + 1).unwrap()), ["more", "last"]);
    drop(spool);
    assert_eq!(self::spool(&folder).messages(), 4, "the one of no bytes at the end, too");
}

#[test]
fn what_is_no_segment_has_no_messages() {
    let folder = tempfile::tempdir().unwrap();
    append(&mut spool(&folder), &["written"]);
    rewrite(&folder, |bytes| bytes[..BEGIN as usize].copy_from_slice(b"FWSPOOL9"));
    assert_eq!(spool(&folder).messages(), 0);
}

#[test]
fn a_segment_of_nothing_is_removed_unless_the_position_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = spool(&folder);
    append(&mut first, &["finished", "torn"]);
    finish_one(first);
    rewrite(&folder, |bytes| bytes.truncate(bytes.len() - 1));
    std::fs::write(segment::path(folder.path(), 2), segment::magic(false)).unwrap();
    let mut second = spool(&folder);
    assert_eq!((segment::numbers(folder.path()).unwrap(), second.messages()), (vec![1], 0));
    append(&mut second, &["new"]);
    assert_eq!(texts(&second.read(1 << 20).unwrap()), ["new"]);
}

/// By hand, or by a file system that was repaired.
#[test]
fn a_segment_that_is_gone_takes_no_other_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = spool(&folder);
    append(&mut first, &["finished", "gone"]);
    finish_one(first);
    std::fs::remove_file(newest_segment(&folder)).unwrap();
    let mut second = spool(&folder);
    append(&mut second, &["new"]);
    assert_eq!(texts(&second.read(1 << 20).unwrap()), ["new"]);
    drop(second);

    // Between two that are there.
    let mut third = spool(&folder);
    assert_eq!(third.messages(), 1, "no message of the new segment is taken for finished");
    append(&mut third, &["third", "fourth"]);
    drop(third);
    std::fs::rename(segment::path(folder.path(), 2), segment::path(folder.path(), 3)).unwrap();
    folder::save(folder.path(), Position { segment: 2, offset: 50 }).unwrap();
    assert_eq!(finish_one(spool(&folder)).bytes, b"third");
    assert_eq!(texts(&spool(&folder).read(1 << 20).unwrap()), ["fourth"]);
}

#[test]
fn a_position_that_cannot_be_read_is_no_missing_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("position")).unwrap();
    assert!(matches!(Spool::open(folder.path(), LIMITS, SealingKeys::default()), Err(SpoolUnusable::Io { .. })));
}

#[test]
fn what_a_disk_has_lost_since_is_said_and_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = spool(&folder);
    append(&mut spool, &["whole", "lost", "behind"]);
    rewrite(&folder, |bytes| {
        let end = end_of_frame(bytes, end_of_frame(bytes, BEGIN as usize));
        bytes[end - 1] ^= 1;
    });
    assert_eq!(texts(&spool.read(1).unwrap()), ["whole"]);
    for _ in 0..2 {
        assert_eq!(spool.read(1).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

#[test]
fn two_processes_cannot_share_a_spool() {
    let folder = tempfile::tempdir().unwrap();
    let _first = spool(&folder);
    assert!(matches!(Spool::open(folder.path(), LIMITS, SealingKeys::default()), Err(SpoolUnusable::InUse(_))));
}

#[test]
fn with_a_key_no_message_is_readable_on_disk_and_what_was_there_before_is_read_too() {
    let folder = tempfile::tempdir().unwrap();
    append(&mut spool(&folder), &["in the open"]);
    append(&mut sealed(&folder, keys("a", "")), &["confidential", "confidential"]);
    let bytes = std::fs::read(newest_segment(&folder)).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"confid"));
    append(&mut sealed(&folder, keys("b", "a")), &["under the next key"]);
    let mut all = sealed(&folder, keys("b", "a"));
    assert_eq!(texts(&all.read(1 << 20).unwrap()), ["in the open", "confidential", "confidential", "under the next key"]);
}

#[test]
fn without_its_key_a_spool_is_refused_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    append(&mut sealed(&folder, keys("a", "")), &["confidential"]);
    let refused = |keys| match Spool::open(folder.path(), LIMITS, keys) {
        Err(SpoolUnusable::Sealed { problem, .. }) => problem,
        other => panic!("{:?}", other.map(|spool| spool.messages())),
    };
    assert_eq!((refused(SealingKeys::default()), refused(keys("b", ""))), (Unsealable::NoKey, Unsealable::KeyUnknown));
    assert_eq!(texts(&sealed(&folder, keys("a", "")).read(1 << 20).unwrap()), ["confidential"]);
}

#[test]
fn a_sealed_message_is_read_in_its_own_place_only() {
    let folder = tempfile::tempdir().unwrap();
    append(&mut sealed(&folder, keys("a", "")), &["first!", "second"]);
    rewrite(&folder, |bytes| {
        let frames = &mut bytes[BEGIN as usize..];
        frames.rotate_left(frames.len() / 2);
    });
    assert!(matches!(Spool::open(folder.path(), LIMITS, keys("a", "")), Err(SpoolUnusable::Sealed { problem: Unsealable::Forged, .. })));
}

/// Where the frame that begins at `at` ends.
fn end_of_frame(bytes: &[u8], at: usize) -> usize {
    at + 16 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// Puts a byte of the frame that is the so-manyeth wrong, with a checksum that is right.
fn forge(folder: &TempDir, number: usize) {
    rewrite(folder, |bytes| {
        let at = (0..number).fold(BEGIN as usize, |at, _| end_of_frame(bytes, at));
        let end = end_of_frame(bytes, at);
        bytes[end - 1] ^= 1;
        let mut frame = Vec::new();
        segment::write_frame(&mut frame, 0, &bytes[at + 16..end]);
        bytes[at..end].copy_from_slice(&frame);
    });
}

#[test]
fn a_message_that_cannot_be_opened_is_said_each_time_and_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = sealed(&folder, keys("a", ""));
    append(&mut spool, &["first", "forged", "third"]);
    forge(&folder, 1);
    assert_eq!(texts(&spool.read(1).unwrap()), ["first"]);
    for _ in 0..2 {
        assert_eq!(spool.read(1).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

#[test]
fn a_message_that_is_finished_need_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = sealed(&folder, keys("a", ""));
    append(&mut first, &["finished", "whole"]);
    finish_one(first);
    forge(&folder, 0);
    assert_eq!(texts(&sealed(&folder, keys("a", "")).read(1 << 20).unwrap()), ["whole"]);
    forge(&folder, 1);
    assert!(matches!(Spool::open(folder.path(), LIMITS, keys("a", "")), Err(SpoolUnusable::Sealed { problem: Unsealable::Forged, .. })));
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<Vec<u8>>),
    /// Reads so many bytes and finishes this many of what was read.
    Read(usize, usize),
    Rewind,
    Save,
    /// Dropped and opened again, with these bytes of an unfinished write behind.
    Crash(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let message = prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        4 => prop::collection::vec(message, 1..5).prop_map(Step::Append),
        4 => (0_usize..200, 0_usize..5).prop_map(|(bytes, finished)| Step::Read(bytes, finished)),
        1 => Just(Step::Rewind),
        2 => Just(Step::Save),
        2 => prop::collection::vec(any::<u8>(), 0..30).prop_map(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_spool_is_a_queue_whatever_happens_to_its_process(encrypted: bool, steps in prop::collection::vec(step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        // Small segments, so that a few messages fill several.
        let open = || {
            let keys = if encrypted { keys("a", "") } else { SealingKeys::default() };
            let mut spool = Spool::open(folder.path(), LIMITS, keys).unwrap();
            spool.segment_bytes = 128;
            spool
        };
        let mut spool = Some(open());
        // All messages ever; how many are finished, saved, read.
        let (mut all, mut finished, mut saved, mut read) = (Vec::<Vec<u8>>::new(), 0, 0, 0);
        let mut waiting: VecDeque<Spooled> = VecDeque::new();
        for step in steps {
            let open_spool = spool.as_mut().unwrap();
            match step {
                Step::Append(messages) => {
                    open_spool.append(&messages, SystemTime::now()).unwrap();
                    all.extend(messages);
                }
                Step::Read(bytes, count) => {
                    let found = open_spool.read(bytes).unwrap();
                    let expected = &all[read..read + found.len()];
                    prop_assert!(found.iter().map(|message| &message.bytes).eq(expected));
                    prop_assert!(bytes == 0 || !found.is_empty() || read == all.len());
                    read += found.len();
                    waiting.extend(found);
                    for message in waiting.drain(..count.min(waiting.len())) {
                        open_spool.finish(&message);
                        finished += 1;
                    }
                }
                Step::Rewind => {
                    open_spool.rewind();
                    read = finished;
                    waiting.clear();
                }
                Step::Save => {
                    open_spool.save().unwrap();
                    saved = finished;
                }
                Step::Crash(torn) => {
                    drop(spool.take());
                    if let Some(last) = segment::numbers(folder.path()).unwrap().last() {
                        let mut file = File::options().append(true).open(segment::path(folder.path(), *last)).unwrap();
                        file.write_all(&torn).unwrap();
                    }
                    spool = Some(open());
                    (finished, read) = (saved, saved);
                    waiting.clear();
                }
            }
            prop_assert_eq!(spool.as_ref().unwrap().messages(), (all.len() - finished) as u64);
        }
    }
}
