//! The API's server: HTTP/1.1 and HTTP/2, over TLS where it has a certificate, until the stop.

use std::convert::Infallible;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum_server::Handle;
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
    let server = axum_server::from_tcp(listener)?.handle(handle.clone()).first_request_timeout(FIRST_REQUEST);
    let service = router.into_make_service();
    let serving = async {
        match certificate {
            None => server.serve(service).await,
            Some(certificate) => {
                let secured = server.acceptor(RustlsAcceptor::new(certificate.current.clone()));
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
