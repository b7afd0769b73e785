use crate::adapters::mqtt::client::Received;

/// Which connection a message came on. Packet ids are the connection's own: on another one they name other messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(u64);

/// A message that may be acknowledged: PUBACK at `QoS` 1, PUBREC at `QoS` 2.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    pub epoch: Epoch,
    /// 1 or 2.
    pub qos: u8,
    pub packet_id: u16,
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
    pub fn of(received: &Received, epoch: Epoch) -> Option<Self> {
        (received.message.qos > 0).then_some(Self { epoch, qos: received.message.qos, packet_id: received.packet_id })
    }
}
