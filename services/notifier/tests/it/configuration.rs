use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{KEY, World, problem};

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_put_read_and_deleted_and_each_change_is_checked_against_the_rest() {
    let world = World::new().await;
    let replica = world.start().await;
    let default = replica.get("/v1/routes").await;
    assert_eq!((&default["receiver"], &default["version"]), (&json!("default"), &json!(0)));
    let send = |method: Method, path: &'static str, body: Value, headers: &[(&'static str, &'static str)]| {
        let request = replica.request(method, path).bearer_auth(KEY).json(&body);
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send()
    };
    let wrong = send(Method::PUT, "/v1/receivers/ops", json!({ "webhooks": ["missing"] }), &[]).await.unwrap();
    assert_eq!(problem(wrong, StatusCode::BAD_REQUEST).await["errors"][0]["pointer"], "/webhooks/0");
    for (path, body) in [
        ("/v1/receivers/ops", json!({ "webhooks": [], "typo": 1 })),
        ("/v1/receivers/bad%20name", json!({ "webhooks": [] })),
        ("/v1/receivers/none", json!({ "webhooks": [] })),
        ("/v1/silences/all", json!({ "matchers": [], "starts_at": "2026-01-31T08:00:00Z", "ends_at": "2026-01-31T09:00:00Z" })),
        (
            "/v1/silences/nul",
            json!({ "matchers": ["a=\"b\\u0000\""], "starts_at": "2026-01-31T08:00:00Z", "ends_at": "2026-01-31T09:00:00Z" }),
        ),
        ("/v1/mute-times/night", json!({ "time_zone": "Mars", "intervals": [{ "weekdays": ["monday"] }] })),
        ("/v1/escalations/up", json!({ "steps": [{ "after": "5m", "receiver": "who" }] })),
        ("/v1/routes", json!({ "receiver": "nobody-known" })),
        ("/v1/routes", json!({})),
    ] {
        problem(send(Method::PUT, path, body.clone(), &[]).await.unwrap(), StatusCode::BAD_REQUEST).await;
    }
    let receiver = json!({ "webhooks": [] });
    let made = send(Method::PUT, "/v1/receivers/ops", receiver.clone(), &[("if-none-match", "*")]).await.unwrap();
    assert_eq!((made.status(), made.headers()["etag"].to_str().unwrap()), (StatusCode::CREATED, "\"1\""));
    let twice = send(Method::PUT, "/v1/receivers/ops", receiver.clone(), &[("if-none-match", "*")]).await.unwrap();
    problem(twice, StatusCode::PRECONDITION_FAILED).await;
    problem(send(Method::PUT, "/v1/receivers/ops", receiver, &[("if-match", "\"7\"")]).await.unwrap(), StatusCode::PRECONDITION_FAILED)
        .await;
    // What was read can be put back.
    let read = replica.get("/v1/receivers/ops").await;
    assert_eq!((&read["updated_by"], &read["send_resolved"]), (&json!("bootstrap"), &json!(true)));
    assert_eq!(replica.put("/v1/receivers/ops", &read).await["version"], 2);

    replica.put("/v1/routes", &json!({ "receiver": "ops" })).await;
    let needed = problem(send(Method::DELETE, "/v1/receivers/ops", json!({}), &[]).await.unwrap(), StatusCode::CONFLICT).await;
    assert_eq!(needed["errors"][0]["detail"], "/routes/receiver: there is no receiver `ops`");
    replica.put("/v1/routes", &json!({ "receiver": "none" })).await;
    assert_eq!(send(Method::DELETE, "/v1/receivers/ops", json!({}), &[]).await.unwrap().status(), StatusCode::NO_CONTENT);
    problem(send(Method::DELETE, "/v1/receivers/ops", json!({}), &[]).await.unwrap(), StatusCode::NOT_FOUND).await;
    assert_eq!(replica.get("/v1/receivers").await, json!({ "data": [] }));
    replica.stop().await;
}
