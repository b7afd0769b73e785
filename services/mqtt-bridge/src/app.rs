//! Wires the bridge: the MQTT session, the source into Kafka, the redrive.

use std::sync::Arc;
use std::time::Duration;

use events::{DeviceStatus, Reading};
use service::{Health, Shutdown, StartResult, Supervisor};
use stream::producer::GiveUp;
use stream::source::{Releaser, source};
use stream::{EventWriter, Publisher, Registry, sink};
use tokio::sync::mpsc;

use crate::NAME;
use crate::adapters::mqtt::Session;
use crate::adapters::{InFlight, Intake, Receipt, Records, Redrive, watch};
use crate::config::{Config, bytes};

/// How long deliveries are waited for when the service stops; less than the supervisor's grace.
const DRAIN: Duration = Duration::from_secs(10);

/// Starts the service's parts.
pub async fn start(config: Config, health: &Health, supervisor: &mut Supervisor) -> StartResult {
    let shutdown = supervisor.shutdown();
    let routes = config.routes().map_err(|mistakes| anyhow::anyhow!("routes: {mistakes:?}"))?;
    let registry = Registry::connect(&config.registry)?;
    let (session_check, kafka_check) = (health.check("mqtt"), health.check("kafka"));
    let writer = || async { EventWriter::new(NAME, &config.kafka).with::<Reading>(&registry).await?.with::<DeviceStatus>(&registry).await };
    let Some(writer) = registry.until_reached(&health.check("registry"), &shutdown, writer).await? else { return Ok(()) };
    let records = Records::new(writer, &config.kafka);

    let publisher = Publisher::connect(&config.kafka, NAME, GiveUp::Never)?;
    let limits = &config.limits;
    let (source, releaser) = source(publisher.clone(), bytes(limits.in_flight_bytes), limits.in_flight_messages);
    let (acknowledgements, to_send) = mpsc::unbounded_channel();
    let in_flight = Arc::new(InFlight::default());
    let session = Session::new(&config.mqtt, &routes, to_send, session_check)?;
    let intake = Intake::new(routes.clone(), records.clone(), source, acknowledgements, Arc::clone(&in_flight), limits.rejects_per_second);

    supervisor.spawn("acknowledgements", acknowledge(releaser, shutdown.clone()));
    supervisor.spawn("deliveries", watch(in_flight, publisher, kafka_check, shutdown.clone()));
    supervisor.spawn("mqtt", async move { Ok(session.run(intake, shutdown).await?) });
    let redrive = Redrive::connect(routes, records, &config.kafka)?;
    sink::start(redrive, NAME, &[], &config.kafka, &config.redrive, health, supervisor);
    Ok(())
}

/// Acknowledges until everything taken is acknowledged; after a stop not for ever.
async fn acknowledge(releaser: Releaser<Receipt>, shutdown: Shutdown) -> anyhow::Result<()> {
    let too_long = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = releaser.run() => {
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
