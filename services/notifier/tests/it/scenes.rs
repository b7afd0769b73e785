//! Scenes: configured, run as one, and followed.

use std::collections::BTreeSet;

use events::{Command, CommandOutcome, Scene};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{capture, eventually};

use crate::device_commands::result;
use crate::world::{KEY, World, problem};

fn evening() -> Value {
    json!({ "description": "after work", "members": [
        { "device_id": "lamp-01", "name": "set", "arguments": { "on": false }, "desired_state": { "on": false } },
        { "device_id": "blind-01", "name": "close", "expires_in": "5m" },
        { "device_id": "lamp-01", "name": "dim", "arguments": { "to": 0 } },
    ]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scene_is_run_as_one_and_its_run_is_the_sum_of_its_members() {
    let world = World::new().await;
    let replica = world.start().await;
    replica.put("/v1/scenes/evening", &evening()).await;
    let answer = replica.post("/v1/scenes/evening", &json!({})).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let run: Value = answer.json().await.unwrap();
    let commands = run["commands"].as_array().unwrap();
    assert_eq!(location, format!("/v1/scene-runs/{}", run["scene_id"].as_str().unwrap()));
    assert!(commands.iter().all(|command| command["scene_id"] == run["scene_id"] && command["state"] == "PENDING"));

    assert_eq!(world.relay().await, 4);
    let scene: Scene = capture(&world.kit, "scenes.v1").events(1).await.remove(0);
    let of_members: Vec<&str> = scene.commands.iter().map(|command| command.device_id.as_str()).collect();
    assert_eq!((scene.name.as_str(), of_members), ("evening", vec!["lamp-01", "blind-01", "lamp-01"]));
    let issued: Vec<Command> = capture(&world.kit, "commands.v1").events(3).await;
    let of_lamp: Vec<&str> = issued.iter().filter(|command| command.device_id == "lamp-01").map(|command| command.name.as_str()).collect();
    assert_eq!(of_lamp, ["set", "dim"]);
    let ids = |commands: &mut dyn Iterator<Item = String>| commands.collect::<BTreeSet<String>>();
    assert_eq!(
        ids(&mut issued.iter().map(|command| command.command_id.to_string())),
        ids(&mut scene.commands.iter().map(|command| command.command_id.to_string()))
    );

    // One fails, the others go on.
    world
        .kit
        .publish(&[
            result(&commands[0], CommandOutcome::Failed, 1, 1),
            result(&commands[1], CommandOutcome::Accepted, 1, 1),
            result(&commands[2], CommandOutcome::Verified, 1, 2),
        ])
        .await;
    let going = eventually("two are over", || async {
        let found = replica.get(&location).await;
        (found["by_state"] == json!({ "ACCEPTED": 1, "FAILED": 1, "VERIFIED": 1 })).then_some(found)
    })
    .await;
    assert_eq!((&going["is_final"], &going["name"], &going["issued_by"]), (&json!(false), &json!("evening"), &json!("bootstrap")));
    let names: Vec<&Value> = going["commands"].as_array().unwrap().iter().map(|command| &command["name"]).collect();
    assert_eq!(names, ["set", "close", "dim"]);
    world.kit.publish(&[result(&commands[1], CommandOutcome::TimedOut, 3, 9)]).await;
    eventually("all are over", || async { (replica.get(&location).await["is_final"] == true).then_some(()) }).await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scene_is_issued_whole_or_not_at_all_and_once_under_one_key() {
    let world = World::new().await;
    let replica = world.start().await;
    replica.put("/v1/scenes/evening", &evening()).await;
    // The outbox refuses the last of its rows: nothing of the run is there.
    let refuse = "ALTER TABLE outbox ADD CONSTRAINT refused CHECK (aggregate_id <> 'blind-01') NOT VALID";
    sqlx::query(refuse).execute(&world.pool).await.unwrap();
    let failed = replica.post_once("/v1/scenes/evening", &json!({}), "k1").await;
    assert!(failed.status().is_client_error() || failed.status().is_server_error(), "{}", failed.status());
    for table in ["scene_run", "device_command", "outbox", "idempotency"] {
        assert_eq!(world.count(table).await, 0, "{table}");
    }
    sqlx::query("ALTER TABLE outbox DROP CONSTRAINT refused").execute(&world.pool).await.unwrap();
    let first: Value = replica.post_once("/v1/scenes/evening", &json!({}), "k1").await.json().await.unwrap();
    let again = replica.post_once("/v1/scenes/evening", &json!({}), "k1").await;
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    // Of another scene the key means another request.
    replica.put("/v1/scenes/morning", &evening()).await;
    problem(replica.post_once("/v1/scenes/morning", &json!({}), "k1").await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!((world.count("scene_run").await, world.count("device_command").await, world.count("outbox").await), (1, 3, 4));
    problem(replica.post("/v1/scenes/nothing", &json!({})).await, StatusCode::NOT_FOUND).await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scene_is_checked_and_kept_as_long_as_a_receiver_needs_it() {
    let world = World::new().await;
    let replica = world.start().await;
    let refused = async |path: &str, body: Value, pointer: &str| {
        let answer = replica.request(Method::PUT, path).bearer_auth(KEY).json(&body).send().await.unwrap();
        assert_eq!(problem(answer, StatusCode::BAD_REQUEST).await["errors"][0]["pointer"], pointer, "{body}");
    };
    refused("/v1/scenes/evening", json!({ "members": [] }), "/members").await;
    refused("/v1/scenes/evening", json!({ "members": [{ "name": "set" }] }), "/members/0/device_id").await;
    let many: Vec<Value> = (0..501).map(|number| json!({ "device_id": format!("lamp-{number}"), "name": "off" })).collect();
    refused("/v1/scenes/evening", json!({ "members": many }), "/members").await;
    refused("/v1/receivers/home", json!({ "scenes": ["evening"] }), "/scenes/0").await;
    refused("/v1/receivers/home", json!({ "commands": [{ "device_id": "a/b", "name": "off" }] }), "/commands/0/device_id").await;
    replica.put("/v1/scenes/evening", &json!({ "members": &many[..500] })).await;
    let run: Value = replica.post("/v1/scenes/evening", &json!({})).await.json().await.unwrap();
    assert_eq!((run["commands"].as_array().unwrap().len(), world.count("outbox").await), (500, 501));
    replica.put("/v1/receivers/home", &json!({ "scenes": ["evening"] })).await;
    let needed = replica.ask(Method::DELETE, "/v1/scenes/evening").await;
    let needed = problem(needed, StatusCode::CONFLICT).await;
    assert_eq!(needed["errors"][0]["detail"], "/receivers/home/scenes/0: there is no scene `evening`");
    replica.stop().await;
}
