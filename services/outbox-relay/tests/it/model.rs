//! Everything at once, by seed: interleaved transactions that commit out of order, abort or last long, and three relays that
//! are killed, cut off from their database past their leases, and see database clocks that differ. Afterwards every
//! aggregate's log is what was committed, in order, with repeats only where a relay was killed or lost its leases.

use std::time::{Duration, Instant};

use outbox::OutboxEvent;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::{AssertSqlSafe, PgPool};
use testkit::{Cable, Process};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::fixture::{Fixture, with_seeds};
use crate::writers::{event, finish};

const RELAYS: usize = 3;
const BATCH: usize = 50;
const LANES: usize = 2;
/// How long writers and misfortunes last.
const TIME: Duration = Duration::from_secs(3);
/// Half of `clock_error`, in milliseconds: two relays may be so far apart, each from the middle.
const SKEW_MS: i64 = 150;

const SETTINGS: [(&str, &str); 7] = [
    ("OUTBOX_RELAY__LEASE__DURATION", "2s"),
    ("OUTBOX_RELAY__LEASE__RENEW_EVERY", "150ms"),
    ("OUTBOX_RELAY__LEASE__CLOCK_ERROR", "300ms"),
    ("OUTBOX_RELAY__PUBLISH__TIMEOUT", "1500ms"),
    ("OUTBOX_RELAY__RELAY__BATCH", "50"),
    ("OUTBOX_RELAY__RELAY__LANES", "2"),
    ("OUTBOX_RELAY__DATABASE__MIGRATE", "false"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_no_aggregate_loses_or_overtakes() {
    with_seeds(live_through).await;
}

async fn live_through(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let fixture = Fixture::new().await;
    let writers: Vec<_> = (0..4).map(|n| start_writer(&fixture.pool, &fixture.topic, seed.wrapping_add(n))).collect();
    let onlooker = look_on(&fixture.pool);
    let mut relays = Vec::new();
    for n in 0..RELAYS {
        relays.push(start_relay(&fixture, n, random.random_range(-SKEW_MS..=SKEW_MS)).await);
    }
    let mut misfortunes = 0;
    let until = Instant::now() + TIME;
    while Instant::now() < until {
        sleep(Duration::from_millis(random.random_range(50..600))).await;
        let (relay, cable) = &mut relays[random.random_range(0..RELAYS)];
        misfortunes += 1;
        if random.random_ratio(1, 2) {
            relay.kill();
            sleep(Duration::from_millis(random.random_range(0..300))).await;
            relay.restart();
        } else {
            // Now and then longer than a lease lasts.
            cable.set(false);
            sleep(Duration::from_millis(random.random_range(50..2_600))).await;
            cable.set(true);
        }
    }
    finish(writers).await;
    onlooker.await.unwrap();
    fixture.until_empty().await;
    for (mut relay, _) in relays {
        // One that was just started would die of the signal instead of hearing it.
        relay.ready().await;
        assert_eq!(relay.terminate().await, Some(0));
    }
    let (written, published) = (fixture.written().await, fixture.published().await);
    published.assert_repeats_only(&written);
    let most = misfortunes * LANES * BATCH;
    assert!(published.repeats() <= most, "{} repeats after {misfortunes} misfortunes", published.repeats());
}

/// A relay that sees the database's clock `skew` milliseconds off.
async fn start_relay(fixture: &Fixture, n: usize, skew: i64) -> (Process, Cable) {
    let clock = format!(
        "CREATE SCHEMA skewed_{n};
         CREATE FUNCTION skewed_{n}.now() RETURNS timestamptz STABLE LANGUAGE sql AS
         $$ SELECT pg_catalog.now() + make_interval(secs => {skew}.0 / 1000) $$"
    );
    sqlx::raw_sql(AssertSqlSafe(clock)).execute(&fixture.pool).await.unwrap();
    let cable = Cable::plug(&fixture.database.url).await;
    let url = format!("{}?options[search_path]=skewed_{n},pg_catalog,public", cable.url);
    let mut environment = fixture.environment(&SETTINGS);
    environment.push(("OUTBOX_RELAY__DATABASE__URL".into(), url));
    (Process::start("outbox-relay", &environment).await, cable)
}

/// Transactions of one to five events about ten aggregates; some are open for long, some are never committed.
fn start_writer(pool: &PgPool, topic: &str, seed: u64) -> JoinHandle<()> {
    let (pool, topic, mut random) = (pool.clone(), topic.to_owned(), StdRng::seed_from_u64(seed));
    tokio::spawn(async move {
        let until = Instant::now() + TIME;
        let mut n = 0;
        while Instant::now() < until {
            let mut events: Vec<OutboxEvent> = Vec::new();
            for _ in 0..random.random_range(1..=5) {
                events.push(event(&topic, &format!("n-{}", random.random_range(0..10)), format!("{seed}/{n}")));
                n += 1;
            }
            let mut open = pool.begin().await.unwrap();
            outbox::enqueue(&mut open, &events).await.unwrap();
            let longest = if random.random_ratio(1, 20) { 1_500 } else { 15 };
            sleep(Duration::from_millis(random.random_range(0..longest))).await;
            if random.random_ratio(1, 10) { open.rollback().await.unwrap() } else { open.commit().await.unwrap() }
        }
    })
}

/// Someone reads for as long as all this lasts: what is deleted stays in the way.
fn look_on(pool: &PgPool) -> JoinHandle<()> {
    let pool = pool.clone();
    tokio::spawn(async move {
        let mut reading = pool.begin().await.unwrap();
        sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox").execute(&mut *reading).await.unwrap();
        sleep(TIME).await;
        reading.rollback().await.unwrap();
    })
}
