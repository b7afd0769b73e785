/// Seeds every release was tested with.
const FIXED: [u64; 2] = [20_260_131, 4_711];

/// The seeds of a seeded test: two fixed ones and a new one, `FIELDWATCH_TEST_SEEDS` altogether where that many were
/// promised, or only `FIELDWATCH_TEST_SEED` to repeat a failure. Printed.
pub fn seeds() -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let count = number("FIELDWATCH_TEST_SEEDS").map_or(3, |count| count as usize);
    let seeds = number("FIELDWATCH_TEST_SEED")
        .map_or_else(|| FIXED.into_iter().chain(std::iter::repeat_with(rand::random)).take(count).collect(), |seed| vec![seed]);
    eprintln!("seeds {seeds:?}: FIELDWATCH_TEST_SEED=<seed> repeats one");
    seeds
}
