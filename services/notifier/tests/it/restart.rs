use events::AlertState;
use testkit::eventually;

use crate::world::{World, firing, then};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_the_database_stands() {
    let world = World::new().await;
    let replica = world.start().await;
    let alert = firing("sensor-01");
    world.alerts(std::slice::from_ref(&alert), 1).await;
    replica.stop().await;
    // Came while it was away.
    world.kit.publish(&[then(&alert, AlertState::Firing), then(&alert, AlertState::Resolved)]).await;
    let replica = world.start().await;
    eventually("what came meanwhile is applied", || async { (world.count("notification_event").await == 3).then_some(()) }).await;
    assert_eq!(replica.get("/v1/notifications").await["data"][0]["state"], "RESOLVED");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_lost_its_offsets_repeats_nothing() {
    let world = World::new().await;
    let replica = world.start().await;
    let alert = firing("sensor-01");
    world.alerts(&[alert.clone(), then(&alert, AlertState::Firing)], 2).await;
    replica.stop().await;
    // Even when the position is lost as well, ids and ledger keep what was done from being done again.
    sqlx::query("DELETE FROM stream_position").execute(&world.pool).await.unwrap();
    let again = world.start().await;
    world.alerts(&[then(&alert, AlertState::Resolved)], 3).await;
    let page = again.get("/v1/notifications").await;
    assert_eq!((page["data"][0]["version"].as_i64(), page["data"][0]["occurrences"].as_i64()), (Some(3), Some(2)));
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_a_newer_release_migrated_is_taken_as_it_is() {
    let world = World::new().await;
    world.start().await.stop().await;
    let newer = "INSERT INTO _notifier_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'of a newer release', true, 'unknown', 0)";
    sqlx::query(newer).execute(&world.pool).await.unwrap();
    let replica = world.start().await;
    world.alerts(&[firing("sensor-01")], 1).await;
    replica.stop().await;
}
