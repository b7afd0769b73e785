use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use service::Mistake;
use stream::dlq::DlqLimit;
use stream::sink::SinkConfig;

use crate::domain::CommandTopics;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandsConfig {
    pub enabled: bool,
    pub topic: String,
    pub tenants: BTreeMap<String, String>,
    pub max_batch: usize,
    #[serde(with = "humantime_serde")]
    pub wait: Duration,
    pub dlq_limit: DlqLimit,
}

impl CommandsConfig {
    pub fn topics(&self) -> Result<CommandTopics, Mistake> {
        CommandTopics::new(&self.topic, &self.tenants).map_err(|problem| Mistake::new("commands.topic", problem))
    }

    pub fn sink(&self) -> SinkConfig {
        SinkConfig { max_batch: self.max_batch.max(1), wait: self.wait, dlq_limit: self.dlq_limit }
    }
}
