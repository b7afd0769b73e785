//! MQTT 3.1.1 by hand, as little of it as a publisher and a subscriber at `QoS` 1 need: what they cost is not measured.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Messages published and not yet acknowledged.
const WINDOW: usize = 4_096;

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let (mut packet, mut length) = (vec![kind], body.len());
    loop {
        let byte = (length & 0x7f) as u8;
        length >>= 7;
        packet.push(if length > 0 { byte | 0x80 } else { byte });
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(body);
    packet
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

fn read_packet(from: &mut impl Read) -> std::io::Result<(u8, Vec<u8>)> {
    let mut byte = [0];
    from.read_exact(&mut byte)?;
    let (kind, mut length, mut shift) = (byte[0], 0_usize, 0);
    loop {
        from.read_exact(&mut byte)?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok((kind, body))
}

fn connect(port: u16, id: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the broker answers");
    stream.set_nodelay(true).expect("no delay");
    let body = [text("MQTT"), vec![4, 0b10, 0, 0], text(id)].concat();
    stream.write_all(&packet(0x10, &body)).expect("connects");
    assert_eq!(read_packet(&mut stream).expect("connack").1, [0, 0], "the broker lets {id} in");
    stream
}

/// Publishes; at most [`WINDOW`] messages wait for their acknowledgement.
pub(crate) struct Publisher {
    stream: TcpStream,
    acknowledged: Receiver<usize>,
    in_flight: usize,
    next_id: u16,
    buffer: Vec<u8>,
}

impl Publisher {
    pub(crate) fn connect(port: u16, id: &str) -> Self {
        let stream = connect(port, id);
        let mut reading = BufReader::with_capacity(1 << 16, stream.try_clone().expect("a second handle"));
        let (sender, acknowledged) = channel();
        std::thread::spawn(move || {
            while let Ok((0x40, _)) = read_packet(&mut reading) {
                let more = reading.buffer().len() / 4;
                let mut count = 1;
                for _ in 0..more {
                    if !matches!(read_packet(&mut reading), Ok((0x40, _))) {
                        break;
                    }
                    count += 1;
                }
                if sender.send(count).is_err() {
                    return;
                }
            }
        });
        Self { stream, acknowledged, in_flight: 0, next_id: 0, buffer: Vec::new() }
    }

    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8]) {
        while self.in_flight >= WINDOW {
            self.flush();
            self.in_flight -= self.acknowledged.recv_timeout(Duration::from_secs(30)).expect("the broker acknowledges");
        }
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        let body = [text(topic), self.next_id.to_be_bytes().to_vec(), payload.to_vec()].concat();
        self.buffer.extend(packet(0x32, &body));
        self.in_flight += 1;
        if self.buffer.len() > 1 << 14 {
            self.flush();
        }
    }

    pub(crate) fn flush(&mut self) {
        self.stream.write_all(&self.buffer).expect("the broker reads");
        self.buffer.clear();
        self.in_flight -= self.acknowledged.try_iter().sum::<usize>();
    }

    pub(crate) fn finish(mut self) {
        self.flush();
        while self.in_flight > 0 {
            self.in_flight -= self.acknowledged.recv_timeout(Duration::from_secs(30)).expect("the broker acknowledges");
        }
    }
}

/// Counts and acknowledges, nothing else; tells `count` when that many came.
pub(crate) fn subscribe(port: u16, filter: &str, count: usize, done: Sender<()>) {
    let mut stream = connect(port, "ceiling");
    let body = [vec![0, 1], text(filter), vec![1]].concat();
    stream.write_all(&packet(0x82, &body)).expect("subscribes");
    assert_eq!(read_packet(&mut stream).expect("suback").0, 0x90);
    let mut reading = BufReader::with_capacity(1 << 18, stream.try_clone().expect("a second handle"));
    std::thread::spawn(move || {
        let mut acks = Vec::new();
        for received in 1..=count {
            let (_, body) = read_packet(&mut reading).expect("a message");
            let at = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
            acks.extend_from_slice(&[0x40, 2, body[at], body[at + 1]]);
            if reading.buffer().is_empty() || acks.len() > 1 << 12 || received == count {
                stream.write_all(&acks).expect("the broker reads");
                acks.clear();
            }
        }
        done.send(()).expect("somebody waits");
    });
}
