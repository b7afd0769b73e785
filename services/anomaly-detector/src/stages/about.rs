//! Who a key is about: what its last reading said.

use events::{Anomaly, AnomalyState, Labels, Model, Reading, Timestamp, identity};
use serde::{Deserialize, Serialize};

use crate::domain::lifecycle::{Excursion, Transition};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) tenant: String,
    pub(crate) device_id: String,
    pub(crate) group_id: Option<String>,
}

impl About {
    /// Takes over what a reading says; nothing is copied where it says what is known.
    pub(crate) fn follow(&mut self, reading: &Reading) {
        let Reading { tenant, device_id, group_id, .. } = reading;
        if (&self.tenant, &self.device_id, &self.group_id) != (tenant, device_id, group_id) {
            *self = Self { tenant: tenant.clone(), device_id: device_id.clone(), group_id: group_id.clone() };
        }
    }
}

/// An anomaly of `metric` that says no more than whose it is, by what, and since when.
pub(crate) fn anomaly(about: &About, metric: &str, transition: Transition, model: Model, changed_at: Timestamp) -> Anomaly {
    let (state, Excursion { started_at_micros, .. }) = match transition {
        Transition::Opened(excursion) => (AnomalyState::Opened, excursion),
        Transition::Closed(excursion) => (AnomalyState::Closed, excursion),
    };
    let About { tenant, device_id, group_id } = about;
    let started_at = Timestamp::from_micros(started_at_micros);
    Anomaly {
        tenant: tenant.clone(),
        anomaly_id: identity::excursion_id("anomaly", tenant, &model.name, device_id, metric, started_at).to_string(),
        device_id: device_id.clone(),
        group_id: group_id.clone(),
        metric: metric.to_owned(),
        state,
        score: 0.0,
        threshold: 0.0,
        value: 0.0,
        expected: None,
        band_low: None,
        band_high: None,
        confidence: 0.0,
        started_at,
        changed_at,
        model,
        contributions: Vec::new(),
        labels: Labels::new(),
    }
}
