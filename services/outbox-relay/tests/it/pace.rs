//! How soon rows are found, and what of the outbox is read for that.

use std::time::{Duration, Instant};

use outbox::Slots;

use crate::fixture::Fixture;
use crate::writers::{event, write};

/// A relay that would look again in an hour.
const ASLEEP: [(&str, &str); 2] = [("OUTBOX_RELAY__RELAY__IDLE_SHORTEST", "1h"), ("OUTBOX_RELAY__RELAY__IDLE_LONGEST", "1h")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wake_after_the_commit_is_heard() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay(&ASLEEP).await;
    fixture.until_shares(&[64]).await;
    fixture
        .until_count("it listens", "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'", 1)
        .await;
    let slots = write(&fixture.pool, &[event(&fixture.topic, "n-1", "1")]).await;
    testkit::eventually("the row is published", || async {
        outbox::wake(&fixture.pool, slots).await.unwrap();
        (fixture.pending().await == 0).then_some(())
    })
    .await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wake_is_for_the_lane_that_has_the_rows() {
    const LANES: u8 = 4;
    let fixture = Fixture::new().await;
    let relay = fixture.relay(&ASLEEP).await;
    fixture.until_shares(&[64]).await;
    // Every lane has looked once, and from now on looks only when it is woken.
    relay.until_ready().await;
    // A row for each lane; an aggregate's name says nothing of its slot.
    let mut slots = [Slots::default(); LANES as usize];
    for n in 0.. {
        if slots.iter().all(|slots| !slots.is_empty()) {
            break;
        }
        let mut transaction = fixture.pool.begin().await.unwrap();
        let lies = outbox::enqueue(&mut transaction, &[event(&fixture.topic, &format!("n-{n}"), "1")]).await.unwrap();
        let lane = (0..64).find(|slot| lies.contains(*slot)).unwrap() % LANES;
        if slots[usize::from(lane)].is_empty() {
            slots[usize::from(lane)] = lies;
            transaction.commit().await.unwrap();
        }
    }
    for (lane, slots) in slots.into_iter().enumerate() {
        let left = i64::from(LANES) - 1 - lane as i64;
        testkit::eventually("the lane's row is published", || async {
            outbox::wake(&fixture.pool, slots).await.unwrap();
            (fixture.pending().await <= left).then_some(())
        })
        .await;
        assert_eq!(fixture.pending().await, left, "the other lanes sleep");
    }
    relay.stop().await;
}

/// Ids become visible out of order: a writer that drew a low one long ago commits after thousands of higher ones were
/// published and the mark could have risen past it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_commit_of_a_low_id_is_published_before_what_follows_it() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay(&[]).await;
    let mut late = fixture.pool.begin().await.unwrap();
    outbox::enqueue(&mut late, &[event(&fixture.topic, "late", "1")]).await.unwrap();
    // More than a mark has to wait at least.
    let until = Instant::now() + Duration::from_millis(2_500);
    let mut n = 0;
    while Instant::now() < until {
        write(&fixture.pool, &[event(&fixture.topic, &format!("n-{}", n % 5), n.to_string())]).await;
        n += 1;
    }
    fixture.until_empty().await;
    late.commit().await.unwrap();
    let committed = Instant::now();
    write(&fixture.pool, &[event(&fixture.topic, "late", "2")]).await;
    fixture.until_empty().await;
    assert!(committed.elapsed() < Duration::from_secs(5), "found at once, not by the sweep");
    relay.stop().await;
    assert_eq!(fixture.published().await, fixture.written().await);
}

/// Whatever their order: the one that began last of all has a number above all that have ended.
#[tokio::test]
async fn a_horizon_is_above_every_transaction_that_writes() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    let (mut first, mut last) = (fixture.pool.begin().await.unwrap(), fixture.pool.begin().await.unwrap());
    let number = "SELECT pg_current_xact_id()::text::bigint";
    let first_number: i64 = sqlx::query_scalar(number).fetch_one(&mut *first).await.unwrap();
    let last_number: i64 = sqlx::query_scalar(number).fetch_one(&mut *last).await.unwrap();
    outbox::enqueue(&mut last, &[event(&fixture.topic, "n-1", "1")]).await.unwrap();
    let both = store.horizon().await.unwrap();
    assert!(both.xmin <= first_number && both.next > last_number && both.drawn == 1, "{both:?} with {first_number}, {last_number}");
    first.rollback().await.unwrap();
    let one = store.horizon().await.unwrap();
    assert!(one.xmin <= last_number && one.next > last_number && one.drawn == 1, "{one:?} with {last_number}");
    last.commit().await.unwrap();
}

/// What was deleted stays in the index while someone may still see it; it is not walked over again and again, nor by
/// whoever begins later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_rows_that_someone_still_sees_cost_nothing() {
    let fixture = Fixture::new().await;
    let mut reading = fixture.pool.begin().await.unwrap();
    sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox").execute(&mut *reading).await.unwrap();
    let insert = "INSERT INTO outbox (event_id, aggregate_type, aggregate_id, type, topic, payload)
                  SELECT gen_random_uuid(), 'notification', 'n-' || n % 50, 't', $1, 'x' FROM generate_series(1, 20000) n";
    sqlx::query(insert).bind(&fixture.topic).execute(&fixture.pool).await.unwrap();
    let relay = fixture.relay(&[]).await;
    fixture.until_empty().await;
    let read = "SELECT coalesce(sum(idx_tup_read), 0)::bigint FROM pg_stat_user_indexes WHERE relname = 'outbox'";
    testkit::eventually("a second of reading costs less than one walk over what was deleted", || async {
        let before = fixture.count(read).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        (fixture.count(read).await - before < 20_000).then_some(())
    })
    .await;
    fixture.until_count("the marks are kept", "SELECT count(*) FROM outbox_lease WHERE mark >= 20000", 64).await;
    relay.stop().await;
    let before = fixture.count(read).await;
    let next = fixture.relay(&[]).await;
    write(&fixture.pool, &[event(&fixture.topic, "n-1", "1")]).await;
    fixture.until_empty().await;
    next.stop().await;
    assert!(fixture.count(read).await - before < 20_000, "the next one walked over what was deleted");
    reading.rollback().await.unwrap();
}
