/// The seed of this run: `FIELDWATCH_TEST_SEED`, else a new one; printed, so that a failure can be repeated.
pub fn seed() -> u64 {
    let seed = std::env::var("FIELDWATCH_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    eprintln!("FIELDWATCH_TEST_SEED={seed}");
    seed
}
