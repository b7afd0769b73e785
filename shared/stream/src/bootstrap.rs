//! A client that has lost sight of every broker bootstraps again.
//!
//! A broker that is shutting down answers that its cluster has no brokers. librdkafka (2.10 and later) believes it and drops
//! them all, those of `bootstrap.servers` too, and asks nobody any more: such a client is deaf until its process ends
//! (<https://github.com/confluentinc/librdkafka/issues/5301>). No error says so, but its statistics do. So a client that is
//! polled is asked for them now and then, and one that names no brokers gets its bootstrap servers back. What asks without
//! polling puts them back itself when it got no answer: where brokers are known, that changes nothing.

use std::ffi::CString;
use std::sync::{Arc, OnceLock};

use rdkafka::ClientConfig;
use rdkafka::bindings::rd_kafka_brokers_add;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafka;

use crate::Failure;

/// How long a polled client may be deaf, in milliseconds.
const WATCHED_EVERY: &str = "5000";

/// The context of a client that needs no other, and part of every other: it logs the client's errors (the end of a partition
/// is none) and watches its brokers.
#[derive(Clone, Default)]
pub(crate) struct Bootstrap(Arc<OnceLock<Attached>>);

struct Attached {
    client: *mut RDKafka,
    servers: CString,
}

// SAFETY: librdkafka's functions may be called for one client from any thread.
#[expect(unsafe_code)]
unsafe impl Send for Attached {}
// SAFETY: as above.
#[expect(unsafe_code)]
unsafe impl Sync for Attached {}

impl Bootstrap {
    /// A client that is polled all the while is watched; for another the statistics would pile up.
    pub(crate) fn watch(config: &mut ClientConfig) -> &mut ClientConfig {
        config.set("statistics.interval.ms", WATCHED_EVERY)
    }

    /// A consumer that is no member of a group.
    pub(crate) fn consumer<T: FromClientConfigAndContext<Self> + Consumer<Self>>(config: &ClientConfig) -> Result<T, Failure> {
        let bootstrap = Self::default();
        let consumer = T::from_config_and_context(config, bootstrap.clone())?;
        bootstrap.attach(consumer.client(), config)?;
        Ok(consumer)
    }

    /// To be called once, with the client whose context this is part of.
    pub(crate) fn attach<C: ClientContext>(&self, client: &Client<C>, config: &ClientConfig) -> Result<(), Failure> {
        let servers = config.get("bootstrap.servers").unwrap_or_default();
        let servers = CString::new(servers).map_err(|_| Failure::fatal("bootstrap.servers has a NUL in it"))?;
        let _ = self.0.set(Attached { client: client.native_ptr(), servers });
        Ok(())
    }

    /// Puts the bootstrap servers back.
    pub(crate) fn again(&self) {
        if let Some(Attached { client, servers }) = self.0.get() {
            // SAFETY: a context is asked by its client, or through it, so the client lives.
            #[expect(unsafe_code)]
            unsafe {
                rd_kafka_brokers_add(*client, servers.as_ptr());
            }
        }
    }
}

impl ClientContext for Bootstrap {
    fn stats_raw(&self, statistics: &[u8]) {
        if !knows_brokers(statistics) {
            tracing::warn!("kafka: no broker is known any more, the bootstrap servers are asked again");
            self.again();
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::warn!(%error, reason, "kafka");
        }
    }
}

/// Whether statistics name a broker with an address: the others are the client's own devices.
fn knows_brokers(statistics: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Statistics<'a> {
        #[serde(borrow)]
        brokers: std::collections::BTreeMap<&'a str, Broker<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct Broker<'a> {
        source: &'a str,
    }
    serde_json::from_slice::<Statistics<'_>>(statistics)
        .is_ok_and(|statistics| statistics.brokers.values().any(|broker| matches!(broker.source, "learned" | "configured")))
}

impl ConsumerContext for Bootstrap {}

impl AsRef<Bootstrap> for Bootstrap {
    fn as_ref(&self) -> &Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use rdkafka::consumer::BaseConsumer;

    use super::*;
    use crate::watermarks::watermarks;

    const WITHIN: Duration = Duration::from_secs(10);

    /// A metadata request of version 0.
    const METADATA_0: [u8; 4] = [0, 3, 0, 0];

    /// As much of a broker as a client asks for metadata; while `leaving`, it says that the cluster has no brokers.
    struct Broker {
        port: u16,
        leaving: Arc<AtomicBool>,
    }

    impl Broker {
        fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let leaving = Arc::new(AtomicBool::new(false));
            let says = Arc::clone(&leaving);
            std::thread::spawn(move || {
                for connection in listener.incoming() {
                    let (connection, leaving) = (connection.unwrap(), Arc::clone(&says));
                    std::thread::spawn(move || serve(connection, port, &leaving));
                }
            });
            Self { port, leaving }
        }
    }

    /// Answers metadata requests until the client hangs up or asks for something else.
    fn serve(mut connection: TcpStream, port: u16, leaving: &AtomicBool) -> std::io::Result<()> {
        loop {
            let mut size = [0; 4];
            connection.read_exact(&mut size)?;
            let mut request = vec![0; u32::from_be_bytes(size) as usize];
            connection.read_exact(&mut request)?;
            if request[..4] != METADATA_0 {
                return Ok(());
            }
            let mut answer = request[4..8].to_vec();
            let text = |text: &str| [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat();
            let leads = !leaving.load(Ordering::SeqCst);
            answer.extend(i32::from(leads).to_be_bytes());
            if leads {
                answer.extend(1_i32.to_be_bytes());
                answer.extend(text("127.0.0.1"));
                answer.extend(i32::from(port).to_be_bytes());
            }
            // One topic, no error; one partition, no error, its number, its leader, no replicas.
            answer.extend([0, 0, 0, 1, 0, 0]);
            answer.extend(text("readings"));
            answer.extend([0, 0, 0, 1, 0, 0]);
            for number in [0, if leads { 1 } else { -1 }, 0, 0] {
                answer.extend(i32::to_be_bytes(number));
            }
            connection.write_all(&(answer.len() as u32).to_be_bytes())?;
            connection.write_all(&answer)?;
        }
    }

    /// Has been told that there are no brokers, by one that is there again.
    fn deaf<C: ConsumerContext + AsRef<Bootstrap> + Default>(broker: &Broker, watched_every: &str) -> BaseConsumer<C> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", format!("127.0.0.1:{}", broker.port))
            .set("api.version.request", "false")
            .set("broker.version.fallback", "0.9.0.1")
            .set("statistics.interval.ms", watched_every);
        let consumer: BaseConsumer<C> = config.create_with_context(C::default()).unwrap();
        (**consumer.context()).as_ref().attach(consumer.client(), &config).unwrap();
        for (leaving, brokers) in [(false, 1), (true, 0)] {
            broker.leaving.store(leaving, Ordering::SeqCst);
            assert_eq!(consumer.fetch_metadata(Some("readings"), WITHIN).unwrap().brokers().len(), brokers);
        }
        broker.leaving.store(false, Ordering::SeqCst);
        consumer
    }

    fn until(what: &str, done: impl Fn() -> bool) {
        let started = Instant::now();
        while !done() {
            assert!(started.elapsed() < WITHIN, "{what}");
        }
    }

    fn finds_them_again<C: ConsumerContext + AsRef<Bootstrap> + Default>() {
        let broker = Broker::start();
        for round in 0..20 {
            let consumer: BaseConsumer<C> = deaf(&broker, "20");
            until(&format!("round {round}: nobody is asked any more"), || {
                assert!(consumer.poll(Duration::ZERO).is_none());
                consumer.fetch_metadata(Some("readings"), Duration::from_millis(20)).is_ok()
            });
        }
    }

    #[test]
    fn a_client_that_was_told_of_no_brokers_finds_them_again() {
        finds_them_again::<Bootstrap>();
    }

    #[test]
    fn so_does_a_member_of_a_group() {
        finds_them_again::<crate::consumer::Context>();
    }

    #[test]
    fn so_does_one_that_is_not_polled() {
        let broker = Broker::start();
        for round in 0..20 {
            let consumer: BaseConsumer<Bootstrap> = deaf(&broker, "0");
            // The broker of this test closes the connection of whoever asks it for offsets.
            until(&format!("round {round}: nobody is asked any more"), || {
                let _ = watermarks(&consumer, "readings", 0, Duration::from_millis(20));
                consumer.fetch_metadata(Some("readings"), Duration::from_millis(20)).is_ok()
            });
        }
    }
}
