use notifier::adapters::db::{NewKey, Store};
use notifier::domain::access::Scope;
use reqwest::{Method, StatusCode};
use serde_json::json;
use time::OffsetDateTime;

use crate::world::{Events, KEY, World, firing, problem};

pub(crate) async fn add_key(world: &World, secret: &str, tenant: &str, scopes: &[Scope], expires_at: Option<OffsetDateTime>) -> uuid::Uuid {
    let store = Store::new(&world.config(&[]).database).unwrap();
    let key = NewKey { tenant: tenant.into(), name: "tester".into(), scopes: scopes.to_vec(), expires_at };
    store.add_key(secret, &key).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_good_key_is_let_in() {
    let world = World::new().await;
    let replica = world.start().await;
    add_key(&world, "fw_expired_00000000000", "default", &[Scope::Read], Some(OffsetDateTime::UNIX_EPOCH)).await;
    let revoked = add_key(&world, "fw_revoked_00000000000", "default", &[Scope::Read], None).await;
    assert!(Store::new(&world.config(&[]).database).unwrap().revoke_key(revoked).await.unwrap());

    let without = replica.request(Method::GET, "/v1/notifications").send().await.unwrap();
    assert_eq!(without.headers()["www-authenticate"], "Bearer");
    problem(without, StatusCode::UNAUTHORIZED).await;
    for key in ["fw_unknown", "nonsense", "", "fw_expired_00000000000", "fw_revoked_00000000000"] {
        let response = replica.request(Method::GET, "/v1/notifications").bearer_auth(key).send().await.unwrap();
        problem(response, StatusCode::UNAUTHORIZED).await;
    }
    let basic = replica.request(Method::GET, "/v1/me").basic_auth("fw_x", Some(KEY)).send().await.unwrap();
    problem(basic, StatusCode::UNAUTHORIZED).await;
    let me = replica.get("/v1/me").await;
    assert_eq!((&me["name"], &me["tenant"], &me["scopes"]), (&json!("bootstrap"), &json!("default"), &json!(["read", "write", "admin"])));
    let stored: Vec<Vec<u8>> = sqlx::query_scalar("SELECT key_hash FROM api_key").fetch_all(&world.pool).await.unwrap();
    assert!(stored.iter().all(|hash| hash.len() == 32 && hash != KEY.as_bytes()));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_what_its_scopes_say_in_its_own_tenant() {
    let world = World::new().await;
    let replica = world.start().await;
    add_key(&world, "fw_reader_0000000000000", "default", &[Scope::Read], None).await;
    add_key(&world, "fw_stranger_00000000000", "acme", &[Scope::Admin], None).await;
    world.alerts(&[firing("sensor-01")], 1).await;
    let id = replica.get("/v1/notifications").await["data"][0]["notification_id"].as_str().unwrap().to_owned();

    let act = |key| replica.request(Method::POST, &format!("/v1/notifications/{id}/acknowledge")).bearer_auth(key).send();
    problem(act("fw_reader_0000000000000").await.unwrap(), StatusCode::FORBIDDEN).await;
    problem(act("fw_stranger_00000000000").await.unwrap(), StatusCode::NOT_FOUND).await;
    for path in [format!("/v1/notifications/{id}"), format!("/v1/notifications/{id}/events")] {
        let response = replica.request(Method::GET, &path).bearer_auth("fw_stranger_00000000000").send().await.unwrap();
        problem(response, StatusCode::NOT_FOUND).await;
    }
    let list = replica.request(Method::GET, "/v1/notifications").bearer_auth("fw_stranger_00000000000").send().await.unwrap();
    assert_eq!(list.json::<serde_json::Value>().await.unwrap(), json!({ "data": [], "next_cursor": null }));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_streams_and_nothing_else() {
    let world = World::new().await;
    let replica = world.start().await;
    let made = replica.request(Method::POST, "/v1/stream-tickets").bearer_auth(KEY).json(&json!({ "device_id": ["sensor-02"] }));
    let made = made.send().await.unwrap();
    assert_eq!(made.status(), StatusCode::CREATED);
    let ticket: serde_json::Value = made.json().await.unwrap();
    let url = ticket["url"].as_str().unwrap();

    // Reconnecting to the same URL is what an EventSource does.
    for _ in 0..2 {
        let mut events = Events::of(replica.request(Method::GET, url).send().await.unwrap());
        assert_eq!(events.next().await.unwrap().name, "snapshot");
    }
    let as_key = replica.request(Method::GET, "/v1/me").bearer_auth(ticket["ticket"].as_str().unwrap()).send().await.unwrap();
    problem(as_key, StatusCode::UNAUTHORIZED).await;
    problem(replica.request(Method::GET, &format!("{url}x")).send().await.unwrap(), StatusCode::UNAUTHORIZED).await;
    problem(replica.request(Method::GET, &format!("{url}&kind=alert")).send().await.unwrap(), StatusCode::BAD_REQUEST).await;

    let mut events = Events::of(replica.request(Method::GET, url).send().await.unwrap());
    assert_eq!(events.next().await.unwrap().name, "snapshot");
    world.kit.publish(&[crate::world::notification("sensor-01", 1), crate::world::notification("sensor-02", 1)]).await;
    assert_eq!(events.next().await.unwrap().data["device_id"], "sensor-02");

    sqlx::query("UPDATE api_key SET revoked_at = now()").execute(&world.pool).await.unwrap();
    problem(replica.request(Method::GET, url).send().await.unwrap(), StatusCode::UNAUTHORIZED).await;
    replica.stop().await;
}
