//! What stands between a relay and Postgres, and can be cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Cable {
    /// The database, reached through the cable.
    pub(crate) url: String,
    plugged: Arc<AtomicBool>,
    cut: watch::Sender<()>,
}

impl Cable {
    /// To the server of `url`.
    pub(crate) async fn plug(url: &str) -> Self {
        let server = url.split('@').nth(1).unwrap().split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = url.replace(&server, &listener.local_addr().unwrap().to_string());
        let (plugged, cut) = (Arc::new(AtomicBool::new(true)), watch::Sender::new(()));
        let (open, cuts) = (Arc::clone(&plugged), cut.clone());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if !open.load(Ordering::SeqCst) {
                    continue;
                }
                let (mut cut, server) = (cuts.subscribe(), server.clone());
                tokio::spawn(async move {
                    let mut upstream = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut upstream) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { url, plugged, cut }
    }

    pub(crate) fn set(&self, plugged: bool) {
        self.plugged.store(plugged, Ordering::SeqCst);
        self.cut.send_replace(());
    }
}
