//! The binary, as people use it.

use std::process::{Command, Output};

use crate::fixture::Fixture;
use crate::writers::{event, write};

pub(crate) fn outbox_relay(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_outbox-relay")).args(arguments).envs(environment.iter().copied()).output().unwrap()
}

pub(crate) fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stats_and_dead_tell_what_is_in_the_database() {
    let fixture = Fixture::new().await;
    let database = [("OUTBOX_RELAY__DATABASE__URL", fixture.database.url.as_str())];
    assert_eq!(printed(&outbox_relay(&["dead"], &database)), "no dead rows\n");

    write(&fixture.pool, &[event(&fixture.topic, "n-1", "x"), event(&fixture.topic, "n-1", "x"), event(&fixture.topic, "n-2", "x")]).await;
    let relay = fixture.relay(&[("OUTBOX_RELAY__RETRY__ATTEMPTS", "1"), ("OUTBOX_RELAY__RETRY__FIRST", "20ms")]).await;
    write(&fixture.pool, &[event("no.such.topic", "n-3", "lost")]).await;
    fixture.until_empty().await;
    fixture.until_shares(&[64]).await;
    let stats = printed(&outbox_relay(&["stats"], &database));
    assert!(stats.lines().any(|line| line.contains('/') && line.ends_with(" 64")), "{stats}");
    assert!(stats.ends_with("dead rows: 1\n"), "{stats}");
    relay.stop().await;
    write(&fixture.pool, &[event("a.topic", "n-1", "x"), event("a.topic", "n-1", "x")]).await;
    let stats = printed(&outbox_relay(&["stats"], &database));
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert!(stats.lines().any(|line| words(line).starts_with(&["a.topic".into(), "2".into(), "1".into()])), "{stats}");
    assert!(stats.lines().any(|line| words(line) == ["(nobody)", "64"]), "{stats}");
    let dead = printed(&outbox_relay(&["dead", "--limit", "5"], &database));
    assert!(dead.contains("no.such.topic  notification n-3  4 bytes") && dead.contains("the cluster has no topic"), "{dead}");
}

#[test]
fn a_wrong_configuration_is_told_whole_and_exits_64() {
    let wrong = [("OUTBOX_RELAY__RELAY__BATCH", "none"), ("OUTBOX_RELAY__LEASE__DURATION", "1s")];
    let output = outbox_relay(&["check-config"], &wrong);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{told}");
    assert!(told.contains("relay.batch") && told.contains("publish.timeout"), "{told}");
}
