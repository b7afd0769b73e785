//! Fuzzing without a compiler's help: inputs of a corpus in the tree, changed by seed. What leads somewhere new is changed
//! further.

use std::collections::HashSet;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::seed::{count, seeds};

/// No input grows beyond; what is larger finds nothing that this does not.
const LONGEST: usize = 1 << 14;
/// What decoders have trouble with.
const TOKENS: [&[u8]; 34] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\\u0000",
    b"\\ud800",
    b"\xc3",
    b"\xef\xbb\xbf",
    b"\0",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0",
    b"1e-400",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"0x1",
    b"null",
    b"true",
    b"\"device_id\":",
    b"\"temperature\":",
    b"\"timestamp\":",
    b"\"seq\":",
    b"9999-12-31T23:59:59Z",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x80",
    b"FWSPOOL1",
    b"online",
    b" ",
    b"\n",
];

/// Gives `target` the inputs of the folder `corpus` and then changed ones, for a second a seed, or as long as
/// `FIELDWATCH_FUZZ_SECONDS` says. What `target` returns says where an input led. An input that makes it panic is printed
/// and left under `target/fuzz`.
pub fn fuzz<F: Hash + Eq>(name: &str, corpus: &Path, mut target: impl FnMut(&[u8]) -> F) {
    let entries = std::fs::read_dir(corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let inputs: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).expect("an input")).collect();
    assert!(!inputs.is_empty(), "{} is empty", corpus.display());
    let time = Duration::from_secs(count("FIELDWATCH_FUZZ_SECONDS", 1) as u64);
    for seed in seeds() {
        let (mut random, began) = (SmallRng::seed_from_u64(seed), Instant::now());
        let (mut pool, mut known, mut runs) = (inputs.clone(), HashSet::new(), 0_u64);
        for input in &inputs {
            known.insert(run(name, seed, input, &mut target));
        }
        while began.elapsed() < time {
            let mut input = pool.choose(&mut random).expect("it is not empty").clone();
            for _ in 0..random.random_range(1..=4) {
                change(&mut input, &pool, &mut random);
            }
            runs += 1;
            if known.insert(run(name, seed, &input, &mut target)) {
                pool.push(input);
            }
        }
        eprintln!("{name}: seed {seed}, {runs} inputs led to {} places", known.len());
    }
}

fn run<F>(name: &str, seed: u64, input: &[u8], target: &mut impl FnMut(&[u8]) -> F) -> F {
    catch_unwind(AssertUnwindSafe(|| target(input))).unwrap_or_else(|panic| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fuzz");
        let file = folder.join(format!("{name}-{seed}"));
        let kept = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, input));
        eprintln!("{name}: seed {seed}, {} bytes: {}\n{}: {kept:?}", input.len(), input.escape_ascii(), file.display());
        resume_unwind(panic)
    })
}

fn change(input: &mut Vec<u8>, pool: &[Vec<u8>], random: &mut SmallRng) {
    let at = random.random_range(0..=input.len());
    let end = random.random_range(at..=input.len().min(at + 64));
    match random.random_range(0..8) {
        0 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
        1 if at < input.len() => input[at] = random.random(),
        2 => drop(input.drain(at..end)),
        3 => input.truncate(at),
        4 => drop(input.splice(at..at, TOKENS.choose(random).expect("tokens").iter().copied())),
        // The same again, a few times or very often: nesting, long numbers, repeated keys.
        5 => {
            let piece = input[at..end].to_vec();
            let times = if random.random_ratio(1, 50) { 200 } else { random.random_range(1..4) };
            drop(input.splice(at..at, piece.repeat(times)));
        }
        6 => {
            let other = pool.choose(random).expect("it is not empty");
            let from = random.random_range(0..=other.len());
            drop(input.splice(at..end, other[from..].iter().copied()));
        }
        _ => drop(input.splice(at..end, TOKENS.choose(random).expect("tokens").iter().copied())),
    }
    input.truncate(LONGEST);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_behind_three_right_bytes_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a"), b"nothing of it").expect("written");
        let found = catch_unwind(|| {
            fuzz("self-test", folder.path(), |input| {
                let right = input.iter().zip(b"{[\"").take_while(|(found, wanted)| found == wanted).count();
                assert!(right < 3, "found");
                right
            });
        });
        assert!(found.is_err());
    }
}
