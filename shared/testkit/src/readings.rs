use events::{DEFAULT_TENANT, Labels, Reading, Timestamp, UNIT_CELSIUS};

/// A temperature of a device of the default tenant, measured and received at the same time.
pub fn temperature(device_id: &str, at: Timestamp, value: f64) -> Reading {
    Reading {
        tenant: DEFAULT_TENANT.into(),
        device_id: device_id.into(),
        group_id: None,
        metric: "temperature".into(),
        value,
        unit: UNIT_CELSIUS.into(),
        measured_at: at,
        received_at: at,
        sequence: None,
        attributes: Labels::new(),
    }
}
