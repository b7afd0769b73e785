//! One change as streams send it, written once for all of them, and not at all when nobody listens.

use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use events::Notification;
use events::trace::TraceContext;
use stream::{Failure, Record, Registry, decode};

use crate::adapters::document::NotificationDocument;
use crate::domain::position::Position;

/// A record of notifications.v1.
#[derive(Clone, Debug)]
pub struct Frame {
    pub partition: i32,
    pub offset: i64,
    pub notification: Arc<Notification>,
    pub(super) data: OnceLock<Bytes>,
    /// Context of whoever published the record.
    pub trace: Option<TraceContext>,
    /// Where the hub stood after it.
    pub position: Arc<Position>,
}

impl Frame {
    /// Reads a record; the position is the hub's to set.
    pub async fn read(registry: &Registry, record: &Record) -> Result<Self, Failure> {
        let value = record.value.as_deref().unwrap_or_default();
        let notification: Notification = decode::decode(registry, value).await?;
        Ok(Self {
            partition: record.position.partition,
            offset: record.position.offset,
            notification: Arc::new(notification),
            data: OnceLock::new(),
            trace: record.cause().trace,
            position: Arc::default(),
        })
    }

    /// The notification as JSON.
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "strings, numbers and maps of strings are always JSON")]
    pub fn data(&self) -> &Bytes {
        self.data.get_or_init(|| {
            let document = NotificationDocument::from(&*self.notification);
            serde_json::to_vec(&document).expect("JSON").into()
        })
    }
}
