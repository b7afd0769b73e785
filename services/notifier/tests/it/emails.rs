//! E-mail by a mail server that takes it well, badly or not at all.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::eventually;

use crate::endpoint::quickly;
use crate::mail_server::{Answer, Encryption, MailServer, PASSWORD, USER};
use crate::world::{KEY, Replica, World, firing, problem};

/// A notifier that mails by this server.
async fn start(world: &World, server: &MailServer, overrides: &[(&str, &str)]) -> Replica {
    let port = server.port.to_string();
    let mut all = vec![
        ("NOTIFIER__SMTP__HOST", "localhost"),
        ("NOTIFIER__SMTP__PORT", &port),
        ("NOTIFIER__SMTP__TLS", "none"),
        ("NOTIFIER__SMTP__FROM", "Fieldwatch <alerts@example.com>"),
    ];
    all.extend_from_slice(overrides);
    let replica = world.start_with(&all).await;
    replica.put("/v1/emails/on-call", &json!({ "to": ["anna@example.com"] })).await;
    replica
}

/// Has the e-mail tested and waits until its one delivery is as told.
async fn tested(replica: &Replica, state: &str) -> Value {
    let made: Value = replica.post("/v1/emails/on-call/test", &json!({})).await.json().await.unwrap();
    let id = made["data"][0]["delivery_id"].as_str().unwrap().to_owned();
    ended(replica, &id, state).await
}

async fn ended(replica: &Replica, id: &str, state: &str) -> Value {
    let path = format!("/v1/emails/deliveries/{id}");
    eventually("the delivery ends", || async {
        let delivery = replica.get(&path).await;
        (delivery["state"] == state).then_some(delivery)
    })
    .await
}

fn statuses(delivery: &Value) -> Vec<Option<i64>> {
    delivery["attempt_log"].as_array().unwrap().iter().map(|attempt| attempt["status"].as_i64()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receivers_addresses_get_an_email_each_that_says_what_is_wrong() {
    let world = World::new().await;
    let server = MailServer::start(Encryption::None).await;
    let replica = start(&world, &server, &[]).await;
    let put = replica.put("/v1/emails/on-call", &json!({ "to": ["anna@example.com", "ben@example.com"] })).await;
    assert_eq!((&put["breaker"], &put["concurrency"]), (&json!("closed"), &json!(2)));
    // As it was read, it can be put back.
    replica.put("/v1/emails/on-call", &replica.get("/v1/emails/on-call").await).await;
    replica.put("/v1/receivers/ops", &json!({ "webhooks": [], "emails": ["on-call"] })).await;
    replica.put("/v1/routes", &quickly()).await;
    let alert = firing("sensor-01");
    world.alerts(std::slice::from_ref(&alert), 1).await;
    let mut mails = server.mails(2).await;
    mails.sort_by(|one, other| one.to.cmp(&other.to));
    assert_eq!([&mails[0].to, &mails[1].to], ["<anna@example.com>", "<ben@example.com>"]);
    assert_eq!((mails[0].header("To"), mails[0].header("From")), ("anna@example.com", "Fieldwatch <alerts@example.com>"));
    assert_eq!(mails[0].header("Subject"), "[WARNING] sensor-01: temperature 31.5 Cel is above 28 Cel");
    assert_eq!(mails[0].header("Auto-Submitted"), "auto-generated");
    assert!(
        mails[0].text.contains("\r\n1 notification new or changed\r\n") && mails[0].text.contains("device sensor-01, group cold-room-2")
    );

    eventually("both are delivered", || async { (world.count("delivery WHERE state = 'DELIVERED'").await == 2).then_some(()) }).await;
    let listed = replica.get("/v1/emails/on-call/deliveries").await;
    let of_anna = listed["data"].as_array().unwrap().iter().find(|delivery| delivery["recipient"] == "anna@example.com").unwrap();
    assert_eq!((&of_anna["email"], &of_anna["webhook"], &of_anna["last_status"]), (&json!("on-call"), &Value::Null, &json!(250)));
    let id = of_anna["delivery_id"].as_str().unwrap();
    assert_eq!(mails[0].header("Message-ID"), format!("<{id}@example.com>"));
    // It is an e-mail's, not a webhook's.
    problem(replica.ask(Method::GET, &format!("/v1/webhooks/deliveries/{id}")).await, StatusCode::NOT_FOUND).await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_mail_server_puts_off_comes_again_as_the_same_message_and_what_it_refuses_does_not() {
    let world = World::new().await;
    let server = MailServer::start(Encryption::None).await;
    let quick = [("NOTIFIER__DELIVERY__TIMEOUT", "1s"), ("NOTIFIER__DELIVERY__LONGEST_RETRY", "100ms")];
    let replica = start(&world, &server, &quick).await;
    server.answers(&[Answer::Greeting("421 busy"), Answer::Recipient("450 4.2.1 later"), Answer::Message("451 4.3.0 later"), Answer::Hang]);
    let delivery = tested(&replica, "DELIVERED").await;
    assert_eq!(statuses(&delivery), [Some(421), Some(450), Some(451), None, Some(250)]);
    let errors: Vec<&str> = delivery["attempt_log"].as_array().unwrap().iter().filter_map(|attempt| attempt["error"].as_str()).collect();
    assert_eq!(errors, ["answered 421 busy", "answered 450 4.2.1 later", "answered 451 4.3.0 later", "no answer in time"]);
    let received = server.received();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|mail| mail.text == received[0].text), "{received:?}");

    server.answers(&[Answer::Close, Answer::Recipient("550 5.1.1 no such user")]);
    let refused = tested(&replica, "FAILED").await;
    assert_eq!(statuses(&refused), [None, Some(550)]);
    assert_eq!(refused["last_error"], "answered 550 5.1.1 no such user");
    let id = refused["delivery_id"].as_str().unwrap();
    let again = replica.post(&format!("/v1/emails/deliveries/{id}/resend"), &json!({})).await;
    assert_eq!(again.status(), StatusCode::ACCEPTED);
    ended(&replica, id, "DELIVERED").await;
    assert_eq!(server.mails(4).await[3].header("Message-ID"), format!("<{id}@example.com>"));

    // Whoever is taken off the list gets nothing more.
    server.answers(&[Answer::Greeting("421 busy")]);
    let made: Value = replica.post("/v1/emails/on-call/test", &json!({})).await.json().await.unwrap();
    replica.put("/v1/emails/on-call", &json!({ "to": ["ben@example.com"] })).await;
    let failed = ended(&replica, made["data"][0]["delivery_id"].as_str().unwrap(), "FAILED").await;
    assert_eq!(failed["last_error"], "the address is no longer in the list");
    assert_eq!(server.received().len(), 4);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_keeps_failing_is_spared_and_comes_back() {
    let world = World::new().await;
    let server = MailServer::start(Encryption::None).await;
    let replica = start(&world, &server, &[("NOTIFIER__DELIVERY__LONGEST_RETRY", "100ms")]).await;
    server.answers(&[Answer::Message("451 later"); 5]);
    replica.post("/v1/emails/on-call/test", &json!({})).await;
    eventually("the breaker is open", || async { (replica.get("/v1/emails/on-call").await["breaker"] == "open").then_some(()) }).await;
    assert_eq!(server.received().len(), 5);
    let received = server.mails(6).await;
    assert!(received[5].at - received[4].at >= Duration::from_secs(4), "it was not spared");
    eventually("the breaker is closed", || async { (replica.get("/v1/emails/on-call").await["breaker"] == "closed").then_some(()) }).await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_is_only_talked_to_encrypted_and_a_wrong_password_loses_nothing() {
    for (encryption, tls) in [(Encryption::Starttls, "starttls"), (Encryption::Implicit, "implicit")] {
        let world = World::new().await;
        let server = MailServer::start(encryption).await;
        let certificate = server.certificate.path().to_str().unwrap();
        let encrypted = [("NOTIFIER__SMTP__TLS", tls), ("NOTIFIER__SMTP__USER", USER), ("NOTIFIER__DELIVERY__LONGEST_RETRY", "100ms")];
        // One that nobody vouches for is not trusted.
        let unknown = start(&world, &server, &[&encrypted[..], &[("NOTIFIER__SMTP__PASSWORD", PASSWORD)]].concat()).await;
        let made: Value = unknown.post("/v1/emails/on-call/test", &json!({})).await.json().await.unwrap();
        let id = made["data"][0]["delivery_id"].as_str().unwrap();
        let said = |replica: &Replica, what: &'static str| {
            let path = replica.url(&format!("/v1/emails/deliveries/{id}"));
            async move {
                eventually(what, || async {
                    let delivery: Value = reqwest::Client::new().get(&path).bearer_auth(KEY).send().await.unwrap().json().await.unwrap();
                    assert_eq!(delivery["state"], "PENDING");
                    delivery["last_error"].as_str().unwrap_or_default().contains(what).then_some(())
                })
                .await;
            }
        };
        said(&unknown, "no connection: invalid peer certificate: UnknownIssuer").await;
        unknown.stop().await;

        let trusting = [&encrypted[..], &[("NOTIFIER__SMTP__CA_FILE", certificate)]].concat();
        let stranger = start(&world, &server, &[&trusting[..], &[("NOTIFIER__SMTP__PASSWORD", "no")]].concat()).await;
        said(&stranger, "answered 535 5.7.8 wrong user or password").await;
        stranger.stop().await;
        assert_eq!(server.received().len(), 0);

        let known = start(&world, &server, &[&trusting[..], &[("NOTIFIER__SMTP__PASSWORD", PASSWORD)]].concat()).await;
        ended(&known, id, "DELIVERED").await;
        assert!(server.received()[0].encrypted);
        known.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mail_server_no_email_can_be_configured() {
    let world = World::new().await;
    let replica = world.start().await;
    let put = async |body: Value| replica.request(Method::PUT, "/v1/emails/on-call").bearer_auth(KEY).json(&body).send().await.unwrap();
    problem(put(json!({ "to": ["anna@example.com"] })).await, StatusCode::CONFLICT).await;
    replica.stop().await;
    let server = MailServer::start(Encryption::None).await;
    let replica = start(&world, &server, &[]).await;
    let put = async |body: Value| replica.request(Method::PUT, "/v1/emails/on-call").bearer_auth(KEY).json(&body).send().await.unwrap();
    let wrong = put(json!({ "to": ["anna@example.com", "x@example.com\r\nBcc: y@example.com"] })).await;
    assert_eq!(problem(wrong, StatusCode::BAD_REQUEST).await["errors"][0]["pointer"], "/to/1");
    let receiver = replica.request(Method::PUT, "/v1/receivers/ops").bearer_auth(KEY).json(&json!({ "webhooks": [], "emails": ["who"] }));
    let wrong = problem(receiver.send().await.unwrap(), StatusCode::BAD_REQUEST).await;
    assert_eq!(wrong["errors"][0]["pointer"], "/emails/0");
    replica.stop().await;
}
