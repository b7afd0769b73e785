//! Kafka or Postgres out of reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use testkit::{eventually, free_port};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::fixture::{Fixture, with_seeds};
use crate::writers::{event, finish, start_writers, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_deleted_while_kafka_is_away() {
    let fixture = Fixture::new().await;
    write(&fixture.pool, &[event(&fixture.topic, "n-1", "1"), event(&fixture.topic, "n-1", "2")]).await;
    let nowhere = format!("127.0.0.1:{}", free_port());
    let relay = fixture.relay(&[("FIELDWATCH__KAFKA__BROKERS", &nowhere)]).await;
    relay.until_not_ready("kafka").await;
    fixture.until_shares(&[64]).await;
    assert_eq!(fixture.pending().await, 2);
    relay.stop().await;
    assert_eq!(fixture.pending().await, 2);

    let relay = fixture.relay(&[]).await;
    fixture.until_empty().await;
    relay.until_ready().await;
    relay.stop().await;
    assert_eq!(fixture.published().await, fixture.written().await);
}

/// Stands before Postgres and can be cut.
struct Cable {
    port: u16,
    plugged: Arc<AtomicBool>,
    cut: watch::Sender<()>,
}

impl Cable {
    async fn plug(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (plugged, cut) = (Arc::new(AtomicBool::new(true)), watch::Sender::new(()));
        let (open, cuts) = (Arc::clone(&plugged), cut.clone());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if !open.load(Ordering::SeqCst) {
                    continue;
                }
                let (mut cut, server) = (cuts.subscribe(), server.clone());
                tokio::spawn(async move {
                    let mut upstream = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut upstream) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { port, plugged, cut }
    }

    fn set(&self, plugged: bool) {
        self.plugged.store(plugged, Ordering::SeqCst);
        self.cut.send_replace(());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_going_away_loses_nothing() {
    with_seeds(cut_postgres_off).await;
}

async fn cut_postgres_off(seed: u64) {
    let fixture = Fixture::new().await;
    let server = fixture.database.url.split('@').nth(1).unwrap().split('/').next().unwrap().to_owned();
    let cable = Cable::plug(server.clone()).await;
    let through = fixture.database.url.replace(&server, &format!("127.0.0.1:{}", cable.port));
    let relay = fixture.relay(&[("OUTBOX_RELAY__DATABASE__URL", &through), ("OUTBOX_RELAY__RELAY__BATCH", "100")]).await;
    let writers = start_writers(&fixture.pool, &fixture.topic, seed, 2, 100);
    for _ in 0..2 {
        let before = fixture.published().await.len();
        eventually("it relays", || async { (fixture.published().await.len() > before || fixture.pending().await == 0).then_some(()) })
            .await;
        cable.set(false);
        relay.until_not_ready("postgres").await;
        cable.set(true);
        relay.until_ready().await;
    }
    finish(writers).await;
    fixture.until_empty().await;
    relay.stop().await;
    fixture.published().await.assert_repeats_only(&fixture.written().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_refuses_us_ends_the_relay_with_one_clear_line() {
    let fixture = Fixture::new().await;
    let password = fixture.database.url.split(['@', ':']).nth(2).unwrap();
    let refused = fixture.database.url.replace(password, "wrong");
    let relay = fixture.relay(&[("OUTBOX_RELAY__DATABASE__URL", &refused)]).await;
    let failure = relay.failure().await;
    assert!(failure.starts_with("relay: postgres:") && failure.contains("password authentication failed"), "{failure}");
}
