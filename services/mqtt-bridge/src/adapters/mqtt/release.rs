use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Publish;

/// Which connection a message came on. Packet ids are the connection's own: on another one they name other messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(u64);

/// A message that may be acknowledged: PUBACK at `QoS` 1, PUBREC at `QoS` 2.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    pub epoch: Epoch,
    qos: QoS,
    packet_id: u16,
}

impl Epoch {
    pub fn first() -> Self {
        Self(1)
    }

    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Release {
    /// `None` at `QoS` 0.
    pub fn of(publish: &Publish, epoch: Epoch) -> Option<Self> {
        (publish.qos != QoS::AtMostOnce).then_some(Self { epoch, qos: publish.qos, packet_id: publish.pkid })
    }

    /// As much of the message as its acknowledgement needs.
    pub fn publish(self) -> Publish {
        Publish { qos: self.qos, pkid: self.packet_id, ..Publish::default() }
    }
}
