//! Wires the bridge: the MQTT session, the source into Kafka, the redrive.

use std::sync::Arc;
use std::time::Duration;

use events::{DeviceStatus, Reading};
use service::{Health, Shutdown, StartResult, Supervisor};
use stream::source::{Acknowledge, Keeper, Keeping, Reader, source};
use stream::spool::{Spool, SpoolLimits};
use stream::{EventWriter, Failure, Registry, sink};
use tokio::sync::mpsc;

use crate::NAME;
use crate::adapters::mqtt::Session;
use crate::adapters::{InFlight, Intake, KafkaWatch, MqttReader, Records, RecordsLater, Redrive};
use crate::config::{Config, SpoolConfig, bytes};

/// How long deliveries are waited for when the service stops; less than the supervisor's grace.
const DRAIN: Duration = Duration::from_secs(10);

/// Starts the service's parts.
pub async fn start(config: Config, health: &Health, supervisor: &mut Supervisor) -> StartResult {
    let shutdown = supervisor.shutdown();
    let routes = config.routes().map_err(|mistakes| anyhow::anyhow!("routes: {mistakes:?}"))?;
    let registry = Registry::connect(&config.registry)?;
    let keeping = keeping(config.spool.clone()).await?;
    let spools = keeping.is_some();
    let (session_check, kafka_check) = (health.check("mqtt"), health.check("kafka"));
    let spool_check = spools.then(|| health.check("spool"));

    let limits = &config.limits;
    let (source, keeper) = source(&config.kafka, NAME, bytes(limits.in_flight_bytes), keeping);
    let (acknowledgements, to_send) = mpsc::unbounded_channel();
    let in_flight = Arc::new(InFlight::default());
    let session = Session::new(&config.mqtt, &routes, to_send, session_check)?;
    let intake = Intake::new(source, acknowledgements, Arc::clone(&in_flight));
    let watch = KafkaWatch { in_flight, sources: vec![keeper.status()], kafka: config.kafka.clone(), kafka_check, spool_check };

    let records = RecordsLater::default();
    let redrive = Redrive::connect(routes.clone(), records.clone(), &config.kafka)?;
    let (registry_check, stopping, kafka) = (health.check("registry"), shutdown.clone(), config.kafka.clone());
    let (rejects_per_second, made_later) = (limits.rejects_per_second, records.clone());
    let reader = async move {
        let writer = || async { EventWriter::new(NAME, &kafka).with::<Reading>(&registry).await?.with::<DeviceStatus>(&registry).await };
        let Some(writer) = registry.until_reached(&registry_check, &stopping, writer).await? else {
            return std::future::pending().await;
        };
        let made = Records::new(writer, &kafka);
        made_later.set(made.clone());
        Ok(MqttReader::new(routes, made, rejects_per_second))
    };
    supervisor.spawn("acknowledgements", acknowledge(keeper, reader, shutdown.clone()));
    supervisor.spawn("deliveries", watch.run(shutdown.clone()));
    supervisor.spawn("mqtt", async move {
        // What cannot be read yet and has no disk to wait on stays with the broker.
        if !spools {
            tokio::select! {
                () = records.reached() => {}
                () = shutdown.cancelled() => return Ok(()),
            }
        }
        Ok(session.run(intake, shutdown).await?)
    });
    sink::start(redrive, NAME, &[], &config.kafka, &config.redrive, health, supervisor);
    Ok(())
}

async fn keeping(config: SpoolConfig) -> anyhow::Result<Option<Keeping>> {
    if config.folder.as_os_str().is_empty() {
        return Ok(None);
    }
    let limits = SpoolLimits { bytes: config.size.as_u64(), age: config.max_age };
    let spool = tokio::task::spawn_blocking(move || Spool::open(&config.folder, limits)).await??;
    Ok(Some(Keeping { spool, away_after: config.away_after }))
}

/// Acknowledges until everything taken is acknowledged; after a stop not for ever.
async fn acknowledge<R: Reader, A: Acknowledge>(
    keeper: Keeper<R, A>,
    reader: impl Future<Output = Result<R, Failure>> + Send,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let too_long = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = keeper.run(reader) => {
            ended?;
            // The session ended: it says why, unless the service was told to stop.
            shutdown.cancelled().await;
            Ok(())
        }
        () = too_long => {
            tracing::warn!("stopped before Kafka had everything; the broker sends the rest again");
            Ok(())
        }
    }
}
