//! Tokens of a configured issuer.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use testkit::eventually;

use crate::issuer::{Issuer, SigningKey, now};
use crate::world::{Events, KEY, Replica, World, firing, problem};

async fn start(world: &World, issuer: &Issuer, overrides: &[(&str, &str)]) -> Replica {
    let mut all = vec![
        ("NOTIFIER__OIDC__ISSUER", issuer.url.as_str()),
        ("NOTIFIER__OIDC__AUDIENCE", "fieldwatch"),
        ("NOTIFIER__OIDC__LEEWAY", "5s"),
        ("NOTIFIER__OIDC__REFETCH", "300ms"),
    ];
    all.extend_from_slice(overrides);
    world.start_with(&all).await
}

async fn ask(replica: &Replica, path: &str, token: &str) -> Response {
    replica.request(Method::GET, path).bearer_auth(token).send().await.unwrap()
}

async fn me(replica: &Replica, token: &str) -> Value {
    let answer = ask(replica, "/v1/me", token).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

/// Why it was refused.
async fn refusal(replica: &Replica, token: &str) -> String {
    let answer = ask(replica, "/v1/me", token).await;
    assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    problem(answer, StatusCode::UNAUTHORIZED).await["detail"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_what_its_scopes_say_in_its_own_tenant() {
    let world = World::new().await;
    let (rsa, elliptic) = (SigningKey::rsa("one"), SigningKey::elliptic("two"));
    let issuer = Issuer::start(&[&rsa, &elliptic]).await;
    let replica = start(&world, &issuer, &[]).await;
    world.alerts(&[firing("sensor-01")], 1).await;
    let id = replica.get("/v1/notifications").await["data"][0]["notification_id"].as_str().unwrap().to_owned();

    let token = rsa.sign(&issuer.claims(&json!({})));
    let who = me(&replica, &token).await;
    assert_eq!((&who["name"], &who["tenant"], &who["scopes"]), (&json!("anna"), &json!("default"), &json!(["read", "write"])));
    assert!(who["by"] == "token" && who["until"].is_string(), "{who}");
    let again = me(&replica, &elliptic.sign(&issuer.claims(&json!({ "scope": ["fieldwatch:admin"] })))).await;
    assert_eq!((&again["scopes"], &again["key_id"]), (&json!(["admin"]), &who["key_id"]));

    let act = async |token: &str| {
        let path = format!("/v1/notifications/{id}/acknowledge");
        replica.request(Method::POST, &path).bearer_auth(token).send().await.unwrap()
    };
    problem(act(&rsa.sign(&issuer.claims(&json!({ "scope": "fieldwatch:read" })))).await, StatusCode::FORBIDDEN).await;
    problem(act(&rsa.sign(&issuer.claims(&json!({ "scope": null })))).await, StatusCode::FORBIDDEN).await;
    problem(act(&rsa.sign(&issuer.claims(&json!({ "tenant": "acme" })))).await, StatusCode::NOT_FOUND).await;
    assert_eq!(act(&token).await.status(), StatusCode::OK);
    let events = replica.get(&format!("/v1/notifications/{id}/events")).await;
    assert_eq!(events["data"][1]["change"]["actor"], "anna", "{events}");
    // API keys go on.
    assert_eq!(me(&replica, KEY).await["by"], "key");

    let made = replica.request(Method::POST, "/v1/stream-tickets").bearer_auth(&token).json(&json!({})).send().await.unwrap();
    let ticket: Value = made.json().await.unwrap();
    assert!(ticket["good_until"].as_str().unwrap() <= who["until"].as_str().unwrap(), "{ticket} {who}");
    let mut stream = Events::of(ask(&replica, ticket["url"].as_str().unwrap(), "").await);
    assert_eq!(stream.next().await.unwrap().data["notifications"][0]["notification_id"], id.as_str());
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_good_opens_nothing() {
    let world = World::new().await;
    let (rsa, stranger) = (SigningKey::rsa("one"), SigningKey::rsa("one"));
    let issuer = Issuer::start(&[&rsa]).await;
    let replica = start(&world, &issuer, &[]).await;
    for (claims, detail) in [
        (json!({ "exp": now() - 6 }), "The token has expired."),
        (json!({ "nbf": now() + 30 }), "The token is not good yet."),
        (json!({ "aud": "other" }), "The token is for another audience."),
        (json!({ "iss": "https://elsewhere.example.com" }), "The token is of another issuer."),
        (json!({ "tenant": null }), "The token names no tenant."),
        (json!({ "tenant": "a\u{0}b" }), "The token names no tenant."),
        (json!({ "sub": "" }), "The token names no subject."),
    ] {
        assert_eq!(refusal(&replica, &rsa.sign(&issuer.claims(&claims))).await, detail, "{claims}");
    }
    for missing in ["exp", "iss", "aud", "sub"] {
        let mut claims = issuer.claims(&json!({}));
        claims.as_object_mut().unwrap().remove(missing);
        assert_eq!(refusal(&replica, &rsa.sign(&claims)).await, "The token lacks one of the claims exp, iss, aud and sub.", "{missing}");
    }
    // A clock that is a little behind keeps nobody out.
    me(&replica, &rsa.sign(&issuer.claims(&json!({ "exp": now() - 1 })))).await;

    let good = rsa.sign(&issuer.claims(&json!({})));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (_, claims) = signed.split_once('.').unwrap();
    let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let shared = |secret: &[u8]| {
        let header = Header { kid: Some("one".into()), ..Header::new(Algorithm::HS256) };
        encode(&header, &issuer.claims(&json!({})), &EncodingKey::from_secret(secret)).unwrap()
    };
    for token in [
        format!("{unsigned}.{claims}."),
        format!("{unsigned}.{claims}.{signature}"),
        format!("{signed}."),
        stranger.sign(&issuer.claims(&json!({}))),
        shared(rsa.modulus().as_bytes()),
        shared(&URL_SAFE_NO_PAD.decode(rsa.modulus()).unwrap()),
        shared(b""),
        "a.b.c".to_owned(),
        good.replacen('.', "..", 1),
    ] {
        refusal(&replica, &token).await;
    }
    assert_eq!(issuer.asked(), 1, "what is not good was asked for");
    replica.stop().await;
    // Where no issuer is named, no token opens anything.
    let without = world.start().await;
    assert_eq!(refusal(&without, &good).await, "The API key is not known, has expired or was revoked.");
    without.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_changed_without_a_restart_and_an_issuer_out_of_reach_keeps_nobody_out_who_is_known() {
    let world = World::new().await;
    let (old, new, later) = (SigningKey::rsa("old"), SigningKey::elliptic("new"), SigningKey::elliptic("later"));
    let issuer = Issuer::start(&[&old]).await;
    issuer.goes(true);
    let keep = [("NOTIFIER__OIDC__KEEP_KEYS", "1s")];
    let replica = start(&world, &issuer, &keep).await;
    let claims = issuer.claims(&json!({}));
    // Nobody knows whether it is good.
    let unknown = ask(&replica, "/v1/me", &old.sign(&claims)).await;
    assert_eq!(unknown.headers()["retry-after"], "1");
    problem(unknown, StatusCode::SERVICE_UNAVAILABLE).await;
    issuer.goes(false);
    eventually("the issuer is back", || async {
        (ask(&replica, "/v1/me", &old.sign(&claims)).await.status() == StatusCode::OK).then_some(())
    })
    .await;

    issuer.publishes(&[&old, &new]);
    eventually("the new key is known", || async {
        (ask(&replica, "/v1/me", &new.sign(&claims)).await.status() == StatusCode::OK).then_some(())
    })
    .await;
    // Many who come with a key that nobody has do not make it ask each time.
    let asked = issuer.asked();
    for _ in 0..20 {
        refusal(&replica, &later.sign(&claims)).await;
    }
    assert!(issuer.asked() - asked <= 3, "{} times", issuer.asked() - asked);

    issuer.goes(true);
    eventually("a key that is not known cannot be told", || async {
        (ask(&replica, "/v1/me", &later.sign(&claims)).await.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    let asked = issuer.asked();
    eventually("it was asked whether it still has the key", || async {
        me(&replica, &new.sign(&claims)).await;
        (issuer.asked() >= asked + 3).then_some(())
    })
    .await;
    issuer.publishes(&[&new]);
    issuer.goes(false);
    eventually("the old key is no longer good", || async {
        (ask(&replica, "/v1/me", &old.sign(&claims)).await.status() == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    me(&replica, &new.sign(&claims)).await;
    replica.stop().await;
}
