//! A dashboard: follows the notification stream from replica to replica, and goes on with Last-Event-ID where it broke.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use events::Timestamp;
use reqwest::{Method, Response};
use serde_json::Value;
use testkit::Api;
use testkit::ordeal::Shown;
use tokio::task::JoinHandle;

/// A comment is due every two seconds: who says nothing for so long is gone.
pub(crate) const KEEP_ALIVE: &str = "2s";
const SILENCE: Duration = Duration::from_secs(6);
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) shown: Vec<Shown>,
    /// When the notification of a device and an instant was shown first.
    pub(crate) opened: BTreeMap<(String, Timestamp), Instant>,
    pub(crate) resumed: usize,
}

pub(crate) struct Dashboard {
    seen: Arc<Mutex<Seen>>,
    following: JoinHandle<()>,
}

struct Frame {
    id: String,
    event: String,
    data: Value,
}

impl Dashboard {
    pub(crate) fn follow(replicas: Vec<Api>) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let following = tokio::spawn(follow(replicas, Arc::clone(&seen)));
        Self { seen, following }
    }

    pub(crate) fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }

    /// When the notification was shown, if it was.
    pub(crate) fn opened(&self, device: &str, at: Timestamp) -> Option<Instant> {
        lock(&self.seen).opened.get(&(device.to_owned(), at)).copied()
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.following.abort();
    }
}

async fn follow(replicas: Vec<Api>, seen: Arc<Mutex<Seen>>) {
    let mut last = String::new();
    for api in replicas.iter().cycle() {
        let mut request = api.request(Method::GET, "/v1/notifications/stream").header("accept", "text/event-stream");
        if !last.is_empty() {
            request = request.header("last-event-id", &last);
        }
        if let Ok(Ok(answer)) = tokio::time::timeout(SILENCE, request.send()).await
            && answer.status().is_success()
        {
            lock(&seen).resumed += usize::from(!last.is_empty());
            read(answer, &mut last, &seen).await;
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

/// Until it ends, breaks or falls silent.
async fn read(mut answer: Response, last: &mut String, seen: &Mutex<Seen>) {
    let mut text = Vec::new();
    while let Ok(Ok(Some(bytes))) = tokio::time::timeout(SILENCE, answer.chunk()).await {
        text.extend_from_slice(&bytes);
        while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<u8> = text.drain(..end + 2).collect();
            let Some(frame) = frame(&String::from_utf8_lossy(&block)) else { continue };
            take(&frame, last, &mut lock(seen));
        }
    }
}

fn take(frame: &Frame, last: &mut String, seen: &mut Seen) {
    match frame.event.as_str() {
        "snapshot" if !last.is_empty() => seen.shown.push(Shown::BeganAnew),
        "notification" => {
            let data = &frame.data;
            let (Some(id), Some(version)) = (data["notification_id"].as_str(), data["version"].as_i64()) else { return };
            seen.shown.push(Shown::Version { notification: id.to_owned(), version });
            let opened_at = data["opened_at"].as_str().and_then(Timestamp::from_rfc3339);
            if let (Some(device), Some(opened_at), "alert") = (data["device_id"].as_str(), opened_at, data["kind"].as_str().unwrap_or("")) {
                seen.opened.entry((device.to_owned(), opened_at)).or_insert_with(Instant::now);
            }
        }
        // Counts; a gap tells a slow client to come again, and what it gets then is what counts.
        _ => {}
    }
    if !frame.id.is_empty() {
        last.clone_from(&frame.id);
    }
}

/// `None` of a comment.
fn frame(block: &str) -> Option<Frame> {
    let field = |name: &str| block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect::<Vec<_>>().join("\n");
    let data = field("data");
    (!data.is_empty()).then(|| Frame { id: field("id"), event: field("event"), data: serde_json::from_str(&data).unwrap_or_default() })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
