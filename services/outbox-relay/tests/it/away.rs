//! Kafka or Postgres out of reach.

use sqlx::AssertSqlSafe;
use testkit::{Cable, MockKafka, eventually, free_port};

use crate::fixture::{Fixture, SHORT_LEASES, with_seeds};
use crate::writers::{event, finish, start_writers, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_deleted_while_kafka_is_away() {
    let fixture = Fixture::new().await;
    write(&fixture.pool, &[event(&fixture.topic, "n-1", "1"), event(&fixture.topic, "n-1", "2")]).await;
    let nowhere = format!("127.0.0.1:{}", free_port());
    let relay = fixture.relay(&[("FIELDWATCH__KAFKA__BROKERS", &nowhere)]).await;
    relay.until_not_ready("kafka").await;
    fixture.until_shares(&[64]).await;
    assert_eq!(fixture.pending().await, 2);
    relay.stop().await;
    assert_eq!(fixture.pending().await, 2);

    let relay = fixture.relay(&[]).await;
    fixture.until_empty().await;
    relay.until_ready().await;
    relay.stop().await;
    assert_eq!(fixture.published().await, fixture.written().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_going_away_loses_nothing() {
    with_seeds(cut_postgres_off).await;
}

async fn cut_postgres_off(seed: u64) {
    let fixture = Fixture::new().await;
    let cable = Cable::plug(&fixture.database.url).await;
    let relay = fixture.relay(&[("OUTBOX_RELAY__DATABASE__URL", &cable.url), ("OUTBOX_RELAY__RELAY__BATCH", "100")]).await;
    let writers = start_writers(&fixture.pool, &fixture.topic, seed, 2, 100);
    for _ in 0..2 {
        let before = fixture.published().await.len();
        eventually("it relays", || async { (fixture.published().await.len() > before || fixture.pending().await == 0).then_some(()) })
            .await;
        cable.set(false);
        relay.until_not_ready("postgres").await;
        cable.set(true);
        relay.until_ready().await;
    }
    finish(writers).await;
    fixture.until_empty().await;
    relay.stop().await;
    fixture.published().await.assert_repeats_only(&fixture.written().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_refuses_us_ends_the_relay_with_one_clear_line() {
    let fixture = Fixture::new().await;
    let password = fixture.database.url.split(['@', ':']).nth(2).unwrap();
    let refused = fixture.database.url.replace(password, "wrong");
    let relay = fixture.relay(&[("OUTBOX_RELAY__DATABASE__URL", &refused)]).await;
    let failure = relay.failure().await;
    assert!(failure.starts_with("relay: postgres:") && failure.contains("password authentication failed"), "{failure}");
}

/// A failover as the relay sees it: the server it is connected to has become a replica, the next connection leads to the
/// new primary.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_server_is_left_for_its_successor() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay(&[]).await;
    write(&fixture.pool, &[event(&fixture.topic, "n-1", "1")]).await;
    fixture.until_empty().await;
    let name = fixture.database.url.rsplit_once('/').unwrap().1;
    let demoted = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    let promoted = format!("ALTER DATABASE {name} RESET default_transaction_read_only");
    sqlx::raw_sql(AssertSqlSafe(demoted)).execute(&fixture.pool).await.unwrap();
    let end_sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE datname = current_database() AND application_name = 'outbox-relay'";
    sqlx::query(end_sessions).execute(&fixture.pool).await.unwrap();
    let problem = eventually("it says what is wrong", || async {
        let problem = relay.until_not_ready("postgres").await;
        problem.contains("read-only transaction").then_some(problem)
    });
    problem.await;
    write(&fixture.pool, &[event(&fixture.topic, "n-1", "2")]).await;
    sqlx::raw_sql(AssertSqlSafe(promoted)).execute(&fixture.pool).await.unwrap();
    fixture.until_empty().await;
    relay.until_ready().await;
    relay.stop().await;
    fixture.published().await.assert_repeats_only(&fixture.written().await);
}

/// A database that answers nothing for longer than a lease lasts, and then goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_loses_nothing() {
    let fixture = Fixture::new().await;
    let hasty = [("OUTBOX_RELAY__DATABASE__STATEMENT_TIMEOUT", "500ms"), SHORT_LEASES[0], SHORT_LEASES[1]];
    let relay = fixture.relay(&hasty).await;
    fixture.until_shares(&[64]).await;
    let mut lock = fixture.pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE outbox_lease").execute(&mut *lock).await.unwrap();
    write(&fixture.pool, &[event(&fixture.topic, "n-1", "1"), event(&fixture.topic, "n-1", "2")]).await;
    let problem = relay.until_not_ready("postgres").await;
    assert!(problem.starts_with("postgres: "), "{problem}");
    let past_the_leases = "SELECT pg_sleep(extract(epoch FROM max(expires_at) - clock_timestamp())) FROM outbox_lease";
    sqlx::raw_sql(past_the_leases).execute(&mut *lock).await.unwrap();
    lock.rollback().await.unwrap();
    fixture.until_empty().await;
    relay.until_ready().await;
    relay.stop().await;
    fixture.published().await.assert_repeats_only(&fixture.written().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_and_postgres_may_both_be_away() {
    let fixture = Fixture::new().await;
    let (kafka, cable) = (MockKafka::start(&fixture.topic), Cable::plug(&fixture.database.url).await);
    let overrides = [("FIELDWATCH__KAFKA__BROKERS", kafka.brokers()), ("OUTBOX_RELAY__DATABASE__URL", cable.url.clone())];
    let overrides = overrides.each_ref().map(|(name, value)| (*name, value.as_str()));
    let relay = fixture.relay(&[overrides[0], overrides[1], SHORT_LEASES[0], SHORT_LEASES[1]]).await;
    write(&fixture.pool, &[event(&fixture.topic, "n-1", "1")]).await;
    fixture.until_empty().await;
    kafka.down();
    cable.set(false);
    write(&fixture.pool, &[event(&fixture.topic, "n-1", "2"), event(&fixture.topic, "n-2", "1")]).await;
    relay.until_not_ready("postgres").await;
    cable.set(true);
    relay.until_not_ready("kafka").await;
    assert_eq!(fixture.pending().await, 2);
    kafka.up();
    fixture.until_empty().await;
    relay.until_ready().await;
    relay.stop().await;
    fixture.published_to(&kafka).await.assert_repeats_only(&fixture.written().await);
}

/// Nothing spins: with Kafka away the relay asks for rows no more, and for the rest only as often as its backoff says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_kafka_away_the_outbox_is_not_read() {
    let fixture = Fixture::new().await;
    let nowhere = format!("127.0.0.1:{}", free_port());
    write(&fixture.pool, &[event(&fixture.topic, "n-1", "1")]).await;
    let relay = fixture.relay(&[("FIELDWATCH__KAFKA__BROKERS", &nowhere)]).await;
    relay.until_not_ready("kafka").await;
    relay.stop().await;
    let scans = "SELECT coalesce(sum(idx_scan), 0)::bigint FROM pg_stat_user_indexes WHERE indexrelname = 'outbox_by_slot'";
    assert_eq!(fixture.count(scans).await, 0);
}
