//! From the broker into the source: what a message is owed, and taking it.

use std::sync::Arc;

use stream::Failure;
use stream::source::{Acknowledge, Message as _, Source};
use tokio::sync::mpsc::UnboundedSender;

use crate::adapters::in_flight::{Counted, InFlight};
use crate::adapters::message::MqttMessage;
use crate::adapters::mqtt::Release;
use crate::adapters::reader::MqttReader;

/// Takes messages.
pub struct Intake {
    source: Source<MqttReader, Receipt>,
    releases: UnboundedSender<Release>,
    in_flight: Arc<InFlight>,
}

/// What a message is owed once it is in Kafka or on disk.
pub struct Receipt {
    /// `None`: `QoS` 0, nobody waits.
    release: Option<Release>,
    releases: UnboundedSender<Release>,
    _counted: Counted,
}

impl Intake {
    pub fn new(source: Source<MqttReader, Receipt>, releases: UnboundedSender<Release>, in_flight: Arc<InFlight>) -> Self {
        Self { source, releases, in_flight }
    }

    /// Takes a message; `release` is sent once it is safe. Waits while too much is in flight.
    pub async fn take(&mut self, received: MqttMessage, release: Option<Release>) -> Result<(), Failure> {
        let counted = self.in_flight.count(received.size());
        let receipt = Receipt { release, releases: self.releases.clone(), _counted: counted };
        self.source.accept(received, receipt).await
    }
}

impl Acknowledge for Receipt {
    fn acknowledge(self) {
        if let Some(release) = self.release {
            // Nobody sends acknowledgements any more: the message stays unacknowledged and comes again.
            let _ = self.releases.send(release);
        }
    }
}
