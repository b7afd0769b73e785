use std::time::{Duration, SystemTime};

use events::{Aggregate, Timestamp};
use notifier::domain::access::Scope;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stream::OutRecord;
use testkit::{eventually, temperature};

use crate::access::add_key;
use crate::world::{Replica, World, problem};

const MINUTE: i64 = 60_000_000;
const QUARTER: i64 = 15 * MINUTE;

/// The beginning of a quarter of an hour that ended an hour ago, so many quarters later.
fn quarter(number: i64) -> Timestamp {
    let now = Timestamp::from(SystemTime::now()).as_micros();
    Timestamp::from_micros((now / QUARTER - 5 + number) * QUARTER)
}

fn minute(from: Timestamp, number: i64) -> Timestamp {
    Timestamp::from_micros(from.as_micros() + number * MINUTE)
}

/// A window of `minutes` with two readings a minute, one below and one above `mean`.
fn window(start: Timestamp, minutes: i64, mean: f64) -> Aggregate {
    Aggregate {
        tenant: "default".into(),
        device_id: "sensor-01".into(),
        group_id: Some("hall-1".into()),
        metric: "temperature".into(),
        window_start: start,
        window_end: minute(start, minutes),
        revision: 0,
        count: 2 * minutes,
        mean,
        min: mean - 1.0,
        max: mean + 1.0,
        last: mean + 1.0,
        stddev: 1.0,
        expected: Some(mean),
        band_low: Some(mean - 2.0),
        band_high: Some(mean + 2.0),
        max_score: Some(0.1),
        anomaly_id: None,
    }
}

async fn kept(world: &World, windows: i64) {
    eventually("the windows are kept", || async { (world.count("device_history").await == windows).then_some(()) }).await;
}

async fn points(replica: &Replica, query: &str) -> Vec<Value> {
    let history = replica.get(&format!("/v1/devices/sensor-01/history?metric=temperature&{query}")).await;
    history["data"].as_array().unwrap().clone()
}

fn column(points: &[Value], name: &str) -> Vec<f64> {
    points.iter().map(|point| point[name].as_f64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_given_in_steps_of_the_windows_there_are() {
    let world = World::new().await;
    let replica = world.start().await;
    let begin = quarter(0);
    let anomaly_id = "5f0e0b6f-6a5b-5d0b-9a43-0d6b1f2c3e4f".to_owned();
    // Two quarters by the minute, but only the first of them by the quarter.
    let mut windows: Vec<_> = (0..30).map(|number| window(minute(begin, number), 1, number as f64)).collect();
    windows[7] = Aggregate { anomaly_id: Some(anomaly_id.clone()), max_score: Some(0.9), ..windows[7].clone() };
    windows.push(Aggregate { max_score: Some(0.9), ..window(begin, 15, 7.0) });
    // Overlaps both: not needed.
    windows.push(window(minute(begin, 5), 15, 12.0));
    world.kit.publish(&windows).await;
    kept(&world, 31).await;

    let between = format!("from={begin}&to={}", minute(begin, 30));
    let by_the_minute = points(&replica, &format!("{between}&step=1m")).await;
    assert_eq!(column(&by_the_minute, "mean"), (0..30).map(f64::from).collect::<Vec<_>>());
    assert_eq!((&by_the_minute[7]["anomaly_id"], &by_the_minute[8]["anomaly_id"]), (&json!(anomaly_id), &Value::Null));

    // Five minutes: 0..=4 and so on, of values one apart and each with a deviation of one.
    let by_five = points(&replica, &format!("{between}&step=5m")).await;
    assert_eq!(column(&by_five, "mean"), [2.0, 7.0, 12.0, 17.0, 22.0, 27.0]);
    assert_eq!((column(&by_five, "min")[1], column(&by_five, "max")[1], column(&by_five, "last")[1]), (4.0, 10.0, 10.0));
    assert_eq!((by_five[1]["count"].as_i64(), by_five[1]["max_score"].as_f64()), (Some(10), Some(0.9)));
    assert_eq!((by_five[1]["anomaly_id"].as_str(), by_five[1]["at"].as_str()), (Some(&*anomaly_id), Some(&*minute(begin, 5).to_string())));
    assert!((column(&by_five, "stddev")[0] - 3.0_f64.sqrt()).abs() < 1e-9, "{by_five:?}");
    assert_eq!((column(&by_five, "expected")[0], column(&by_five, "band_low")[0], column(&by_five, "band_high")[0]), (2.0, 0.0, 4.0));

    // The quarter's window for the quarter that has one, and minutes for the one that has none yet.
    let by_the_quarter = points(&replica, &format!("{between}&step=15m")).await;
    assert_eq!((column(&by_the_quarter, "mean"), column(&by_the_quarter, "count")), (vec![7.0, 22.0], vec![30.0, 30.0]));
    assert_eq!(column(&by_the_quarter, "stddev")[..1], [1.0], "its own window, not a sum of minutes");

    let history = replica.get(&format!("/v1/devices/sensor-01/history?metric=temperature&{between}")).await;
    assert_eq!((&history["step"], &history["from"], &history["device_id"]), (&json!("1m"), &json!(begin.to_string()), &json!("sensor-01")));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_window_the_highest_revision_stays_whatever_comes_late_or_again() {
    let world = World::new().await;
    let replica = world.start().await;
    let begin = quarter(0);
    let revision = |revision, mean| Aggregate { revision, ..window(begin, 1, mean) };
    let query = format!("from={begin}&to={}", minute(begin, 1));
    world.kit.publish(&[revision(0, 1.0), revision(2, 3.0), revision(1, 2.0)]).await;
    let means = async |expected: f64| {
        eventually(&format!("the mean is {expected}"), || async {
            let points = points(&replica, &query).await;
            (column(&points, "mean") == [expected]).then_some(())
        })
        .await;
    };
    kept(&world, 1).await;
    means(3.0).await;
    world.kit.publish(&[revision(1, 2.0), revision(2, 9.0), window(minute(begin, 1), 1, 5.0)]).await;
    kept(&world, 2).await;
    means(3.0).await;
    world.kit.publish(&[revision(3, 4.0)]).await;
    means(4.0).await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_partitions_and_those_beyond_the_time_kept_go() {
    let world = World::new().await;
    let replica = world.start_with(&[("NOTIFIER__HISTORY__KEEP", "5d")]).await;
    let days = |number: u64| quarter(0).saturating_sub(Duration::from_hours(24 * number));
    world.kit.publish(&(0..9).map(|number| window(days(number), 1, 1.0)).collect::<Vec<_>>()).await;
    kept(&world, 5).await;
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'device_history'::regclass";
    assert_eq!(sqlx::query_scalar::<_, i64>(partitions).fetch_one(&world.pool).await.unwrap(), 5);
    replica.stop().await;

    let replica = world.start_with(&[("NOTIFIER__HISTORY__KEEP", "1d")]).await;
    let day = |at: Timestamp| at.as_micros() / (24 * 60 * MINUTE);
    let yesterday = day(Timestamp::from(SystemTime::now())) - 1;
    let stay = (0..5).filter(|number| day(days(*number)) >= yesterday).count() as i64;
    eventually("the days before yesterday are gone", || async { (world.count("device_history").await == stay).then_some(()) }).await;
    assert_eq!(sqlx::query_scalar::<_, i64>(partitions).fetch_one(&world.pool).await.unwrap(), stay);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_window_is_a_dead_letter_and_the_rest_is_kept() {
    let world = World::new().await;
    let replica = world.start().await;
    let begin = quarter(0);
    let topic = world.kit.kafka.prefixed("telemetry.aggregates.v1");
    world.kit.publish_records(vec![OutRecord::new(topic, Some(b"hall-1".to_vec()), Some(b"nonsense".to_vec()))]).await;
    let ahead = window(minute(begin, 3 * 24 * 60), 1, 1.0);
    world.kit.publish(&[Aggregate { mean: f64::NAN, ..window(begin, 1, 1.0) }, ahead, window(minute(begin, 1), 1, 1.0)]).await;
    kept(&world, 1).await;
    let letters = testkit::capture(&world.kit, "dlq.notifier-history.v1").records(3).await;
    let mut reasons: Vec<_> = letters.iter().map(|letter| letter.header(stream::dlq::REASON).unwrap_or_default()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons[1..], ["not_finite", "window_ahead"]);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_of_one_tenant_and_what_is_asked_wrongly_is_a_problem() {
    let world = World::new().await;
    let replica = world.start().await;
    add_key(&world, "fw_stranger_00000000000", "acme", &[Scope::Read], None).await;
    let begin = quarter(0);
    world.kit.publish(&[window(begin, 1, 1.0)]).await;
    kept(&world, 1).await;
    let path = format!("/v1/devices/sensor-01/history?metric=temperature&from={begin}");
    assert_eq!(replica.ask(Method::GET, &path).await.status(), StatusCode::OK);
    let theirs = replica.request(Method::GET, &path).bearer_auth("fw_stranger_00000000000").send().await.unwrap();
    problem(theirs, StatusCode::NOT_FOUND).await;
    problem(replica.ask(Method::GET, "/v1/devices/nobody/history?metric=temperature").await, StatusCode::NOT_FOUND).await;
    problem(replica.ask(Method::GET, "/v1/devices/a%00b/history?metric=temperature").await, StatusCode::NOT_FOUND).await;
    // A device that is there and has no history.
    world.kit.publish(&[temperature("sensor-02", begin, 1.0)]).await;
    eventually("the device is known", || async {
        let response = replica.ask(Method::GET, "/v1/devices/sensor-02/history?metric=temperature").await;
        (response.status() == StatusCode::OK).then_some(response)
    })
    .await;
    for (query, parameter) in [
        ("", "metric"),
        ("metric=temperature&step=soon", "step"),
        ("metric=temperature&step=1s", "step"),
        ("metric=temperature&from=yesterday", "from"),
        ("metric=temperature&to=2020-01-01T00:00:00Z&from=2020-01-01T00:00:00Z", "to"),
        ("metric=temperature&nonsense=1", "nonsense"),
    ] {
        let found =
            problem(replica.ask(Method::GET, &format!("/v1/devices/sensor-01/history?{query}")).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(found["errors"][0]["parameter"], parameter, "{query}: {found}");
    }
    replica.stop().await;
}
