//! A TCP proxy between bridge and broker that reads along, and can be cut.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What went over the wire, on which connection (from 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) connection: usize,
    pub(crate) packet: Packet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// From the bridge: the protocol's level, 4 (MQTT 3.1.1) or 5.
    Connect(u8),
    /// From the broker, at `QoS` 1 or 2.
    Publish(u16),
    /// From the bridge: PUBACK or PUBREC.
    Ack(u16),
    /// From the broker.
    PubRel(u16),
    /// From the bridge.
    PubComp(u16),
    /// From the broker: from here on it keeps what is published.
    SubAck(u16),
}

#[derive(Default)]
struct Log {
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    /// Sequence numbers in messages the bridge received whole.
    received: Mutex<BTreeSet<i64>>,
    /// Messages that were marked as sent again.
    duplicates: AtomicUsize,
    /// Cuts the connection in the middle of the next message from the broker.
    cut_in_frame: AtomicBool,
    /// Cuts the connection as soon as the bridge has sent the next PUBREC.
    cut_after_pubrec: AtomicBool,
}

#[derive(Clone)]
pub(crate) struct Wire {
    port: u16,
    log: Arc<Log>,
    cuts: Arc<watch::Sender<u64>>,
    down: Arc<AtomicBool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Towards {
    Broker,
    Bridge,
}

impl Wire {
    pub(crate) async fn to(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Self {
            port: listener.local_addr().unwrap().port(),
            log: Arc::default(),
            cuts: Arc::new(watch::Sender::new(0)),
            down: Arc::default(),
        };
        let accepting = wire.clone();
        tokio::spawn(async move {
            while let Ok((bridge, _)) = listener.accept().await {
                if accepting.down.load(Ordering::SeqCst) {
                    continue;
                }
                if let Ok(broker) = TcpStream::connect(("127.0.0.1", broker)).await {
                    accepting.carry(bridge, broker);
                }
            }
        });
        wire
    }

    fn carry(&self, bridge: TcpStream, broker: TcpStream) {
        let connection = self.log.connections.fetch_add(1, Ordering::SeqCst) + 1;
        bridge.set_nodelay(true).unwrap();
        broker.set_nodelay(true).unwrap();
        let ((from_bridge, to_bridge), (from_broker, to_broker)) = (bridge.into_split(), broker.into_split());
        let (log, mut cuts) = (Arc::clone(&self.log), self.cuts.subscribe());
        tokio::spawn(async move {
            // Whatever ends first ends both ways: the halves are dropped together.
            tokio::select! {
                () = pump(from_bridge, to_broker, Towards::Broker, connection, &log) => {}
                () = pump(from_broker, to_bridge, Towards::Bridge, connection, &log) => {}
                _ = cuts.changed() => {}
            }
        });
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// While it is down, connections end as they begin.
    pub(crate) fn keep_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
        if down {
            self.cut();
        }
    }

    pub(crate) fn cut_in_frame(&self) {
        self.log.cut_in_frame.store(true, Ordering::SeqCst);
    }

    pub(crate) fn cut_after_pubrec(&self) {
        self.log.cut_after_pubrec.store(true, Ordering::SeqCst);
    }

    pub(crate) fn connections(&self) -> usize {
        self.log.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn is_subscribed(&self) -> bool {
        self.seen().iter().any(|seen| matches!(seen.packet, Packet::SubAck(_)))
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.log.seen.lock().unwrap().clone()
    }

    pub(crate) fn received(&self) -> BTreeSet<i64> {
        self.log.received.lock().unwrap().clone()
    }

    pub(crate) fn duplicates(&self) -> usize {
        self.log.duplicates.load(Ordering::SeqCst)
    }

    pub(crate) fn acks(&self) -> usize {
        self.seen().iter().filter(|seen| matches!(seen.packet, Packet::Ack(_))).count()
    }

    pub(crate) fn publishes(&self) -> usize {
        self.seen().iter().filter(|seen| matches!(seen.packet, Packet::Publish(_))).count()
    }

    /// On every connection messages were acknowledged in the order they came, and nothing was acknowledged that had not
    /// come on it.
    pub(crate) fn assert_acknowledged_in_order(&self) {
        let seen = self.seen();
        for connection in 1..=self.connections() {
            let mut waiting = std::collections::VecDeque::new();
            for Seen { packet, .. } in seen.iter().filter(|seen| seen.connection == connection) {
                match packet {
                    Packet::Publish(id) => waiting.push_back(*id),
                    Packet::Ack(id) => assert_eq!(waiting.pop_front(), Some(*id), "connection {connection}"),
                    Packet::Connect(_) | Packet::PubRel(_) | Packet::PubComp(_) | Packet::SubAck(_) => {}
                }
            }
        }
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, towards: Towards, connection: usize, log: &Log) {
    let mut unread: Vec<u8> = Vec::new();
    loop {
        let before = unread.len();
        if !matches!(from.read_buf(&mut unread).await, Ok(1..)) {
            if towards == Towards::Bridge {
                // The broker is gone: what it sent is still to be read, so the bridge is the one to close.
                let _ = to.shutdown().await;
                std::future::pending::<()>().await;
            }
            return;
        }
        let mut packets = Vec::new();
        let chunk = unread[before..].to_vec();
        let mut sequences = Vec::new();
        while let Some((length, packet)) = first_packet(&unread, towards) {
            if let Some(Packet::Publish(_)) = packet {
                let again = usize::from(unread[0] & 0b1000 != 0);
                log.duplicates.fetch_add(again, Ordering::SeqCst);
                sequences.extend(sequence(&unread[..length]));
            }
            packets.extend(packet);
            unread.drain(..length);
        }
        let published = packets.iter().any(|packet| matches!(packet, Packet::Publish(_)));
        let torn = published && log.cut_in_frame.swap(false, Ordering::SeqCst);
        if torn {
            // Nobody sees the last message whole, so it is not noted.
            let _ = to.write_all(&chunk[..chunk.len().saturating_sub(unread.len() + 3)]).await;
            packets.pop();
            sequences.pop();
        }
        log.received.lock().unwrap().extend(sequences);
        log.seen.lock().unwrap().extend(packets.iter().map(|packet| Seen { connection, packet: *packet }));
        let written = !torn && to.write_all(&chunk).await.is_ok();
        if !written && (torn || towards == Towards::Bridge) {
            return;
        }
        let acknowledged = packets.iter().any(|packet| matches!(packet, Packet::Ack(_)));
        if acknowledged && log.cut_after_pubrec.swap(false, Ordering::SeqCst) {
            // The broker has to read it before it loses the connection.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            return;
        }
    }
}

/// Length of the first whole packet, and what it is if that matters here.
fn first_packet(bytes: &[u8], towards: Towards) -> Option<(usize, Option<Packet>)> {
    let (mut length, mut header) = (0, 1);
    loop {
        let byte = *bytes.get(header)?;
        length |= usize::from(byte & 0x7f) << (7 * (header - 1));
        header += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let body = bytes.get(header..header + length)?;
    let id = |at: usize| Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
    let packet = match (bytes[0] >> 4, towards) {
        (3, Towards::Bridge) if bytes[0] & 0b110 != 0 => Some(Packet::Publish(id(2 + usize::from(id(0)?))?)),
        (1, Towards::Broker) => Some(Packet::Connect(*body.get(6)?)),
        (4 | 5, Towards::Broker) => Some(Packet::Ack(id(0)?)),
        (6, Towards::Bridge) => Some(Packet::PubRel(id(0)?)),
        (7, Towards::Broker) => Some(Packet::PubComp(id(0)?)),
        (9, Towards::Bridge) => Some(Packet::SubAck(id(0)?)),
        _ => None,
    };
    Some((header + length, packet))
}

/// The number behind `"seq":` in a message.
fn sequence(message: &[u8]) -> Option<i64> {
    const NAME: &[u8] = b"\"seq\": ";
    let at = message.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let digits = message[at..].iter().take_while(|byte| byte.is_ascii_digit()).map(|byte| i64::from(byte - b'0'));
    Some(digits.fold(0, |number, digit| number * 10 + digit))
}
