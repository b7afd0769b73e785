//! Who a key is about: what its last reading said.

use events::Reading;
use serde::{Deserialize, Serialize};

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
