use events::topics;
use stream::{Poison, Position, Record, dlq};
use testkit::{Kit, capture};

use crate::{fieldctl, succeed};

const SERVICE: &str = "notifier";

async fn kit() -> Kit {
    Kit::with_topics(&[&topics::dlq(SERVICE), &topics::retry(SERVICE)]).await
}

/// A letter of a record that stood in partition `partition` of the alerts; `redrives` times it was tried again.
fn letter(kit: &Kit, key: &str, partition: i32, reason: &'static str, redrives: u32) -> stream::OutRecord {
    let headers = vec![("ce_id".to_owned(), Some(key.as_bytes().to_vec()))];
    let position = Position { topic: kit.kafka.prefixed(topics::TEMPERATURE_ALERTS), partition, offset: 17 };
    let (key, value) = (Some(key.as_bytes().to_vec()), Some(b"\x07broken".to_vec()));
    let record = Record { position, timestamp: None, key, value, headers };
    let letter = dlq::letter(&kit.kafka, SERVICE, &record, &Poison::new(reason, "it is"));
    if redrives == 0 { letter } else { letter.header(dlq::REDRIVES, Some(redrives.to_string().as_bytes())) }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_listed_by_filter_and_shown_whole() {
    let kit = kit().await;
    let letters = [("a", 0, "bad_magic"), ("b", 1, "bad_magic"), ("c", 2, "schema_unknown")];
    kit.publish_records(letters.map(|(key, partition, reason)| letter(&kit, key, partition, reason, 0)).to_vec()).await;

    assert_eq!(succeed(&kit, "dlq list --service notifier --json").await.json().len(), 3);
    assert_eq!(succeed(&kit, "dlq list --service notifier --json --limit 2 --since 10m").await.json().len(), 2);
    assert_eq!(succeed(&kit, "dlq list --service notifier --json --reason bad_magic --key b").await.json()[0]["key"], "b");
    let table = succeed(&kit, "dlq list --service notifier --reason schema_unknown").await.out;
    assert!(table.lines().count() == 2 && table.contains("schema_unknown") && table.contains("alerts.temperature.v1 2:17"), "{table}");

    let listed = succeed(&kit, "dlq list --service notifier --json --key c").await.json().remove(0);
    let position = listed["position"].as_str().unwrap();
    let shown = succeed(&kit, &format!("dlq show --service notifier {position} --json")).await.json().remove(0);
    assert_eq!((&shown["encoding"], &shown["value"]), (&"hex".into(), &"0762726f6b656e".into()));
    assert_eq!((&shown["headers"]["ce_id"], &shown["origin"]["partition"], &shown["service"]), (&"c".into(), &2.into(), &SERVICE.into()));
    assert!(succeed(&kit, &format!("dlq show --service notifier {position}")).await.out.contains("dlq-reason: schema_unknown"));
    let nowhere = fieldctl(&kit, "dlq show --service notifier 0:99").await;
    assert!(nowhere.status == fieldctl::FAILURE && nowhere.err.contains("no offset 0:99"), "{nowhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_goes_to_the_partition_it_came_from_counts_and_goes_on_where_it_stood() {
    let (kit, folder) = (kit().await, tempfile::tempdir().unwrap());
    let letters =
        [("a", 0, 0), ("b", 1, 2), ("c", 2, 3)].map(|(key, partition, redrives)| letter(&kit, key, partition, "bad_magic", redrives));
    kit.publish_records(letters.to_vec()).await;

    let rehearsed = succeed(&kit, "dlq redrive --service notifier --dry-run").await.out;
    assert!(rehearsed.contains("2 would be redriven") && rehearsed.contains("1 quarantined"), "{rehearsed}");
    assert_eq!(capture(&kit, &topics::retry(SERVICE)).rest().await.len(), 0);
    let mut retry = capture(&kit, &topics::retry(SERVICE));

    let redrive = format!("dlq redrive --service notifier --rate 100 --resume {}", folder.path().join("position.json").display());
    assert!(succeed(&kit, &redrive).await.out.starts_with("2 redriven"));
    let mut retried = retry.records(2).await;
    retried.sort_by_key(|record| record.position.partition);
    let places: Vec<_> = retried.iter().map(|record| (record.position.partition, record.header(dlq::REDRIVES).unwrap())).collect();
    assert_eq!(places, [(0, "1"), (1, "3")]);
    assert_eq!(retried[0].value.as_deref(), Some(b"\x07broken".as_slice()));
    assert_eq!((retried[0].header("ce_id"), retried[0].header(dlq::REASON)), (Some("a"), Some("bad_magic")));

    assert!(succeed(&kit, &redrive).await.out.starts_with("0 redriven"));
    kit.publish_records(vec![letter(&kit, "d", 0, "bad_magic", 0)]).await;
    assert!(succeed(&kit, &redrive).await.out.starts_with("1 redriven"));
    assert_eq!(retry.records(1).await[0].header("ce_id"), Some("d"));
    let other = fieldctl(&kit, &format!("{redrive} --key d")).await;
    assert!(other.status == fieldctl::FAILURE && other.err.contains("other letters"), "{other:?}");

    assert!(succeed(&kit, "dlq redrive --service notifier --key c --include-quarantined").await.out.starts_with("1 redriven"));
    assert_eq!(retry.records(1).await[0].header(dlq::REDRIVES), Some("4"));
    assert_eq!(capture(&kit, &topics::retry(SERVICE)).rest().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_needs_consent_and_stops_at_its_point() {
    let kit = kit().await;
    kit.publish_records((0..4).map(|_| letter(&kit, "same", 0, "bad_magic", 0)).collect()).await;
    let listed = succeed(&kit, "dlq list --service notifier --json").await.json();
    let partition = listed[0]["partition"].as_i64().unwrap();

    let asked = fieldctl(&kit, "dlq purge --service notifier").await;
    assert!(asked.status == fieldctl::USAGE && asked.err.contains("--yes"), "{asked:?}");
    assert_eq!(succeed(&kit, "dlq list --service notifier --json").await.json().len(), 4);

    succeed(&kit, &format!("dlq purge --service notifier --before {partition}:3 --yes")).await;
    assert_eq!(succeed(&kit, "dlq list --service notifier --json").await.json().len(), 1);
    succeed(&kit, "dlq purge --service notifier --yes").await;
    assert_eq!(succeed(&kit, "dlq list --service notifier --json").await.json().len(), 0);
    assert!(succeed(&kit, "dlq purge --service notifier --yes").await.out.contains("nothing to delete"));
}
