//! Wires the bridge: for each connection an MQTT session and a source into Kafka; the redrive.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use events::{Blob, DeviceStatus, Reading, ReportedState, topics};
use service::{Health, Shutdown, StartResult, Supervisor};
use stream::source::{Acknowledge, Keeper, Keeping, Reader, source};
use stream::spool::{Spool, SpoolLimits};
use stream::{EventWriter, Failure, Registry, sink};
use tokio::sync::mpsc;

use crate::adapters::mqtt::{AnyDoor, AnySession};
use crate::adapters::{BlobFolder, BlobStore, Commands, InFlight, Intake, KafkaWatch, MqttReader, Records, RecordsLater, Redrive};
use crate::config::{BlobsConfig, Config, SpoolConfig, bytes};
use crate::domain::MAIN_CONNECTION;
use crate::{COMMANDS, NAME};

/// How long deliveries are waited for when the service stops; less than the supervisor's grace.
const DRAIN: Duration = Duration::from_secs(10);

/// Starts the service's parts.
pub async fn start(config: Config, health: &Health, supervisor: &mut Supervisor) -> StartResult {
    let shutdown = supervisor.shutdown();
    let routes = config.routes().map_err(|mistakes| anyhow::anyhow!("routes: {mistakes:?}"))?;
    let registry = Registry::connect(&config.registry)?;
    let blobs = blobs(&config.blobs)?;
    if let Some(store) = blobs.clone().filter(|_| !config.blobs.keep.is_zero()) {
        supervisor.spawn("blobs", expire(store, config.blobs.keep, shutdown.clone()));
    }
    let (records, in_flight) = (RecordsLater::default(), Arc::new(InFlight::default()));
    if config.commands.enabled {
        start_commands(&config, registry.clone(), health, supervisor)?;
    }
    supervisor.spawn("registry", {
        let (records, kafka, check, shutdown) = (records.clone(), config.kafka.clone(), health.check("registry"), shutdown.clone());
        async move {
            let writer = || async {
                let writer = EventWriter::new(NAME, &kafka)
                    .with::<Reading>(&registry)
                    .await?
                    .with::<DeviceStatus>(&registry)
                    .await?
                    .with::<ReportedState>(&registry)
                    .await?;
                if blobs.is_some() { writer.with::<Blob>(&registry).await } else { Ok(writer) }
            };
            if let Some(writer) = registry.until_reached(&check, &shutdown, writer).await? {
                records.set(Records::new(writer, &kafka, blobs));
            }
            shutdown.cancelled().await;
            Ok(())
        }
    });

    let connections = routes.connections();
    let mut sources = Vec::with_capacity(connections.len());
    for name in &connections {
        let keeping = keeping(config.spool.clone(), name).await?;
        let spools = keeping.is_some();
        let share = bytes(config.limits.in_flight_bytes) / connections.len();
        let (source, keeper) = source(&config.kafka, NAME, share, keeping);
        let (acknowledgements, to_send) = mpsc::unbounded_channel();
        let check = health.check(if *name == MAIN_CONNECTION { "mqtt".to_owned() } else { format!("mqtt-{name}") });
        let session = AnySession::new(&config.mqtt, &routes, name, to_send, check)?;
        let intake = Intake::new(source, acknowledgements, Arc::clone(&in_flight));
        sources.push(keeper.status());
        let reader = {
            let (routes, records) = (routes.clone(), records.clone());
            let (devices, rejects_per_second) = (config.limits.devices(), config.limits.rejects_per_second);
            async move {
                records.reached().await;
                Ok(MqttReader::new(routes, records.get()?.clone(), devices, rejects_per_second))
            }
        };
        supervisor.spawn(format!("acknowledgements-{name}"), acknowledge(keeper, reader, shutdown.clone()));
        let (records, shutdown) = (records.clone(), shutdown.clone());
        supervisor.spawn(format!("mqtt-{name}"), async move {
            // What cannot be read yet and has no disk to wait on stays with the broker.
            if !spools {
                tokio::select! {
                    () = records.reached() => {}
                    () = shutdown.cancelled() => return Ok(()),
                }
            }
            Ok(session.run(intake, shutdown).await?)
        });
    }
    let kafka_check = health.check("kafka");
    let spool_check = config.spool.is_on().then(|| health.check("spool"));
    let watch = KafkaWatch { in_flight, sources, kafka: config.kafka.clone(), kafka_check, spool_check };
    supervisor.spawn("deliveries", watch.run(shutdown));
    let redrive = Redrive::connect(routes.clone(), records, &config.kafka)?;
    sink::start(redrive, NAME, &[], &config.kafka, &config.redrive, health, supervisor);
    Ok(())
}

/// Commands go the other way, over a connection of their own.
fn start_commands(config: &Config, registry: Registry, health: &Health, supervisor: &mut Supervisor) -> StartResult {
    let topics = config.commands.topics().map_err(|mistake| anyhow::anyhow!("{mistake:?}"))?;
    let (doorway, door) = AnyDoor::new(&config.mqtt, health.check("mqtt-commands"))?;
    supervisor.spawn("mqtt-commands", async move { Ok(door.run().await?) });
    let commands = Commands::new(registry, doorway, topics);
    sink::start(commands, COMMANDS, &[topics::OUTBOUND_COMMANDS], &config.kafka, &config.commands.sink(), health, supervisor);
    Ok(())
}

fn blobs(config: &BlobsConfig) -> anyhow::Result<Option<Arc<dyn BlobStore>>> {
    if !config.is_on() {
        return Ok(None);
    }
    let folder = BlobFolder::open(&config.folder, &config.uri).with_context(|| format!("blobs.folder {}", config.folder.display()))?;
    Ok(Some(Arc::new(folder)))
}

/// Deletes blobs once they are too old.
async fn expire(store: Arc<dyn BlobStore>, keep: Duration, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut often = tokio::time::interval((keep / 10).clamp(Duration::from_secs(1), Duration::from_hours(1)));
    loop {
        tokio::select! {
            _ = often.tick() => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        let (store, before) = (Arc::clone(&store), SystemTime::now() - keep);
        match tokio::task::spawn_blocking(move || store.expire(before)).await? {
            Ok(0) => {}
            Ok(blobs) => tracing::info!(blobs, "deleted, being older than blobs.keep"),
            // They take room, no more: it is tried again.
            Err(error) => Failure::transient(error).note("blobs"),
        }
    }
}

/// The spool of a connection, in a folder of its name.
async fn keeping(config: SpoolConfig, connection: &str) -> anyhow::Result<Option<Keeping>> {
    if !config.is_on() {
        return Ok(None);
    }
    let folder = config.folder.join(connection);
    let limits = SpoolLimits { bytes: config.size.as_u64(), age: config.max_age };
    let keys = config.keys().map_err(|mistake| anyhow::anyhow!("{mistake}"))?;
    let spool = tokio::task::spawn_blocking(move || Spool::open(&folder, limits, keys)).await?.context("spool.encryption.key_file")?;
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
