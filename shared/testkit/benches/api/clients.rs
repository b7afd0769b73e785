//! Clients of the event stream that note when they first heard of each device.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::scene::KEY;

/// What the number of a device follows.
const MARK: &[u8] = b"\"device_id\":\"bench-";
const DIGITS: usize = 8;
const LONG: Duration = Duration::from_secs(30);

type Heard = HashMap<u64, Instant>;

pub(crate) struct Clients {
    tasks: Vec<JoinHandle<Heard>>,
    heard: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
}

impl Clients {
    /// Opens so many streams; each has had its snapshot.
    pub(crate) async fn open(address: &str, count: usize) -> Self {
        let (heard, stop) = (Arc::new(AtomicUsize::new(0)), watch::Sender::new(false));
        let mut tasks = Vec::with_capacity(count);
        for _ in 0..count {
            let mut socket = TcpStream::connect(address).await.unwrap();
            let request =
                format!("GET /v1/notifications/stream?severity=WARNING HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {KEY}\r\n\r\n");
            socket.write_all(request.as_bytes()).await.unwrap();
            let mut client = Client { socket, text: Vec::new() };
            client.until(b"event: snapshot").await;
            let (heard, stop) = (Arc::clone(&heard), stop.subscribe());
            tasks.push(tokio::spawn(client.listen(heard, stop)));
        }
        // What is left of the snapshots has numbers too.
        heard.store(0, Ordering::Relaxed);
        Self { tasks, heard, stop }
    }

    /// Waits until so much was heard in all, or nothing more comes.
    pub(crate) async fn settled(&self, count: usize) {
        let (mut last, mut since) = (0, Instant::now());
        while self.heard.load(Ordering::Relaxed) < count && since.elapsed() < Duration::from_secs(5) {
            let now = self.heard.load(Ordering::Relaxed);
            if now != last {
                (last, since) = (now, Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }

    /// Milliseconds from sending to hearing, and how many were not heard.
    pub(crate) async fn end(self, sent: &[(u64, Instant)]) -> (Vec<f64>, u64) {
        self.stop.send_replace(true);
        let (mut latencies, mut missing) = (Vec::new(), 0);
        for task in self.tasks {
            let heard = task.await.unwrap();
            for (number, at) in sent {
                match heard.get(number) {
                    Some(heard) => latencies.push(heard.saturating_duration_since(*at).as_secs_f64() * 1e3),
                    None => missing += 1,
                }
            }
        }
        (latencies, missing)
    }
}

struct Client {
    socket: TcpStream,
    text: Vec<u8>,
}

impl Client {
    async fn read(&mut self) -> usize {
        self.text.reserve(16 * 1024);
        tokio::time::timeout(LONG, self.socket.read_buf(&mut self.text)).await.expect("something is sent within 30 s").unwrap()
    }

    async fn until(&mut self, mark: &[u8]) {
        while find(&self.text, mark).is_none() {
            assert!(self.read().await > 0, "the stream goes on: {}", String::from_utf8_lossy(&self.text));
        }
    }

    async fn listen(mut self, count: Arc<AtomicUsize>, mut stop: watch::Receiver<bool>) -> Heard {
        let mut heard = Heard::new();
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return heard,
                read = self.read() => assert!(read > 0, "the stream goes on"),
            }
            let now = Instant::now();
            while let Some(place) = find(&self.text, MARK).filter(|place| self.text.len() >= place + MARK.len() + DIGITS) {
                let from = place + MARK.len();
                let number = std::str::from_utf8(&self.text[from..from + DIGITS]).unwrap().parse().unwrap();
                heard.entry(number).or_insert_with(|| {
                    count.fetch_add(1, Ordering::Relaxed);
                    now
                });
                self.text.drain(..from + DIGITS);
            }
            // A mark may have begun.
            let keep = self.text.len().saturating_sub(MARK.len() + DIGITS);
            self.text.drain(..keep);
        }
    }
}

fn find(text: &[u8], mark: &[u8]) -> Option<usize> {
    text.windows(mark.len()).position(|window| window == mark)
}
