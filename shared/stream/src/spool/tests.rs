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
        append(&mut spool, &["next"]);
        assert_eq!(texts(&spool.read(1 << 20).unwrap()), ["kept", "next"], "cut at {length}");
    }
}

#[test]
fn a_damaged_frame_is_never_handed_out() {
    let folder = tempfile::tempdir().unwrap();
    append(&mut spool(&folder), &["fine", "damaged"]);
    let path = newest_segment(&folder);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(path, bytes).unwrap();
    assert_eq!(texts(&spool(&folder).read(1 << 20).unwrap()), ["fine"]);
}

#[test]
fn a_lost_position_means_everything_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = spool(&folder);
    append(&mut first, &["a", "b"]);
    let read = first.read(1).unwrap();
    first.finish(&read[0]);
    first.save().unwrap();
    drop(first);
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
    assert!(spool.has_room(400, now) && !spool.has_room(500, now));
    assert!(!spool.has_room(1, now + Duration::from_secs(61)));
    let read = spool.read(1_000).unwrap();
    spool.finish(&read[0]);
    spool.save().unwrap();
    assert!(spool.has_room(900, now + Duration::from_secs(61)));
    assert_eq!((spool.bytes(), segment::numbers(folder.path()).unwrap()), (0, vec![]));
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
    let path = newest_segment(&folder);
    let bytes = std::fs::read(&path).unwrap();
    let (head, frames) = bytes.split_at(BEGIN as usize);
    let (one, other) = frames.split_at(frames.len() / 2);
    std::fs::write(path, [head, other, one].concat()).unwrap();
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
