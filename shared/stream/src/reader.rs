//! The client context of consumers that are no members of a group: the end of a partition is no error to them.

use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reader;

impl ClientContext for Reader {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::warn!(%error, reason, "kafka");
        }
    }
}

impl ConsumerContext for Reader {}
