//! `command` and `scene` against an API of the test's own: what is asked, and how the end is told.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::{Json, Router};
use serde_json::{Value, json};
use testkit::Kit;
use tokio::task::JoinSet;

use crate::{Ran, fieldctl};

const ID: &str = "01970000-0000-7000-8000-000000000001";

#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<(String, Value)>>>);

async fn answer(State(asked): State<Asked>, method: Method, uri: Uri, headers: HeaderMap, body: String) -> (StatusCode, Json<Value>) {
    assert_eq!(headers["authorization"], "Bearer fw_key");
    assert_eq!(headers.contains_key("idempotency-key"), method == Method::POST);
    let before = asked.0.lock().unwrap().len();
    asked.0.lock().unwrap().push((format!("{method} {uri}"), serde_json::from_str(&body).unwrap_or_default()));
    let command = |state: &str, is_final: bool| {
        json!({ "command_id": ID, "device_id": "fan-01", "name": "set", "arguments": { "speed": 3 }, "state": state, "detail": "", "is_final": is_final,
                "attempt": 1, "issued_by": "ops", "issued_at": "2026-01-31T08:15:30Z" })
    };
    let found = match (method.as_str(), uri.path()) {
        ("POST", "/v1/commands") if body.contains("bad") => {
            let problem = json!({ "detail": "1 mistake in the request", "errors": [{ "pointer": "/name", "detail": "is not a word" }] });
            return (StatusCode::BAD_REQUEST, Json(problem));
        }
        ("POST", "/v1/commands") => command("PENDING", false),
        // The first look is too early.
        ("GET", path) if path == format!("/v1/commands/{ID}") => command(if before < 2 { "ACCEPTED" } else { "TIMED_OUT" }, before >= 2),
        ("GET", "/v1/commands") => json!({ "data": [command("VERIFIED", true)], "next_cursor": null }),
        ("POST", "/v1/scenes/ventilate") => json!({ "scene_id": ID, "commands": [command("PENDING", false)] }),
        ("GET", path) if path == format!("/v1/scene-runs/{ID}") => {
            json!({ "scene_id": ID, "name": "ventilate", "is_final": true, "by_state": { "VERIFIED": 1, "FAILED": 1 },
                    "commands": [command("VERIFIED", true), command("FAILED", true)] })
        }
        ("GET", "/v1/scenes") => json!({ "data": [{ "name": "ventilate", "description": "fresh air", "members": [1, 2] }] }),
        _ => return (StatusCode::NOT_FOUND, Json(json!({ "detail": "nothing here" }))),
    };
    (StatusCode::OK, Json(found))
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_and_scenes_are_sent_and_their_end_is_the_exit_status() {
    let kit = Kit::with_topics(&[]).await;
    let asked = Asked::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(asked.clone());
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), "fw_key\n").unwrap();
    let run = async |line: &str| -> Ran { fieldctl(&kit, &format!("{line} --api {url} --key-file {}", key.path().display())).await };

    let sent = run("command send fan-01 set --arguments {\"speed\":3} --desired-state {\"speed\":3} --expires-in 10s --wait").await;
    assert_eq!((sent.status, sent.out.trim_end()), (2, format!("{ID}  fan-01 set {{\"speed\":3}}  TIMED_OUT").as_str()), "{sent:?}");
    let (first, body) = asked.0.lock().unwrap()[0].clone();
    assert_eq!(first, "POST /v1/commands");
    assert_eq!(
        body,
        json!({ "device_id": "fan-01", "name": "set", "arguments": { "speed": 3 }, "desired_state": { "speed": 3 }, "expires_in": "10s" })
    );

    let refused = run("command send fan-01 bad").await;
    assert_eq!(refused.status, fieldctl::FAILURE);
    assert!(refused.err.contains("400 Bad Request: 1 mistake in the request; /name is not a word"), "{refused:?}");
    let wrong = run("command send fan-01 set --arguments [1]").await;
    assert_eq!(wrong.status, fieldctl::USAGE);

    let listed = run("command list --device fan-01 --state VERIFIED --limit 5").await;
    assert!(listed.out.lines().nth(1).unwrap().contains("fan-01  set   VERIFIED"), "{listed:?}");
    assert_eq!(asked.0.lock().unwrap().last().unwrap().0, "GET /v1/commands?limit=5&device_id=fan-01&state=VERIFIED");

    let ran = run("scene run ventilate --wait").await;
    assert_eq!(ran.status, fieldctl::FAILURE);
    assert!(ran.out.starts_with(&format!("{ID}  ventilate  1 FAILED, 1 VERIFIED")), "{ran:?}");
    assert_eq!(
        (run("scene run ventilate").await.status, run(&format!("scene show {ID} --json")).await.json()[0]["is_final"].clone()),
        (0, json!(true))
    );
    assert!(run("scene list").await.out.contains("ventilate  2        fresh air"));
}
