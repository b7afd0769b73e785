//! Leases in the database: one owner at a time, and what a former owner can still do.

use std::time::Duration;

use outbox_relay::adapters::postgres::{Dead, Extent, Store};
use outbox_relay::domain::{Lease, Path, Row, RowId, Seen, Slot};
use testkit::eventually;

use crate::fixture::Fixture;
use crate::writers::{event, write};

const LONG: Duration = Duration::from_mins(1);
const EXTENT: Extent = Extent { path: Path::Slots { each: 10 }, rows: 10, bytes: 1_000, ..Extent::above(RowId(0)) };

fn all_slots() -> Vec<Slot> {
    (0..64).map(Slot).collect()
}

#[tokio::test]
async fn a_slot_has_one_owner_until_its_lease_ends() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    let short = Duration::from_millis(300);
    let first = store.claim("first", &all_slots(), short).await.unwrap();
    assert_eq!(first.len(), 64);
    let second = eventually("the leases run out", || async {
        let claimed = store.claim("second", &all_slots(), LONG).await.unwrap();
        (!claimed.is_empty()).then_some(claimed)
    })
    .await;
    assert_eq!(second.len(), 64);
    assert!(second.iter().all(|lease| lease.epoch > first[0].epoch));
    assert_eq!(store.renew("first", LONG, &[]).await.unwrap(), []);
    assert_eq!(store.renew("second", LONG, &[]).await.unwrap().len(), 64);
}

#[tokio::test]
async fn a_mark_is_kept_for_whoever_has_the_slot_next_under_its_lease_alone() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    let former = store.claim("first", &[Slot(5), Slot(6)], Duration::ZERO).await.unwrap();
    let marks = |leases: &[Lease], mark| leases.iter().map(|lease| (*lease, RowId(mark))).collect::<Vec<_>>();
    store.renew("first", Duration::ZERO, &marks(&former, 7)).await.unwrap();
    // The same owner once more: the epoch alone tells the two apart.
    let now = store.claim("first", &[Slot(5), Slot(6)], LONG).await.unwrap();
    store.renew("first", LONG, &marks(&former, 100)).await.unwrap();
    assert_eq!(store.mark(&now).await.unwrap(), RowId(7));
    store.renew("first", LONG, &[(now[0], RowId(9))]).await.unwrap();
    assert_eq!(store.mark(&now[..1]).await.unwrap(), RowId(9));
    assert_eq!(store.mark(&now).await.unwrap(), RowId(7), "the lowest of all");
    store.renew("second", LONG, &marks(&now, 100)).await.unwrap();
    assert_eq!(store.mark(&now).await.unwrap(), RowId(7), "it holds none of them");
}

#[tokio::test]
async fn a_lease_that_ran_out_unclaimed_can_be_renewed() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    let claimed = store.claim("first", &[Slot(5)], Duration::ZERO).await.unwrap();
    assert_eq!(store.membership().await.unwrap().taken, []);
    assert_eq!(store.renew("first", LONG, &[]).await.unwrap(), claimed);
    assert_eq!(store.membership().await.unwrap().taken, [(Slot(5), "first".to_owned())]);
    assert_eq!(store.claim("second", &[Slot(5)], LONG).await.unwrap(), []);
}

#[tokio::test]
async fn a_former_owner_deletes_and_buries_nothing() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    write(&fixture.pool, &[event(&fixture.topic, "n-1", "x")]).await;
    let former = store.claim("relay", &all_slots(), Duration::ZERO).await.unwrap();
    let rows = store.pending(&former, &[], EXTENT).await.unwrap();
    let row = &rows[0];
    let dead = Dead { id: row.id, error: "poison", attempts: 1, block: &[] };
    let of = |leases: &[Lease]| *leases.iter().find(|lease| lease.slot == row.slot).unwrap();
    // The same owner once more: the epoch alone tells the two apart.
    let now = store.claim("relay", &all_slots(), LONG).await.unwrap();
    assert_eq!(store.delete("relay", &[of(&former)], &[row.seen()], false).await.unwrap(), 0);
    assert!(!store.bury("relay", of(&former), dead).await.unwrap());
    assert_eq!(store.delete("another", &[of(&now)], &[row.seen()], false).await.unwrap(), 0);
    assert_eq!(fixture.pending().await, 1);
    assert_eq!(store.delete("relay", &now, &[row.seen()], false).await.unwrap(), 1);
}

#[tokio::test]
async fn a_batch_keeps_to_its_slots_and_its_extent() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    let events: Vec<_> = (0..100).map(|n| event(&fixture.topic, &format!("n-{}", n % 40), vec![b'x'; 100])).collect();
    write(&fixture.pool, &events).await;
    let leases = store.claim("relay", &all_slots(), LONG).await.unwrap();
    for path in [Path::Slots { each: 100 }, Path::Ids { most: 100 }] {
        let wide = Extent { path, rows: 100, bytes: 1_000_000, ..EXTENT };
        keeps_to_its_extent(&store, &leases, wide).await;
    }
    let rows = store.pending(&leases[7..], &[], Extent { path: Path::Ids { most: 50 }, ..EXTENT }).await.unwrap();
    assert!(rows.iter().all(|row| row.slot.0 >= 7 && row.id.0 <= 50), "{rows:?}");
}

async fn keeps_to_its_extent(store: &Store, leases: &[Lease], wide: Extent) {
    let all = store.pending(leases, &[], wide).await.unwrap();
    assert_eq!(all.len(), 100);
    assert!(all.is_sorted_by_key(|row| row.id));
    assert_eq!(store.pending(leases, &[], Extent { rows: 30, ..wide }).await.unwrap(), all[..30]);
    assert_eq!(store.pending(leases, &[], Extent { bytes: 950, ..wide }).await.unwrap(), all[..10]);
    let one_slot = store.pending(&leases[7..8], &[], wide).await.unwrap();
    assert!(one_slot.iter().all(|row| row.slot == leases[7].slot));
    assert_eq!(store.pending(leases, &[], Extent { above: all[9].id, ..wide }).await.unwrap(), all[10..]);
    let waiting = &all[0].aggregate;
    let others = store.pending(leases, &[waiting], wide).await.unwrap();
    assert_eq!(others, all.iter().filter(|row| row.aggregate != *waiting).cloned().collect::<Vec<_>>());
}

const ROUNDS: i64 = 20;

/// The statistics say that the outbox holds one row; a plan that trusts them would read all of it, for each slot.
#[tokio::test]
async fn reading_and_deleting_never_scan_the_whole_outbox() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    write(&fixture.pool, &[event(&fixture.topic, "n-1", "x")]).await;
    sqlx::raw_sql("ANALYZE outbox").execute(&fixture.pool).await.unwrap();
    let leases = store.claim("relay", &all_slots(), LONG).await.unwrap();
    for _ in 0..ROUNDS {
        store.pending(&leases, &[], Extent { path: Path::Ids { most: 100 }, ..EXTENT }).await.unwrap();
        let rows = store.pending(&leases, &[], EXTENT).await.unwrap();
        let unknown = Seen { id: RowId(rows[0].id.0 + 1), ..rows[0].seen() };
        store.delete("relay", &leases, &[unknown], false).await.unwrap();
    }
    // A session's counts are published when it ends.
    store.close().await;
    let scans = "SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE relname = 'outbox'";
    let sequential = eventually("the scans are counted", || async {
        let (sequential, indexed): (i64, i64) = sqlx::query_as(scans).fetch_one(&fixture.pool).await.unwrap();
        (indexed > 0).then_some(sequential)
    })
    .await;
    // Building the indexes counts as a few; a plan that scans would add one a round at least.
    assert!(sequential < ROUNDS, "{sequential} scans in {ROUNDS} rounds");
}

/// Rows that were deleted stay for as long as someone sees them; deleting more of them walks over none.
#[tokio::test]
async fn deleting_goes_straight_to_its_rows() {
    let fixture = Fixture::new().await;
    let store = fixture.store();
    let mut onlooker = fixture.pool.begin().await.unwrap();
    sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox").execute(&mut *onlooker).await.unwrap();
    let leases = store.claim("relay", &all_slots(), LONG).await.unwrap();
    let wide = Extent { rows: 100, path: Path::Slots { each: 100 }, bytes: 1_000_000, ..EXTENT };
    let mut above = RowId(0);
    for round in 0..ROUNDS {
        let events: Vec<_> = (0..100).map(|n| event(&fixture.topic, &format!("n-{n}"), round.to_string())).collect();
        write(&fixture.pool, &events).await;
        let rows = store.pending(&leases, &[], Extent { above, ..wide }).await.unwrap();
        above = rows[rows.len() - 1].id;
        let seen: Vec<_> = rows.iter().map(Row::seen).collect();
        assert_eq!(store.delete("relay", &leases, &seen, false).await.unwrap(), 100);
    }
    store.close().await;
    onlooker.rollback().await.unwrap();
    let read = "SELECT idx_tup_read, (SELECT n_tup_del FROM pg_stat_user_tables WHERE relname = 'outbox')
                FROM pg_stat_user_indexes WHERE indexrelname = 'outbox_pkey'";
    let walked = eventually("the deletions are counted", || async {
        let (walked, deleted): (i64, i64) = sqlx::query_as(read).fetch_one(&fixture.pool).await.unwrap();
        (deleted == ROUNDS * 100).then_some(walked)
    })
    .await;
    assert_eq!(walked, 0, "entries of the primary key");
}
