//! The API's server: HTTP/1.1 and HTTP/2, over TLS where it has a certificate, until the stop.

use std::convert::Infallible;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use service::Shutdown;

use crate::config::ApiConfig;

/// How long requests may go on after the stop; a client that takes nothing any more is not waited for.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// How long a client may take for its first request, so that silent ones do not add up.
const FIRST_REQUEST: Duration = Duration::from_secs(30);

/// A certificate as its files are at present.
pub struct Certificate {
    chain: String,
    key: String,
    check: Duration,
    current: RustlsConfig,
}

impl Certificate {
    /// Reads the configured files; `None` where there are none.
    pub async fn read(config: &ApiConfig) -> anyhow::Result<Option<Self>> {
        let (chain, key) = (config.certificate_file.clone(), config.key_file.clone());
        if chain.is_empty() {
            return Ok(None);
        }
        let read = RustlsConfig::from_pem_file(&chain, &key).await;
        let current = read.with_context(|| format!("api.certificate_file {chain}, api.key_file {key}"))?;
        Ok(Some(Self { chain, key, check: config.certificate_check, current }))
    }

    /// Takes what the files hold, again and again: whoever renews them tells nobody. What cannot be read leaves the present one.
    async fn renew(self) -> Infallible {
        loop {
            tokio::time::sleep(self.check).await;
            if let Err(error) = self.current.reload_from_pem_file(&self.chain, &self.key).await {
                tracing::error!(file = self.chain, %error, "the API's certificate cannot be read; the present one stays");
            }
        }
    }
}

/// Serves until shutdown, then finishes what was begun.
pub async fn serve(listener: TcpListener, certificate: Option<Certificate>, router: Router, shutdown: Shutdown) -> anyhow::Result<()> {
    let handle = Handle::new();
    // Otherwise an event waits until its client has acknowledged the one before: a round trip, or 40 ms more.
    let at_once = NoDelayAcceptor::new();
    let server = axum_server::from_tcp(listener)?.acceptor(at_once).handle(handle.clone()).first_request_timeout(FIRST_REQUEST);
    let service = router.into_make_service();
    let serving = async {
        match certificate {
            None => server.serve(service).await,
            Some(certificate) => {
                let secured = server.acceptor(RustlsAcceptor::new(certificate.current.clone()).acceptor(at_once));
                tokio::select! {
                    outcome = secured.serve(service) => outcome,
                    never = certificate.renew() => match never {},
                }
            }
        }
    };
    let stop = async {
        shutdown.cancelled().await;
        handle.graceful_shutdown(Some(LAST_ANSWERS));
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        outcome = serving => Ok(outcome?),
        never = stop => match never {},
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use axum::body::{Body, Bytes};
    use axum::routing::get;
    use futures::channel::mpsc;

    use super::*;

    /// Linux acknowledges the first sixteen segments of a connection at once.
    const ACKNOWLEDGED_AT_ONCE: usize = 20;
    const MEASURED: usize = 10;

    /// Waits without reading it.
    fn until_there(client: &TcpStream, end: &[u8]) {
        let mut buffer = [0; 4096];
        let mut there = 0;
        while !buffer[..there].ends_with(end) {
            std::thread::yield_now();
            there = client.peek(&mut buffer).unwrap();
            assert!(there > 0, "the stream has ended");
        }
    }

    /// Its reader is late here: what only waits to be read is acknowledged after 40 ms.
    #[tokio::test(flavor = "multi_thread")]
    async fn an_event_does_not_wait_for_the_acknowledgement_of_the_one_before() {
        let (events, stream) = mpsc::unbounded::<Result<Bytes, Infallible>>();
        let body = Arc::new(Mutex::new(Some(Body::from_stream(stream))));
        let router = Router::new().route("/", get(move || std::future::ready(body.lock().unwrap().take().unwrap())));
        let (listener, shutdown) = (TcpListener::bind("127.0.0.1:0").unwrap(), Shutdown::new());
        let address = listener.local_addr().unwrap();
        let client = tokio::task::spawn_blocking(move || {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").unwrap();
            let mut buffer = [0; 4096];
            let mut quickest = Duration::MAX;
            for round in 0..ACKNOWLEDGED_AT_ONCE + MEASURED {
                events.unbounded_send(Ok(Bytes::from_static(b"first"))).unwrap();
                until_there(&client, b"first\r\n");
                let sent = Instant::now();
                events.unbounded_send(Ok(Bytes::from_static(b"second"))).unwrap();
                until_there(&client, b"second\r\n");
                if round >= ACKNOWLEDGED_AT_ONCE {
                    quickest = quickest.min(sent.elapsed());
                }
                assert!(client.read(&mut buffer).unwrap() > 0);
            }
            quickest
        });
        let measure = async {
            let quickest = client.await.unwrap();
            shutdown.cancel();
            quickest
        };
        let (quickest, served) = tokio::join!(measure, serve(listener, None, router, shutdown.clone()));
        served.unwrap();
        assert!(quickest < Duration::from_millis(30), "the quickest of {MEASURED} took {quickest:?}");
    }
}
