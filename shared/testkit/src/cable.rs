//! What stands between a service and a server it needs, and can be cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Cable {
    /// The server's URL, through the cable.
    pub url: String,
    plugged: Arc<AtomicBool>,
    cut: watch::Sender<()>,
}

impl Cable {
    /// To the server of `url`, whatever the scheme.
    pub async fn plug(url: &str) -> Self {
        let server = url.rsplit("//").next().and_then(|rest| rest.split('/').next()).and_then(|place| place.rsplit('@').next());
        let server = server.expect("a URL").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = url.replace(&server, &listener.local_addr().expect("a port").to_string());
        let (plugged, cut) = (Arc::new(AtomicBool::new(true)), watch::Sender::new(()));
        let (open, cuts) = (Arc::clone(&plugged), cut.clone());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if !open.load(Ordering::SeqCst) {
                    continue;
                }
                let (mut cut, server) = (cuts.subscribe(), server.clone());
                tokio::spawn(async move {
                    let mut upstream = TcpStream::connect(server).await.expect("the server answers");
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut upstream) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { url, plugged, cut }
    }

    /// Connects, or cuts every connection and lets none through.
    pub fn set(&self, plugged: bool) {
        self.plugged.store(plugged, Ordering::SeqCst);
        self.cut.send_replace(());
    }
}
