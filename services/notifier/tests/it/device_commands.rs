//! Commands to devices: issued through the outbox, followed by their results.

use events::{BreakerState, Command, CommandOutcome, CommandResult, Timestamp, headers};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stream::{Cause as Origin, EventWriter};
use testkit::{capture, eventually};

use crate::world::{Replica, World, problem};

pub(crate) fn set(device_id: &str) -> Value {
    json!({ "device_id": device_id, "name": "set", "arguments": { "speed": 3 }, "desired_state": { "speed": 3 } })
}

/// Issues a command and gives what is answered.
pub(crate) async fn issue(replica: &Replica, body: &Value) -> Value {
    let answer = replica.post("/v1/commands", body).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    answer.json().await.unwrap()
}

/// What device-commands would say of a command, `second`s after it was issued.
pub(crate) fn result(command: &Value, outcome: CommandOutcome, attempt: i32, second: u64) -> CommandResult {
    let issued_at = Timestamp::from_rfc3339(command["issued_at"].as_str().unwrap()).unwrap();
    CommandResult {
        tenant: command["tenant"].as_str().unwrap().into(),
        command_id: command["command_id"].as_str().unwrap().parse().unwrap(),
        device_id: command["device_id"].as_str().unwrap().into(),
        name: command["name"].as_str().unwrap().into(),
        scene_id: command["scene_id"].as_str().map(|id| id.parse().unwrap()),
        outcome,
        detail: "as the test has it".into(),
        attempt,
        breaker: BreakerState::Closed,
        at: issued_at.saturating_add(std::time::Duration::from_secs(second)),
    }
}

pub(crate) async fn becomes(replica: &Replica, command: &Value, state: &str) -> Value {
    let path = format!("/v1/commands/{}", command["command_id"].as_str().unwrap());
    eventually(&format!("the command is {state}"), || async {
        let found = replica.get(&path).await;
        (found["state"] == state).then_some(found)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_a_row_and_an_event_under_its_devices_key() {
    let world = World::new().await;
    let replica = world.start().await;
    let answer = replica.post("/v1/commands", &set("fan-01")).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let issued: Value = answer.json().await.unwrap();
    assert_eq!((&issued["state"], &issued["is_final"], &issued["issued_by"]), (&json!("PENDING"), &json!(false), &json!("bootstrap")));
    let followed = replica.get(&location).await;
    assert_eq!((&followed["command_id"], &followed["history"]), (&issued["command_id"], &json!([])));
    let mut without_history = followed.clone();
    without_history.as_object_mut().unwrap().remove("history");
    assert_eq!(without_history, issued);

    let key = sqlx::query_scalar::<_, String>("SELECT aggregate_id FROM outbox").fetch_one(&world.pool).await.unwrap();
    assert_eq!(key, events::identity::kafka_key("default", "fan-01"));
    assert_eq!(world.relay().await, 1);
    let mut topic = capture(&world.kit, "commands.v1");
    let record = topic.records(1).await.remove(0);
    assert_eq!(record.key.as_deref(), Some(b"fan-01".as_slice()));
    assert_eq!(record.header(headers::CE_TYPE), Some("fieldwatch.command.v1"));
    assert_eq!(record.header(headers::CE_ID), issued["command_id"].as_str());
    let command: Command = topic.event(&record).await;
    assert_eq!((command.arguments.as_str(), command.desired_state.as_deref()), (r#"{"speed":3}"#, Some(r#"{"speed":3}"#)));
    assert_eq!((command.issued_at.to_string().as_str(), command.scene_id), (issued["issued_at"].as_str().unwrap(), None));
    assert_eq!(command.expires_at.as_micros() - command.issued_at.as_micros(), 60_000_000);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_move_a_command_on_and_its_first_end_stays() {
    let world = World::new().await;
    let replica = world.start().await;
    let issued = issue(&replica, &set("fan-01")).await;
    let accepted = result(&issued, CommandOutcome::Accepted, 1, 1);
    world.kit.publish(std::slice::from_ref(&accepted)).await;
    let sent = becomes(&replica, &issued, "ACCEPTED").await;
    assert_eq!((&sent["is_final"], &sent["attempt"]), (&json!(false), &json!(1)));
    // Once more, the next attempt, the end; then the same again, and another end that comes too late.
    let verified = result(&issued, CommandOutcome::Verified, 2, 3);
    let late = result(&issued, CommandOutcome::TimedOut, 2, 9);
    world.kit.publish(&[accepted, result(&issued, CommandOutcome::Accepted, 2, 2), verified.clone(), verified, late]).await;
    let whole = eventually("all of its history is there", || async {
        let found = replica.get(&format!("/v1/commands/{}", issued["command_id"].as_str().unwrap())).await;
        (found["history"].as_array().unwrap().len() == 4).then_some(found)
    })
    .await;
    let outcomes: Vec<&str> = whole["history"].as_array().unwrap().iter().map(|result| result["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["ACCEPTED", "ACCEPTED", "VERIFIED", "TIMED_OUT"]);
    assert_eq!((&whole["state"], &whole["is_final"], &whole["attempt"]), (&json!("VERIFIED"), &json!(true), &json!(2)));
    assert_eq!((&whole["breaker"], &whole["detail"]), (&json!("CLOSED"), &json!("as the test has it")));
    assert_eq!(world.count("notification").await, 0);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_is_a_notification_until_one_of_its_name_is_verified() {
    let world = World::new().await;
    let replica = world.start().await;
    let issued = [issue(&replica, &set("fan-01")).await, issue(&replica, &set("fan-01")).await, issue(&replica, &set("fan-01")).await];
    let writer = EventWriter::new("device-commands", &world.kit.kafka).with::<CommandResult>(&world.kit.registry).await.unwrap();
    let origin = Origin { correlation_id: Some("the-command".into()), ..Origin::default() };
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok();
    let failed = CommandResult { detail: "the motor is stuck".into(), ..result(&issued[0], CommandOutcome::Failed, 1, 1) };
    let repeated = writer.record(&failed, &origin, trace).unwrap();
    world.kit.publish_records(vec![repeated.clone(), repeated]).await;
    world.kit.publish(&[result(&issued[1], CommandOutcome::TimedOut, 3, 2)]).await;
    let open = eventually("both are folded into one", || async {
        let page = replica.get("/v1/notifications?kind=command").await;
        let found = page["data"].as_array().unwrap().first().cloned();
        found.filter(|found| found["occurrences"] == 2)
    })
    .await;
    assert_eq!((&open["state"], &open["severity"], &open["device_id"]), (&json!("OPEN"), &json!("WARNING"), &json!("fan-01")));
    assert_eq!((&open["dedup_key"], &open["labels"]["outcome"]), (&json!("command/fan-01/set"), &json!("TIMED_OUT")));
    assert_eq!(open["title"], "fan-01: command set was not carried out in time");
    let row = "SELECT headers ->> 'correlation-id' FROM outbox WHERE aggregate_type = 'notification' ORDER BY id LIMIT 1";
    let correlation: String = sqlx::query_scalar(row).fetch_one(&world.pool).await.unwrap();
    assert_eq!(correlation, "the-command");

    world.kit.publish(&[result(&issued[2], CommandOutcome::Verified, 1, 4)]).await;
    let page = eventually("it is resolved", || async {
        let page = replica.get("/v1/notifications?kind=command&state=RESOLVED").await;
        (page["data"].as_array().unwrap().len() == 1).then_some(page)
    })
    .await;
    assert_eq!(page["data"][0]["notification_id"], open["notification_id"]);
    let timeline = replica.get("/v1/devices/fan-01/timeline").await;
    assert_eq!(timeline["data"].as_array().unwrap().len(), 3);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_of_a_command_that_is_not_here_is_passed_over() {
    let world = World::new().await;
    let replica = world.start().await;
    let issued = issue(&replica, &set("fan-01")).await;
    let mut unknown = issued.clone();
    unknown["command_id"] = json!(uuid::Uuid::now_v7());
    let mut foreign = result(&issued, CommandOutcome::Failed, 1, 1);
    foreign.tenant = "acme".into();
    world.kit.publish(&[foreign]).await;
    world.kit.publish(&[result(&unknown, CommandOutcome::Failed, 1, 1), result(&issued, CommandOutcome::Verified, 1, 2)]).await;
    let end = becomes(&replica, &issued, "VERIFIED").await;
    eventually("the foreign one was taken too", || async {
        let taken = "SELECT coalesce(sum(next_offset), 0)::bigint FROM stream_position WHERE topic LIKE '%command-results.v1'";
        (sqlx::query_scalar::<_, i64>(taken).fetch_one(&world.pool).await.unwrap() == 3).then_some(())
    })
    .await;
    assert_eq!(end["history"].as_array().unwrap().len(), 1);
    assert_eq!((world.count("notification").await, world.dead_letters().await), (0, Vec::new()));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_asked_for_twice_under_one_key_is_issued_once() {
    let world = World::new().await;
    let (replica, other) = (world.start().await, world.start().await);
    let first = replica.post_once("/v1/commands", &set("fan-01"), "k1").await;
    assert_eq!((first.status(), first.headers().get("idempotency-replayed")), (StatusCode::ACCEPTED, None));
    let first: Value = first.json().await.unwrap();
    let again = other.post_once("/v1/commands", &set("fan-01"), "k1").await;
    assert_eq!((again.status(), again.headers()["idempotency-replayed"].to_str().unwrap()), (StatusCode::ACCEPTED, "true"));
    assert_eq!(again.headers()["location"].to_str().unwrap(), format!("/v1/commands/{}", first["command_id"].as_str().unwrap()));
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    problem(replica.post_once("/v1/commands", &set("fan-02"), "k1").await, StatusCode::UNPROCESSABLE_ENTITY).await;

    let asked = (0..12).map(|turn| if turn % 2 == 0 { &replica } else { &other }).map(async |one: &Replica| {
        let answer = one.post_once("/v1/commands", &set("fan-01"), "k2").await;
        answer.status()
    });
    let statuses = futures::future::join_all(asked).await;
    assert!(statuses.iter().all(|status| [StatusCode::ACCEPTED, StatusCode::CONFLICT].contains(status)), "{statuses:?}");
    assert_eq!((world.count("device_command").await, world.count("outbox").await), (2, 2));
    replica.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_another_tenant_is_not_there_and_what_is_wrong_with_one_is_told() {
    let world = World::new().await;
    let replica = world.start().await;
    let issued = issue(&replica, &set("fan-01")).await;
    let (theirs, reader) = ("fw_another-tenants-key-0123456789", "fw_a-reader-that-may-not-write-01");
    for (key, tenant, scopes) in [(theirs, "acme", &["read", "write"][..]), (reader, "default", &["read"][..])] {
        sqlx::query("INSERT INTO api_key (key_id, key_hash, tenant, name, scopes) VALUES ($1, sha256($2), $3, 'k', $4)")
            .bind(uuid::Uuid::new_v4())
            .bind(key.as_bytes())
            .bind(tenant)
            .bind(scopes)
            .execute(&world.pool)
            .await
            .unwrap();
    }
    let path = format!("/v1/commands/{}", issued["command_id"].as_str().unwrap());
    let as_them = |path: &str, key: &str| replica.request(Method::GET, path).bearer_auth(key).send();
    problem(as_them(&path, theirs).await.unwrap(), StatusCode::NOT_FOUND).await;
    let listed: Value = as_them("/v1/commands", theirs).await.unwrap().json().await.unwrap();
    assert_eq!(listed["data"], json!([]));
    assert_eq!(as_them(&path, reader).await.unwrap().status(), StatusCode::OK);
    let sent = replica.request(Method::POST, "/v1/commands").bearer_auth(reader).json(&set("fan-01")).send().await.unwrap();
    problem(sent, StatusCode::FORBIDDEN).await;
    let theirs = replica.request(Method::POST, "/v1/commands").bearer_auth(theirs).json(&set("fan-01")).send().await.unwrap();
    assert_eq!(theirs.json::<Value>().await.unwrap()["tenant"], "acme");
    let keys: Vec<String> = sqlx::query_scalar("SELECT aggregate_id FROM outbox ORDER BY id").fetch_all(&world.pool).await.unwrap();
    assert_eq!(keys, ["fan-01", "acme/fan-01"]);

    for (body, pointer) in [
        (json!({ "name": "set" }), "/device_id"),
        (json!({ "device_id": "hall/fan", "name": "set" }), "/device_id"),
        (json!({ "device_id": "fan-01" }), "/name"),
        (json!({ "device_id": "fan-01", "name": "set", "expires_in": "25h" }), "/expires_in"),
        (json!({ "device_id": "fan-01", "name": "set", "arguments": { "a": "x".repeat(20_000) } }), "/arguments"),
        (json!({ "device_id": "fan-01", "name": "set", "arguments": [1] }), ""),
        (json!({ "device_id": "fan-01", "name": "set", "typo": 1 }), ""),
    ] {
        let refused = problem(replica.post("/v1/commands", &body).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{body}");
    }
    assert_eq!(world.count("device_command").await, 2);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_listed_by_device_and_state_in_pages_latest_first_and_old_ones_go() {
    let world = World::new().await;
    let replica = world.start_with(&[("NOTIFIER__COMMANDS__KEEP", "1h")]).await;
    let mut ids = Vec::new();
    for turn in 0..5 {
        let issued = issue(&replica, &set(if turn % 2 == 0 { "fan-01" } else { "fan-02" })).await;
        ids.insert(0, issued["command_id"].clone());
        if turn == 4 {
            world.kit.publish(&[result(&issued, CommandOutcome::Refused, 0, 1)]).await;
            becomes(&replica, &issued, "REFUSED").await;
        }
    }
    let of = |page: &Value| page["data"].as_array().unwrap().iter().map(|command| command["command_id"].clone()).collect::<Vec<_>>();
    let first = replica.get("/v1/commands?limit=3").await;
    let rest = replica.get(&format!("/v1/commands?limit=3&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!(([of(&first), of(&rest)].concat(), &rest["next_cursor"]), (ids.clone(), &Value::Null));
    assert_eq!(of(&replica.get("/v1/commands?device_id=fan-02").await), [ids[1].clone(), ids[3].clone()]);
    assert_eq!(of(&replica.get("/v1/commands?state=REFUSED&state=FAILED").await), [ids[0].clone()]);
    problem(replica.ask(Method::GET, "/v1/commands?state=DONE").await, StatusCode::BAD_REQUEST).await;

    sqlx::query("UPDATE device_command SET issued_at = now() - interval '2 hours' WHERE device_id = 'fan-01'")
        .execute(&world.pool)
        .await
        .unwrap();
    let store = notifier::adapters::db::Store::new(&world.config(&[]).database).unwrap();
    assert_eq!(store.forget_device_commands(std::time::Duration::from_hours(1)).await.unwrap(), 3);
    assert_eq!((world.count("device_command").await, world.count("device_command_result").await), (2, 0));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_on_every_replica_hear_what_becomes_of_commands() {
    let world = World::new().await;
    let (replica, other) = (world.start().await, world.start().await);
    let issued = issue(&replica, &set("fan-01")).await;
    let filtered = other.request(Method::GET, "/v1/notifications/stream?device_id=fan-02").bearer_auth(crate::world::KEY).send();
    let mut streams = [replica.stream(None).await, other.stream(None).await, crate::world::Events::of(filtered.await.unwrap())];
    for stream in &mut streams {
        assert_eq!(stream.next().await.unwrap().name, "snapshot");
    }
    let second = issue(&replica, &set("fan-02")).await;
    world.kit.publish(&[result(&issued, CommandOutcome::Accepted, 1, 1)]).await;
    for stream in &mut streams[..2] {
        let news = stream.next().await.unwrap();
        // Without an id: a stream that comes back does so from the last notification.
        assert_eq!((news.name.as_str(), news.id.as_str()), ("command", ""));
        assert_eq!((&news.data["command_id"], &news.data["outcome"]), (&issued["command_id"], &json!("ACCEPTED")));
    }
    world.kit.publish(&[result(&second, CommandOutcome::Failed, 1, 1)]).await;
    let news = streams[2].next().await.unwrap();
    assert_eq!((news.name.as_str(), &news.data["command_id"], &news.data["breaker"]), ("command", &second["command_id"], &json!("CLOSED")));
    replica.stop().await;
    other.stop().await;
}
