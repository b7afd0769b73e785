//! Several relays at one outbox.

use crate::fixture::{Fixture, SHORT_LEASES, with_seeds};
use crate::writers::{finish, start_writers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_share_the_slots_and_never_overtake_each_other() {
    with_seeds(hand_over).await;
}

async fn hand_over(seed: u64) {
    let fixture = Fixture::new().await;
    let writers = start_writers(&fixture.pool, &fixture.topic, seed, 3, 200);
    let first = fixture.relay(&[]).await;
    fixture.until_shares(&[64]).await;
    let second = fixture.relay(&[]).await;
    fixture.until_shares(&[32, 32]).await;
    let third = fixture.relay(&[]).await;
    fixture.until_shares(&[21, 21, 22]).await;
    first.stop().await;
    fixture.until_shares(&[32, 32]).await;
    finish(writers).await;
    fixture.until_empty().await;
    second.stop().await;
    fixture.until_shares(&[64]).await;
    third.stop().await;
    assert_eq!(fixture.published().await, fixture.written().await, "handed over between batches: each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_slots_of_a_killed_relay_go_to_the_others() {
    with_seeds(kill_one_of_two).await;
}

async fn kill_one_of_two(seed: u64) {
    let fixture = Fixture::new().await;
    let writers = start_writers(&fixture.pool, &fixture.topic, seed, 3, 200);
    let (first, second) = (fixture.relay(&SHORT_LEASES).await, fixture.relay(&SHORT_LEASES).await);
    fixture.until_shares(&[32, 32]).await;
    first.kill().await;
    fixture.until_shares(&[64]).await;
    finish(writers).await;
    fixture.until_empty().await;
    second.stop().await;
    fixture.published().await.assert_repeats_only(&fixture.written().await);
}
