/// Seeds every release was tested with.
const FIXED: [u64; 2] = [20_260_131, 4_711];

/// The seeds of a seeded test: two fixed ones and a new one, or only `FIELDWATCH_TEST_SEED` to repeat a failure. Printed.
pub fn seeds() -> Vec<u64> {
    let given = std::env::var("FIELDWATCH_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = given.map_or_else(|| vec![FIXED[0], FIXED[1], rand::random()], |seed| vec![seed]);
    eprintln!("seeds {seeds:?}: FIELDWATCH_TEST_SEED=<seed> repeats one");
    seeds
}
