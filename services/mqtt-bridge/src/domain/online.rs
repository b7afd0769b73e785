use std::collections::BTreeSet;

use events::{DeviceKey, DeviceState, DeviceStatus, Timestamp};

/// The devices that said they are online and nothing else since: those of whom nothing is known once the broker is lost.
#[derive(Debug, Default)]
pub struct Online(BTreeSet<DeviceKey>);

impl Online {
    pub fn heard(&mut self, status: &DeviceStatus) {
        let key = DeviceKey::new(&status.tenant, &status.device_id);
        if status.state == DeviceState::Online {
            self.0.insert(key);
        } else {
            self.0.remove(&key);
        }
    }

    /// The broker, and with it all devices, was lost at `at`: each is unknown until it is heard of again.
    pub fn lost(&mut self, at: Timestamp) -> Vec<DeviceStatus> {
        let unknown = |DeviceKey { tenant, device_id }| DeviceStatus {
            tenant,
            device_id,
            state: DeviceState::Unknown,
            reason: "broker_lost".to_owned(),
            changed_at: at,
        };
        std::mem::take(&mut self.0).into_iter().map(unknown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_device_whose_last_word_was_online_becomes_unknown_and_only_once() {
        let mut online = Online::default();
        for (device, state) in [
            ("d-1", DeviceState::Online),
            ("d-2", DeviceState::Online),
            ("d-2", DeviceState::Offline),
            ("d-3", DeviceState::Retired),
            ("d-4", DeviceState::Offline),
            ("d-4", DeviceState::Online),
        ] {
            let (device_id, reason) = (device.to_owned(), String::new());
            online.heard(&DeviceStatus { tenant: "default".into(), device_id, state, reason, changed_at: Timestamp::default() });
        }
        let at = Timestamp::from_micros(7);
        let lost = online.lost(at);
        let said = lost.iter().map(|status| (status.device_id.as_str(), status.state, status.changed_at)).collect::<Vec<_>>();
        assert_eq!(said, [("d-1", DeviceState::Unknown, at), ("d-4", DeviceState::Unknown, at)]);
        assert!(online.lost(at).is_empty());
    }
}
