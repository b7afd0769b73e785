//! Every operation of the API with every kind of caller.

#![expect(clippy::panic, reason = "a failing test panics")]

use notifier::domain::access::Scope;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::access::add_key;
use crate::world::{Replica, World, firing, problem};

const STREAMS: [&str; 2] = ["/v1/notifications/stream", "/v1/devices/stream"];
const KEYS: [(&str, Scope); 3] =
    [("fw_reads_00000000000000", Scope::Read), ("fw_writes_0000000000000", Scope::Write), ("fw_administers_00000000", Scope::Admin)];
const STRANGER: &str = "fw_stranger_00000000000";

struct Operation {
    method: Method,
    path: String,
    /// None: whoever has a key.
    needs: Option<Scope>,
    /// The description's own example: what is malformed is refused as such, whoever sent it.
    body: Value,
}

/// The scope an operation asks for. An operation that nobody thought of here fails the test.
fn needed(method: &str, path: &str) -> Option<Scope> {
    let is = |prefix: &str| path.starts_with(prefix);
    match method {
        _ if path == "/v1/me" => None,
        "get" => Some(Scope::Read),
        // They change nothing.
        "post" if path == "/v1/routes/test" || path == "/v1/stream-tickets" => Some(Scope::Read),
        "post" if path.ends_with("/rotate-secret") => Some(Scope::Admin),
        "post" if is("/v1/notifications/") || path == "/v1/events" => Some(Scope::Write),
        "post" if path == "/v1/commands" || is("/v1/scenes/") => Some(Scope::Write),
        "post" if (is("/v1/webhooks/") || is("/v1/emails/")) && (path.ends_with("/test") || path.ends_with("/resend")) => {
            Some(Scope::Write)
        }
        "put" | "delete" if is("/v1/silences/") => Some(Scope::Write),
        "put" | "delete" => Some(Scope::Admin),
        _ => panic!("who may {method} {path}?"),
    }
}

/// What there is of the tenant's own, besides what is called `ours`.
struct Scene {
    notification: String,
    command: String,
    run: String,
}

/// All of them, about what is there.
fn operations(scene: &Scene) -> Vec<Operation> {
    let description: Value = serde_json::to_value(notifier::adapters::http::document()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        let id = match path.split('/').nth(2) {
            Some("devices") => "sensor-01",
            Some("commands") => &scene.command,
            _ => &scene.notification,
        };
        let about = path.replace("{id}", id).replace("{scene_id}", &scene.run).replace("{name}", "ours");
        for (method, operation) in item.as_object().unwrap() {
            let needs = needed(method, path);
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let name = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()).unwrap_or_default();
            let body = description["components"]["schemas"][name]["example"].clone();
            let body = if body.is_null() { json!({}) } else { body };
            operations.push(Operation { method: method.to_uppercase().parse().unwrap(), path: about.clone(), needs, body });
        }
    }
    // What takes something away comes last.
    operations.sort_by_key(|operation| operation.method == Method::DELETE);
    operations
}

async fn asked(replica: &Replica, operation: &Operation, key: Option<&str>) -> reqwest::Response {
    let request = replica.request(operation.method.clone(), &operation.path);
    let request = if operation.method == Method::GET { request } else { request.json(&operation.body) };
    key.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth).send().await.unwrap()
}

/// A notification, and something of the name `ours` wherever things have names.
async fn scene(world: &World, replica: &Replica) -> Scene {
    world.alerts(&[firing("sensor-01")], 1).await;
    replica.put("/v1/webhooks/ours", &json!({ "url": "http://127.0.0.1:9/" })).await;
    replica.put("/v1/receivers/ours", &json!({ "webhooks": ["ours"] })).await;
    replica.put("/v1/mute-times/ours", &json!({ "intervals": [{ "weekdays": ["saturday"] }] })).await;
    replica.put("/v1/escalations/ours", &json!({ "steps": [{ "after": "5m", "receiver": "ours" }] })).await;
    replica
        .put(
            "/v1/silences/ours",
            &json!({ "matchers": ["severity=INFO"], "starts_at": "2026-01-31T08:00:00Z", "ends_at": "2999-01-01T00:00:00Z" }),
        )
        .await;
    replica.put("/v1/scenes/ours", &json!({ "members": [{ "device_id": "lamp-01", "name": "set" }] })).await;
    let run: Value = replica.post("/v1/scenes/ours", &json!({})).await.json().await.unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Scene {
        notification: text(&replica.get("/v1/notifications").await["data"][0]["notification_id"]),
        command: text(&run["commands"][0]["command_id"]),
        run: text(&run["scene_id"]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_asks_for_its_scope_and_nobody_reaches_into_another_tenant() {
    let world = World::new().await;
    let replica = world.start().await;
    let scene = scene(&world, &replica).await;
    for (key, scope) in KEYS {
        add_key(&world, key, "default", &[scope], None).await;
    }
    add_key(&world, STRANGER, "acme", &[Scope::Admin], None).await;
    let ticket: Value = replica.post("/v1/stream-tickets", &json!({})).await.json().await.unwrap();
    let ticket = ticket["ticket"].as_str().unwrap();
    let operations = operations(&scene);

    for operation in &operations {
        for key in [None, Some("fw_unknown_00000000000"), Some("nonsense"), Some(ticket)] {
            problem(asked(&replica, operation, key).await, StatusCode::UNAUTHORIZED).await;
        }
        for (key, _) in KEYS.into_iter().filter(|(_, scope)| !may(*scope, operation.needs)) {
            problem(asked(&replica, operation, Some(key)).await, StatusCode::FORBIDDEN).await;
        }
    }

    let before = everything(&replica, &operations).await;
    for Operation { method, path, body, .. } in &operations {
        let is_one = [scene.notification.as_str(), &scene.command, &scene.run, "ours"]
            .iter()
            .any(|one| path.ends_with(one) || path.contains(&format!("{one}/")));
        if is_one && *method != Method::PUT {
            let response = replica.request(method.clone(), path).bearer_auth(STRANGER).json(body).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{method} {path} from another tenant");
        }
    }
    assert_eq!(everything(&replica, &operations).await, before);

    for operation in &operations {
        let allowed = KEYS.into_iter().filter(|(_, scope)| may(*scope, operation.needs));
        for (key, scope) in allowed {
            let status = asked(&replica, operation, Some(key)).await.status();
            let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status) || status.is_server_error();
            assert!(!refused, "{} {} with {scope:?}: {status}", operation.method, operation.path);
        }
    }
    eprintln!("{} operations", operations.len());
    replica.stop().await;
}

fn may(has: Scope, needs: Option<Scope>) -> bool {
    needs.is_none_or(|needs| has == needs || has == Scope::Admin)
}

/// What the tenant can see of itself.
async fn everything(replica: &Replica, operations: &[Operation]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for Operation { method, path, .. } in operations {
        if *method == Method::GET && !STREAMS.contains(&path.as_str()) && !path.starts_with("/v1/devices") {
            all.push((path.clone(), replica.ask(Method::GET, path).await.text().await.unwrap()));
        }
    }
    all
}
