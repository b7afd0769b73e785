//! What stands between a service and a server it needs, and can be cut, held and slow.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Pieces under way in one direction; beyond, nothing more is read.
const UNDER_WAY: usize = 256;
const PIECE: usize = 16 << 10;

pub struct Cable {
    /// The server's URL, through the cable.
    pub url: String,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    plugged: bool,
    /// Connections of another age are cut.
    age: u64,
    held: bool,
    delay: Duration,
}

impl Cable {
    /// To the server of `url`, whatever the scheme.
    pub async fn plug(url: &str) -> Self {
        Self::plug_at("127.0.0.1:0", url).await
    }

    /// The same, listening at `address`.
    pub async fn plug_at(address: &str, url: &str) -> Self {
        let server = url.rsplit("//").next().and_then(|rest| rest.split('/').next()).and_then(|place| place.rsplit('@').next());
        let server = server.expect("a URL").to_owned();
        let listener = TcpListener::bind(address).await.expect("a port");
        let url = url.replace(&server, &listener.local_addr().expect("a port").to_string());
        let state = watch::Sender::new(State { plugged: true, age: 0, held: false, delay: Duration::ZERO });
        let states = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if states.borrow().plugged {
                    tokio::spawn(connect(client, server.clone(), states.subscribe()));
                }
            }
        });
        Self { url, state }
    }

    /// Connects, or cuts every connection and lets none through.
    pub fn set(&self, plugged: bool) {
        self.state.send_modify(|state| *state = State { plugged, age: state.age + 1, ..*state });
    }

    /// Connections stay, and nothing comes through in either direction until they are let go: a partition as TCP sees it.
    pub fn hold(&self, held: bool) {
        self.state.send_modify(|state| state.held = held);
    }

    /// Whatever is sent from now on comes so much later, in order.
    pub fn delay(&self, delay: Duration) {
        self.state.send_modify(|state| state.delay = delay);
    }
}

async fn connect(mut client: TcpStream, server: String, state: watch::Receiver<State>) {
    // A server that is away is what its clients are to see: their connection ends.
    let Ok(mut upstream) = TcpStream::connect(server).await else { return };
    // Small pieces must not wait for one another because there is a cable between.
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    let (mut cut, age) = (state.clone(), state.borrow().age);
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), upstream.split());
    let both = async { tokio::join!(carry(from_client, to_server, state.clone()), carry(from_server, to_client, state)) };
    tokio::select! {
        _ = both => {}
        _ = cut.wait_for(|state| state.age != age) => {}
    }
}

/// Until its sender ends; what it had sent still arrives.
async fn carry(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, mut state: watch::Receiver<State>) {
    let delays = state.clone();
    let (queue, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let reading = async move {
        let mut piece = vec![0; PIECE];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            let due = Instant::now() + delays.borrow().delay;
            if queue.send((due, piece[..length].to_vec())).await.is_err() {
                break;
            }
        }
    };
    let writing = async move {
        while let Some((due, piece)) = under_way.recv().await {
            tokio::time::sleep_until(due).await;
            if state.wait_for(|state| !state.held).await.is_err() || to.write_all(&piece).await.is_err() {
                return;
            }
        }
        // The other side may have ended before.
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says everything back, and a connection to it through a cable.
    async fn echo() -> (Cable, TcpStream) {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let cable = Cable::plug(&format!("echo://{}/", server.local_addr().unwrap())).await;
        tokio::spawn(async move {
            while let Ok((mut client, _)) = server.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = client.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        let address = cable.url.trim_start_matches("echo://").trim_end_matches('/').to_owned();
        (cable, TcpStream::connect(address).await.unwrap())
    }

    async fn say(client: &mut TcpStream, text: &str) -> Option<String> {
        client.write_all(text.as_bytes()).await.ok()?;
        let mut answer = vec![0; text.len()];
        client.read_exact(&mut answer).await.ok()?;
        String::from_utf8(answer).ok()
    }

    #[tokio::test]
    async fn what_is_slow_comes_late_and_in_order() {
        let (cable, mut client) = echo().await;
        assert_eq!(say(&mut client, "at once").await.as_deref(), Some("at once"));
        cable.delay(Duration::from_millis(100));
        let began = Instant::now();
        assert_eq!(say(&mut client, "late").await.as_deref(), Some("late"));
        assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn what_is_held_comes_when_it_is_let_go() {
        let (cable, mut client) = echo().await;
        assert!(say(&mut client, "a").await.is_some());
        cable.hold(true);
        let waiting = tokio::time::timeout(Duration::from_millis(200), say(&mut client, "held")).await;
        assert!(waiting.is_err());
        cable.hold(false);
        let mut held = [0; 4];
        client.read_exact(&mut held).await.unwrap();
        assert_eq!(&held, b"held");
    }

    #[tokio::test]
    async fn what_is_cut_ends_and_a_new_connection_is_made_once_it_is_plugged_in_again() {
        let (cable, mut client) = echo().await;
        cable.set(false);
        assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0);
        cable.set(true);
        let address = cable.url.trim_start_matches("echo://").trim_end_matches('/').to_owned();
        assert!(say(&mut TcpStream::connect(address).await.unwrap(), "again").await.is_some());
    }
}
