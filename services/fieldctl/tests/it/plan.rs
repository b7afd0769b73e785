use events::topics::READINGS;
use testkit::{Kit, capture};

use crate::{fieldctl, succeed};

const DEVICES: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn the_fullest_partition_is_that_of_kafka_itself() {
    let kit = Kit::as_declared(&[READINGS]).await;
    succeed(&kit, &format!("simulate --into {READINGS} --devices {DEVICES} --count {DEVICES} --seed 1")).await;
    let records = capture(&kit, READINGS).records(DEVICES).await;
    let mut counts = std::collections::BTreeMap::<i32, usize>::new();
    for record in &records {
        *counts.entry(record.position.partition).or_default() += 1;
    }
    let fullest = *counts.values().max().unwrap() as f64 / DEVICES as f64;
    let planned = succeed(&kit, &format!("plan --devices {DEVICES} --rate 60 --json")).await.json().remove(0);
    assert!((planned["fullest_partition"].as_f64().unwrap() - fullest).abs() < 1e-9, "{planned} {counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_one_partition_cannot_follow_is_no_plan() {
    let kit = Kit::with_topics(&[]).await;
    let ran = fieldctl(&kit, "plan --devices 100 --rate 1000000").await;
    assert!(ran.status == fieldctl::FAILURE && ran.out.contains("not possible"), "{ran:?}");
    let ran = succeed(&kit, "plan --devices 10000 --rate 1000").await;
    assert!(ran.out.contains("anomaly-detector") && ran.out.contains("partitions: 12"), "{ran:?}");
}
