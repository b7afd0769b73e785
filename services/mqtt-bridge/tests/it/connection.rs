//! How the bridge connects: TLS, logins, several connections, shared subscriptions, and what it says of itself.

use std::collections::BTreeSet;
use std::path::Path;

use events::{Reading, topics};
use mqtt_bridge::app;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use testkit::{Mosquitto, Running, capture, eventually, free_port};

use crate::bridge::{Field, MQTT_3, Version, in_each_version};
use crate::device::Device;
use crate::session::payload;
use crate::wire::Packet;

in_each_version!(
    a_wrong_password_ends_the_bridge_and_the_right_one_from_a_file_lets_it_in,
    over_tls_each_side_shows_its_certificate_and_a_bridge_without_one_is_not_let_in,
    the_bridge_says_when_it_comes_and_goes_and_the_broker_when_it_is_lost,
    bridges_of_one_group_share_the_messages,
);

/// Writes `ca.pem`, and certificates with their keys for the broker and for the bridge.
fn certificates(folder: &Path) {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    for name in ["broker", "bridge"] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.signed_by(&key, &authority).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

async fn over_tls_each_side_shows_its_certificate_and_a_bridge_without_one_is_not_let_in(version: Version) {
    let tls = free_port();
    let lines = format!(
        "listener {tls} 127.0.0.1\ncafile @DATA@/ca.pem\ncertfile @DATA@/broker.pem\nkeyfile @DATA@/broker.key\nrequire_certificate true"
    );
    let field = Field::with(Mosquitto::prepared(&lines, certificates).await).await.speaking(version);
    let url = format!("mqtts://127.0.0.1:{tls}");
    let file = |name: &str| field.broker.folder().join(name).display().to_string();
    let (ca, certificate, key) = (file("ca.pem"), file("bridge.pem"), file("bridge.key"));
    let trusting = [("MQTT_BRIDGE__MQTT__URL", url.as_str()), ("MQTT_BRIDGE__MQTT__CA_FILE", ca.as_str())];

    let nameless = Running::start(field.config(&trusting), app::start).await;
    eventually("the broker wants a certificate", || async {
        nameless.health.not_ready().iter().any(|(part, why)| part == "mqtt" && why.contains("ertificate")).then_some(())
    })
    .await;
    nameless.stop().await.unwrap();

    let mut all = trusting.to_vec();
    all.extend([("MQTT_BRIDGE__MQTT__CERTIFICATE_FILE", certificate.as_str()), ("MQTT_BRIDGE__MQTT__KEY_FILE", key.as_str())]);
    let bridge = field.bridge(&all).await;
    let device = Device::connect(&field.broker, "d-1").await;
    device.publish("devices/d-1/telemetry", 1, payload(1)).await;
    assert_eq!(capture(&field.kit, topics::READINGS).events::<Reading>(1).await[0].sequence, Some(1));
    bridge.stop().await.unwrap();
}

async fn a_wrong_password_ends_the_bridge_and_the_right_one_from_a_file_lets_it_in(version: Version) {
    // Mosquitto's PBKDF2 of `open sesame`.
    let users = |folder: &Path| {
        let made = std::process::Command::new("mosquitto_passwd")
            .arg("-b")
            .arg("-c")
            .arg(folder.join("users"))
            .args(["bridge", "open sesame"])
            .status();
        assert!(made.unwrap().success());
        std::fs::write(folder.join("password"), "open sesame\n").unwrap();
    };
    let field = Field::with(Mosquitto::prepared("password_file @DATA@/users", users).await).await.speaking(version);
    let file = field.broker.folder().join("password").display().to_string();
    let user = ("MQTT_BRIDGE__MQTT__USERNAME", "bridge");

    let wrong = Running::start(field.config(&[user, ("MQTT_BRIDGE__MQTT__PASSWORD", "wrong")]), app::start).await;
    let failed = wrong.ended().await.unwrap_err();
    assert!(failed.problem.contains("BadUserNamePassword") || failed.problem.contains("NotAuthorized"), "{failed}");
    let bridge = field.bridge(&[user, ("MQTT_BRIDGE__MQTT__PASSWORD_FILE", &file)]).await;
    bridge.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_of_two_connections_have_a_session_each_and_all_messages_arrive() {
    let field = Field::new().await;
    let routes = r#"[{ name = "a", filter = "a/+/telemetry", payload = "metrics", device = "topic:2" },
                     { name = "b", filter = "b/+/telemetry", payload = "metrics", device = "topic:2", connection = "second" }]"#;
    let bridge = field.bridge(&[("MQTT_BRIDGE__ROUTES", routes)]).await;
    assert_eq!(field.wire.connections(), 2);
    let mut device = Device::connect(&field.broker, "gateway").await;
    for sequence in 0..200 {
        let side = ["a", "b"][sequence % 2];
        device.publish(&format!("{side}/{side}-1/telemetry"), 1, payload(sequence as i64)).await;
    }
    device.acknowledged(200).await;
    let found = capture(&field.kit, topics::READINGS).events::<Reading>(200).await;
    for side in ["a-1", "b-1"] {
        let sequences: Vec<_> = found.iter().filter(|reading| reading.device_id == side).map(|reading| reading.sequence).collect();
        assert!(sequences.len() == 100 && sequences.is_sorted(), "{side}: {sequences:?}");
    }
    bridge.stop().await.unwrap();
    field.wire.assert_acknowledged_in_order();
}

async fn bridges_of_one_group_share_the_messages(version: Version) {
    let field = Field::new().await.speaking(version);
    let group = ("MQTT_BRIDGE__MQTT__SHARED_GROUP", "bridges");
    let mut bridges = Vec::new();
    for id in ["bridge-1", "bridge-2"] {
        bridges.push(field.bridge(&[group, ("MQTT_BRIDGE__MQTT__CLIENT_ID", id)]).await);
    }
    let device = Device::connect(&field.broker, "d-1").await;
    for sequence in 0..100 {
        device.publish("devices/d-1/telemetry", 1, payload(sequence)).await;
    }
    let mut readings = capture(&field.kit, topics::READINGS);
    let found: BTreeSet<_> = readings.events::<Reading>(100).await.into_iter().map(|reading| reading.sequence).collect();
    assert_eq!(found.len(), 100, "each came once");
    let seen = field.wire.seen();
    let took = |connection| seen.iter().filter(|seen| seen.connection == connection).count();
    assert!(took(1) > 0 && took(2) > 0, "{} and {}", took(1), took(2));
    for bridge in bridges {
        bridge.stop().await.unwrap();
    }
    assert_eq!(readings.rest().await, []);
}

async fn the_bridge_says_when_it_comes_and_goes_and_the_broker_when_it_is_lost(version: Version) {
    let field = Field::new().await.speaking(version);
    let topic = ("MQTT_BRIDGE__MQTT__STATUS_TOPIC", "bridges/one/status");
    let mut statuses = Device::subscribe(&field.broker, "observer", topic.1).await;
    let bridge = field.bridge(&[topic]).await;
    assert_eq!(statuses.recv().await.as_deref(), Some("online"));
    let level = if version == MQTT_3 { 4 } else { 5 };
    assert_eq!(field.wire.seen()[0].packet, Packet::Connect(level));
    field.wire.cut();
    assert_eq!(statuses.recv().await.as_deref(), Some("offline"));
    assert_eq!(statuses.recv().await.as_deref(), Some("online"));
    bridge.stop().await.unwrap();
    assert_eq!(statuses.recv().await.as_deref(), Some("offline"));
}
