//! Rows after they were published, or given up: kept, and published again on request.

use sqlx::AssertSqlSafe;

use crate::commands::{outbox_relay, printed};
use crate::fixture::Fixture;
use crate::writers::{event, write};

const ARCHIVE: (&str, &str) = ("OUTBOX_RELAY__ARCHIVE__ENABLED", "true");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_published_is_replayed_in_order_under_its_own_event_ids() {
    let fixture = Fixture::new().await;
    let sent: Vec<_> = (0..30).map(|n| event(&fixture.topic, &format!("n-{}", n % 3), n.to_string())).collect();
    write(&fixture.pool, &sent).await;
    let relay = fixture.relay(&[ARCHIVE]).await;
    fixture.until_empty().await;
    relay.stop().await;
    let archived: Vec<uuid::Uuid> =
        sqlx::query_scalar("SELECT event_id FROM outbox_archive ORDER BY id").fetch_all(&fixture.pool).await.unwrap();
    assert_eq!(archived, sent.iter().map(|event| event.event_id).collect::<Vec<_>>());

    let database = [("OUTBOX_RELAY__DATABASE__URL", fixture.database.url.as_str())];
    let once_more = ["replay", "--topic", &fixture.topic, "--since", "2026-01-01T00:00:00Z", "--aggregate", "n-1"];
    assert_eq!(printed(&outbox_relay(&[&once_more[..], &["--dry-run"]].concat(), &database)), "would be replayed: 10 rows\n");
    assert_eq!(fixture.pending().await, 0);
    assert_eq!(printed(&outbox_relay(&once_more, &database)), "replayed: 10 rows\n");
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar("SELECT event_id FROM outbox ORDER BY id").fetch_all(&fixture.pool).await.unwrap();
    assert_eq!(ids, sent.iter().filter(|event| event.aggregate_id == "n-1").map(|event| event.event_id).collect::<Vec<_>>());
    let relay = fixture.relay(&[]).await;
    fixture.until_empty().await;
    relay.stop().await;
    let published = fixture.published().await;
    let (all, once) = (published.of("n-1"), published.once().of("n-1"));
    assert_eq!(all, [once.clone(), once].concat());
    assert_eq!(published.len(), 40);
    assert_eq!(printed(&outbox_relay(&["replay", "--topic", "another", "--since", "yesterday"], &database)), "replayed: 0 rows\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_archive_has_a_partition_a_day_and_forgets_the_old_ones() {
    let fixture = Fixture::new().await;
    for (day, ends) in [("20250101", "2025-01-02"), ("20250102", "2025-01-03")] {
        let old =
            format!("CREATE TABLE outbox_archive_{day} PARTITION OF outbox_archive FOR VALUES FROM (date '{ends}' - 1) TO ('{ends}')");
        sqlx::raw_sql(AssertSqlSafe(old)).execute(&fixture.pool).await.unwrap();
    }
    let store = fixture.store();
    let week = std::time::Duration::from_hours(7 * 24);
    store.roll_archive(week).await.unwrap();
    store.roll_archive(week).await.unwrap();
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'outbox_archive'::regclass";
    assert_eq!(fixture.count(partitions).await, 4, "today and three more, none of last year's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_requeued_row_is_published_once_its_cause_is_gone() {
    let fixture = Fixture::new().await;
    let kept_out = [("OUTBOX_RELAY__RETRY__ATTEMPTS", "1"), ("OUTBOX_RELAY__RETRY__FIRST", "20ms")];
    let relay = fixture.relay(&kept_out).await;
    write(&fixture.pool, &[event("no.such.topic", "n-1", "1"), event(&fixture.topic, "n-1", "2")]).await;
    fixture.until_empty().await;
    assert_eq!(fixture.published().await.of("n-1"), ["2"]);
    sqlx::query("UPDATE outbox_dead SET topic = $1").bind(&fixture.topic).execute(&fixture.pool).await.unwrap();

    let database = [("OUTBOX_RELAY__DATABASE__URL", fixture.database.url.as_str())];
    assert_eq!(printed(&outbox_relay(&["requeue", "--all", "--dry-run"], &database)), "would be requeued: 1 rows\n");
    assert_eq!(printed(&outbox_relay(&["requeue", "--topic", "another"], &database)), "requeued: 0 rows\n");
    assert_eq!(printed(&outbox_relay(&["requeue", "--topic", &fixture.topic], &database)), "requeued: 1 rows\n");
    assert!(!outbox_relay(&["requeue"], &database).status.success(), "what to requeue has to be said");
    fixture.until_empty().await;
    relay.stop().await;
    assert_eq!(fixture.published().await.of("n-1"), ["2", "1"]);
    assert_eq!(fixture.count("SELECT count(*) FROM outbox_dead").await, 0);
}
