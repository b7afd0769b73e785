//! Kafka, MQTT and HTTP, as the commands need them.

pub(crate) mod api;
pub(crate) mod log_reader;
pub(crate) mod mqtt;
pub(crate) mod notification_stream;
pub(crate) mod outlet;
pub(crate) mod resume_file;
pub(crate) mod signals;
pub(crate) mod value;
