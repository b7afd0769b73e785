//! A relay that dies in the middle, and the one after it.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use testkit::eventually;

use crate::fixture::{Fixture, SHORT_LEASES, with_seeds};
use crate::writers::{finish, start_writers};

const BATCH: usize = 50;
const LANES: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_overtakes_when_relays_are_killed() {
    with_seeds(kill_relays).await;
}

async fn kill_relays(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let fixture = Fixture::new().await;
    let (batch, lanes) = (BATCH.to_string(), LANES.to_string());
    let [duration, timeout] = SHORT_LEASES;
    let overrides = [("OUTBOX_RELAY__RELAY__BATCH", batch.as_str()), ("OUTBOX_RELAY__RELAY__LANES", &lanes), duration, timeout];
    let writers = start_writers(&fixture.pool, &fixture.topic, seed, 3, 200);
    let kills = 2;
    for _ in 0..kills {
        let relay = fixture.relay(&overrides).await;
        let before = fixture.count("SELECT count(*) FROM written").await - fixture.pending().await;
        let enough = before + random.random_range(1..400);
        let written = "SELECT count(*) FROM written WHERE NOT EXISTS (SELECT FROM outbox WHERE outbox.id = written.id)";
        eventually("enough is relayed", || async { (fixture.count(written).await >= enough).then_some(()) }).await;
        relay.kill().await;
    }
    finish(writers).await;
    let relay = fixture.relay(&overrides).await;
    fixture.until_empty().await;
    relay.stop().await;

    let (written, published) = (fixture.written().await, fixture.published().await);
    published.assert_repeats_only(&written);
    assert!(published.repeats() <= kills * LANES * BATCH, "{} repeats after {kills} kills", published.repeats());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_relay_gives_its_slots_back_and_repeats_nothing() {
    with_seeds(stop_relays).await;
}

async fn stop_relays(seed: u64) {
    let fixture = Fixture::new().await;
    let writers = start_writers(&fixture.pool, &fixture.topic, seed, 2, 100);
    for _ in 0..3 {
        let relay = fixture.relay(&[]).await;
        fixture.until_shares(&[64]).await;
        relay.stop().await;
        assert_eq!(fixture.count("SELECT count(*) FROM outbox_lease WHERE owner IS NOT NULL").await, 0);
        assert_eq!(fixture.count("SELECT count(*) FROM outbox_member").await, 0);
    }
    finish(writers).await;
    let relay = fixture.relay(&[]).await;
    fixture.until_empty().await;
    relay.stop().await;
    assert_eq!(fixture.published().await, fixture.written().await);
}
