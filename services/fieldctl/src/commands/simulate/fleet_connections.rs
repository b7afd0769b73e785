//! Synthetic devices as MQTT clients. Each has a connection of its own with a birth and a will; a fleet too large for
//! that shares connections, and then nobody has a will (MQTT has one a connection).

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::actuators::{self, Actuators};
use crate::adapters::mqtt::{Broker, Connection, Presence};
use crate::domain::fleet::{FleetPlan, Step};
use crate::domain::payload::{commands_topic, of_step, status_topic, telemetry_topic};

const MOST_CONNECTIONS: usize = 200;
/// Whoever asked to stop does not wait longer.
const PATIENCE_AT_END: Duration = Duration::from_secs(4);

pub(crate) struct FleetConnections {
    connections: Vec<Connection>,
    plan: FleetPlan,
    /// Devices at work; ends with the fleet.
    acting: JoinSet<anyhow::Result<()>>,
}

impl FleetConnections {
    pub(crate) async fn connect(broker: &Broker, plan: &FleetPlan, actuators: &actuators::Arguments) -> anyhow::Result<Self> {
        let (run, has_wills) = (Uuid::new_v4().simple().to_string(), plan.devices <= MOST_CONNECTIONS);
        let mut fleet = Self { connections: Vec::new(), plan: plan.clone(), acting: JoinSet::new() };
        let (inbox, messages) = mpsc::unbounded_channel();
        for number in 0..plan.devices.min(MOST_CONNECTIONS) {
            let device_id = plan.device_id(number);
            let topic = status_topic(&device_id);
            let presence = has_wills.then_some(Presence { topic: &topic, birth: "online", will: "offline" });
            let client_id = format!("{device_id}-{}", &run[..8]);
            fleet.connections.push(broker.connect_and_hear(&client_id, presence, Some(inbox.clone())).await?);
        }
        if actuators.actuators {
            let devices = (0..plan.devices).map(|device| (plan.device_id(device), fleet.connection(device).outbound()));
            fleet.acting.spawn(Actuators::new(actuators, devices.collect::<Vec<_>>().into_iter())?.run(messages));
            for device in 0..plan.devices {
                fleet.connection(device).subscribe(&commands_topic(&plan.device_id(device))).await?;
            }
        }
        if !has_wills {
            fleet.announce("online").await?;
        }
        Ok(fleet)
    }

    pub(crate) async fn send(&mut self, step: &Step) -> anyhow::Result<bool> {
        if let Some(ended) = self.acting.try_join_next() {
            ended??;
        }
        let Some(payload) = of_step(step) else { return Ok(false) };
        let topic = telemetry_topic(&self.plan.device_id(step.device));
        self.connection(step.device).publish(&topic, false, payload).await?;
        Ok(true)
    }

    /// Says goodbye for every device, waits for the acknowledgements and leaves.
    pub(crate) async fn finish(mut self) -> anyhow::Result<()> {
        self.acting.shutdown().await;
        self.announce("offline").await?;
        let waiting = self.connections.iter_mut().map(|connection| connection.acknowledged(PATIENCE_AT_END));
        futures::future::try_join_all(waiting).await?;
        futures::future::try_join_all(self.connections.into_iter().map(Connection::disconnect)).await?;
        Ok(())
    }

    async fn announce(&self, state: &str) -> anyhow::Result<()> {
        for device in 0..self.plan.devices {
            let topic = status_topic(&self.plan.device_id(device));
            self.connection(device).publish(&topic, true, state.as_bytes().to_vec()).await?;
        }
        Ok(())
    }

    fn connection(&self, device: usize) -> &Connection {
        &self.connections[device % self.connections.len()]
    }
}
