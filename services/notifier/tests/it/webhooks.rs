//! Endpoints that answer well, badly or not at all.

use std::time::Duration;

use notifier::adapters::db::{Edit, Kind, NotConfigured, Reseal, Store};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{Process, eventually, free_port};

use crate::endpoint::{Answer, Endpoint, quickly};
use crate::world::{KEY, Replica, SECRETS_KEY, World, firing, problem};

/// Has the webhook tested and waits until the delivery is as told.
async fn tested(replica: &Replica, state: &str) -> Value {
    let made = replica.post("/v1/webhooks/hook/test", &json!({})).await;
    assert_eq!(made.status(), StatusCode::ACCEPTED);
    let made: Value = made.json().await.unwrap();
    let path = format!("/v1/webhooks/deliveries/{}", made["delivery_id"].as_str().unwrap());
    eventually("the delivery ends", || async {
        let delivery = replica.get(&path).await;
        (delivery["state"] == state).then_some(delivery)
    })
    .await
}

fn attempts(delivery: &Value) -> Vec<(Option<i64>, String)> {
    let log = delivery["attempt_log"].as_array().unwrap().iter();
    log.map(|attempt| (attempt["status"].as_i64(), attempt["error"].as_str().unwrap_or("-").to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_hangs_redirects_or_asks_for_time_is_tried_again_under_the_same_id() {
    let world = World::new().await;
    let replica = world.start_with(&[("NOTIFIER__DELIVERY__TIMEOUT", "500ms")]).await;
    let (endpoint, elsewhere) = (Endpoint::start().await, Endpoint::start().await);
    endpoint.configure(&replica, quickly()).await;
    endpoint.answers(&[Answer::Status(500), Answer::Hang, Answer::Redirect(elsewhere.url.clone()), Answer::Later(429, "1")]);
    let delivery = tested(&replica, "DELIVERED").await;
    let expected = [
        (Some(500), "answered 500"),
        (None, "no answer in time"),
        (Some(307), "answered 307, which is not followed"),
        (Some(429), "answered 429"),
        (Some(204), "-"),
    ];
    assert_eq!(attempts(&delivery), expected.map(|(status, error)| (status, error.to_owned())));
    let received = endpoint.received();
    assert!(received.iter().all(|attempt| attempt.id() == delivery["delivery_id"]));
    assert!(received[4].at - received[3].at >= Duration::from_secs(1), "Retry-After was not waited for");
    assert_eq!(elsewhere.received().len(), 0);

    let id = delivery["delivery_id"].as_str().unwrap();
    let again = replica.post(&format!("/v1/webhooks/deliveries/{id}/resend"), &json!({})).await;
    assert_eq!(again.status(), StatusCode::ACCEPTED);
    assert_eq!(endpoint.deliveries(6).await[5].id(), id);
    let listed = replica.get("/v1/webhooks/hook/deliveries?limit=1").await;
    assert_eq!(listed["data"][0]["delivery_id"], id);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_disabled_until_it_is_put_again() {
    let world = World::new().await;
    let replica = world.start().await;
    let endpoint = Endpoint::start().await;
    endpoint.configure(&replica, quickly()).await;
    endpoint.answers(&[Answer::Status(410)]);
    let delivery = tested(&replica, "FAILED").await;
    assert_eq!(delivery["last_status"], 410);
    assert!(replica.get("/v1/webhooks/hook").await["disabled_at"].is_string());
    assert_eq!(tested(&replica, "FAILED").await["last_error"], "the webhook is disabled");
    assert_eq!(endpoint.received().len(), 1);
    // As it was read, it can be put back.
    let read = replica.get("/v1/webhooks/hook").await;
    replica.put("/v1/webhooks/hook", &read).await;
    tested(&replica, "DELIVERED").await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_keeps_failing_is_spared_and_comes_back() {
    let world = World::new().await;
    let replica = world.start_with(&[("NOTIFIER__DELIVERY__LONGEST_RETRY", "100ms")]).await;
    let endpoint = Endpoint::start().await;
    endpoint.configure(&replica, quickly()).await;
    endpoint.answers(&vec![Answer::Status(503); 5]);
    replica.post("/v1/webhooks/hook/test", &json!({})).await;
    eventually("the breaker is open", || async { (replica.get("/v1/webhooks/hook").await["breaker"] == "open").then_some(()) }).await;
    assert_eq!(endpoint.received().len(), 5);
    let received = endpoint.deliveries(6).await;
    assert!(received[5].at - received[4].at >= Duration::from_secs(4), "it was not spared");
    eventually("the breaker is closed", || async { (replica.get("/v1/webhooks/hook").await["breaker"] == "closed").then_some(()) }).await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_address_is_refused_unless_it_is_allowed() {
    let world = World::new().await;
    let overrides = [("NOTIFIER__DELIVERY__ALLOWED_NETWORKS", "[]"), ("NOTIFIER__DELIVERY__GIVE_UP_AFTER", "10ms")];
    let replica = world.start_with(&overrides).await;
    let endpoint = Endpoint::start().await;
    for url in [&endpoint.url, "https://10.0.0.1/", "https://[::ffff:127.0.0.1]/", "https://169.254.169.254/", "ftp://example.com/", "x"] {
        let put = replica.request(Method::PUT, "/v1/webhooks/hook").bearer_auth(KEY).json(&json!({ "url": url })).send().await.unwrap();
        assert_eq!(problem(put, StatusCode::BAD_REQUEST).await["errors"][0]["pointer"], "/url", "{url}");
    }
    // A name is only known for what it is when it is resolved.
    for scheme in ["http", "https"] {
        let by_name = endpoint.url.replace("127.0.0.1", "localhost").replace("http", scheme);
        replica.put("/v1/webhooks/hook", &json!({ "url": by_name })).await;
        let refused = tested(&replica, "FAILED").await;
        assert_eq!(refused["last_error"], "the URL leads to an address that is not allowed");
    }
    assert_eq!(endpoint.received().len(), 0);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_sealed_rotate_and_follow_the_key_that_seals_them() {
    let world = World::new().await;
    let replica = world.start().await;
    let endpoint = Endpoint::start().await;
    let first = endpoint.configure(&replica, quickly()).await;
    let slack = "https://hooks.example.com/services/T0/B0/very-secret";
    let shown = replica.put("/v1/webhooks/chat", &json!({ "url": slack, "format": "slack" })).await;
    assert_eq!((&shown["url"], &shown["secret"]), (&json!("https://hooks.example.com/***"), &Value::Null));
    assert_eq!(replica.get("/v1/webhooks/hook").await["secret"], Value::Null);
    let dump: Vec<String> =
        sqlx::query_scalar("SELECT c::text FROM configuration c UNION ALL SELECT encode(sealed, 'escape') FROM webhook_secret")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert!(dump.iter().all(|row| !row.contains("very-secret") && !row.contains(&first) && !row.contains("whsec_")), "{dump:?}");

    let rotated: Value = replica.post("/v1/webhooks/hook/rotate-secret", &json!({})).await.json().await.unwrap();
    let second = rotated["secret"].as_str().unwrap();
    tested(&replica, "DELIVERED").await;
    let received = endpoint.received().remove(0);
    assert!(received.is_signed_with(&first) && received.is_signed_with(second));
    replica.stop().await;

    let new_key = "another-key-0123456789abcdef0123456789abcdef";
    let both = world.start_with(&[("NOTIFIER__SECRETS__KEY", new_key), ("NOTIFIER__SECRETS__PREVIOUS_KEY", SECRETS_KEY)]).await;
    tested(&both, "DELIVERED").await;
    both.stop().await;
    let only_new = world.start_with(&[("NOTIFIER__SECRETS__KEY", new_key)]).await;
    tested(&only_new, "DELIVERED").await;
    assert!(endpoint.received()[2].is_signed_with(second));
    only_new.stop().await;
    // Without its key a secret says nothing, and the delivery waits.
    let without = world.start_with(&[("NOTIFIER__SECRETS__KEY", "")]).await;
    let put = without.request(Method::PUT, "/v1/webhooks/new").bearer_auth(KEY).json(&json!({ "url": endpoint.url })).send().await.unwrap();
    problem(put, StatusCode::CONFLICT).await;
    without.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_reaches_an_endpoint_that_is_never_idle() {
    let world = World::new().await;
    let replica = world.start().await;
    let endpoint = Endpoint::start().await;
    endpoint.answers(&[Answer::Hang]);
    let first = endpoint.configure(&replica, quickly()).await;
    let test = async || assert_eq!(replica.post("/v1/webhooks/hook/test", &json!({})).await.status(), StatusCode::ACCEPTED);
    test().await;
    endpoint.deliveries(1).await;
    let rotated: Value = replica.post("/v1/webhooks/hook/rotate-secret", &json!({})).await.json().await.unwrap();
    test().await;
    // While the first still has no answer.
    let received = endpoint.deliveries(2).await;
    let second = rotated["secret"].as_str().unwrap();
    assert!(!received[0].is_signed_with(second) && received[1].is_signed_with(second) && received[1].is_signed_with(&first));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slack_webhook_gets_a_message() {
    let world = World::new().await;
    let replica = world.start().await;
    let endpoint = Endpoint::start().await;
    replica.put("/v1/webhooks/hook", &json!({ "url": endpoint.url, "format": "slack" })).await;
    replica.put("/v1/receivers/ops", &json!({ "webhooks": ["hook"] })).await;
    replica.put("/v1/routes", &quickly()).await;
    world.alerts(&[firing("sensor-01")], 1).await;
    let message = endpoint.deliveries(1).await.remove(0);
    assert_eq!(
        message.json(),
        json!({ "text": "*1 notification new or changed*\n:large_orange_circle: sensor-01: temperature 31.5 Cel is above 28 Cel" })
    );
    assert!(!message.headers.contains_key("webhook-signature"));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_is_killed_loses_nothing_and_repeats_under_the_same_id() {
    let world = World::new().await;
    let endpoint = Endpoint::start().await;
    let listen = format!("127.0.0.1:{}", free_port());
    let environment = world.environment(&[
        ("NOTIFIER__API__LISTEN", &listen),
        ("NOTIFIER__SECRETS__KEY", SECRETS_KEY),
        ("NOTIFIER__DELIVERY__ALLOWED_NETWORKS", "[\"127.0.0.0/8\"]"),
        ("NOTIFIER__DELIVERY__LEASE", "2s"),
        ("NOTIFIER__DELIVERY__TIMEOUT", "1s"),
    ]);
    let mut process = Process::start("notifier", &environment).await;
    let http = reqwest::Client::new();
    for (path, body) in
        [("webhooks/hook", json!({ "url": endpoint.url })), ("receivers/ops", json!({ "webhooks": ["hook"] })), ("routes", quickly())]
    {
        let put = http.put(format!("http://{listen}/v1/{path}")).bearer_auth(KEY).json(&body).send().await.unwrap();
        assert!(put.status().is_success(), "{path}");
    }
    endpoint.answers(&[Answer::Hang]);
    world.alerts(&[firing("sensor-01")], 1).await;
    let first = endpoint.deliveries(1).await.remove(0);
    process.kill();
    let again = world.start().await;
    let repeated = endpoint.deliveries(2).await.remove(1);
    assert_eq!((repeated.id(), &repeated.body), (first.id(), &first.body));
    eventually("it is delivered", || async { (world.count("delivery WHERE state = 'DELIVERED'").await == 1).then_some(()) }).await;
    assert_eq!(world.count("delivery").await, 1);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_webhook_takes_back_no_rotation_of_its_secret() {
    let world = World::new().await;
    let replica = world.start().await;
    let endpoint = Endpoint::start().await;
    endpoint.configure(&replica, quickly()).await;
    let store = Store::new(&world.config(&[]).database).unwrap();
    let sealed = async || store.webhook_secret("default", "hook").await.unwrap().unwrap();
    // Someone read the webhook, then its secret was rotated, then they save what they read.
    let read = sealed().await;
    replica.post("/v1/webhooks/hook/rotate-secret", &json!({})).await;
    let rotated = sealed().await;
    let document = Some(json!({ "url": endpoint.url }));
    let edit = Edit { tenant: "default", kind: Kind::Webhook, name: "hook", document, expected: None, by: "test" };
    for was in [Some(read.clone()), None] {
        let refused = store.configure(&edit, Some(Reseal { was, sealed: read.clone() })).await;
        assert!(matches!(refused, Err(NotConfigured::SecretChanged(_))), "{refused:?}");
    }
    assert_eq!(sealed().await, rotated);
    store.configure(&edit, Some(Reseal { was: Some(rotated), sealed: read.clone() })).await.unwrap();
    assert_eq!(sealed().await, read);
    replica.stop().await;
}
