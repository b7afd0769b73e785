use std::str::FromStr;

/// Seeds every release was tested with.
const FIXED: [u64; 2] = [20_260_131, 4_711];

/// The seeds of a seeded test: two fixed ones and a new one (`FIELDWATCH_TEST_SEEDS` says how many in all), or only
/// `FIELDWATCH_TEST_SEED` to repeat a failure. Printed.
pub fn seeds() -> Vec<u64> {
    let seeds = given("FIELDWATCH_TEST_SEED").map_or_else(
        || FIXED.into_iter().chain(std::iter::repeat_with(rand::random)).take(count("FIELDWATCH_TEST_SEEDS", 3)).collect(),
        |seed| vec![seed],
    );
    eprintln!("seeds {seeds:?}: FIELDWATCH_TEST_SEED=<seed> repeats one");
    seeds
}

/// How many of something a test has: `usual`, unless the variable `name` says otherwise.
pub fn count(name: &str, usual: usize) -> usize {
    given(name).unwrap_or(usual)
}

fn given<T: FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}
