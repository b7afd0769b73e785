use events::topics::{READINGS, TEMPERATURE_ALERTS};
use stream::OutRecord;
use testkit::Kit;

use crate::{fieldctl, succeed};

#[tokio::test(flavor = "multi_thread")]
async fn records_are_shown_decoded_with_key_place_and_headers() {
    let kit = Kit::with_topics(&[READINGS]).await;
    succeed(&kit, &format!("simulate --into {READINGS} --devices 3 --count 30 --seed 1 --excursions=0")).await;
    let shown = succeed(&kit, &format!("tail {READINGS} --from-beginning --max 30 --timeout 20s --json")).await.json();
    assert_eq!(shown.len(), 30);
    for record in &shown {
        assert_eq!((&record["encoding"], &record["value"]["device_id"]), (&"avro".into(), &record["key"]), "{record}");
        assert_eq!((&record["headers"]["ce_type"], record["partition"].is_i64()), (&"fieldwatch.reading.v1".into(), true));
        assert!(record["value"]["value"].as_f64().is_some_and(f64::is_finite));
    }
    let of_one = succeed(&kit, &format!("tail {READINGS} --since 10m --key sim-002 --max 10 --timeout 20s")).await.out;
    assert!(of_one.lines().count() == 20 && !of_one.contains("sim-001") && of_one.contains("ce_id="), "{of_one}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decoded_is_shown_as_it_is() {
    let kit = Kit::with_topics(&[READINGS]).await;
    let topic = kit.kafka.prefixed(READINGS);
    let record = |value: Option<&[u8]>| OutRecord::new(&topic, Some(b"k".to_vec()), value.map(<[u8]>::to_vec));
    let unknown_schema = b"\0\xff\xff\xff\xffbody";
    kit.publish_records(vec![record(Some(b"plain text")), record(Some(&[7, 0xff])), record(Some(unknown_schema)), record(None)]).await;
    let shown = succeed(&kit, &format!("tail {READINGS} --from-beginning --max 4 --timeout 20s --json")).await.json();
    let encodings: Vec<&str> = shown.iter().map(|record| record["encoding"].as_str().unwrap()).collect();
    assert_eq!(encodings, ["text", "hex", "hex", "none"]);
    assert_eq!((&shown[0]["value"], &shown[1]["value"]), (&"plain text".into(), &"07ff".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_records_than_asked_within_the_time_is_a_failure() {
    let kit = Kit::with_topics(&[TEMPERATURE_ALERTS]).await;
    let waited = fieldctl(&kit, &format!("tail {TEMPERATURE_ALERTS} --max 1 --timeout 300ms")).await;
    assert_eq!((waited.status, waited.out.as_str(), waited.err.as_str()), (fieldctl::FAILURE, "", ""));
    let missing = fieldctl(&kit, "tail no.such.topic --max 1").await;
    assert!(missing.status == fieldctl::FAILURE && missing.err.contains("no.such.topic"), "{missing:?}");
}
