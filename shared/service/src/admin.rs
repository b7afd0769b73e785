//! The admin port: `/live`, `/ready`, `/metrics`.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::{Health, Shutdown};

/// `[admin]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// Address and port; port 0 takes any free one.
    pub listen: SocketAddr,
}

pub(crate) async fn serve(listener: TcpListener, health: Health, shutdown: Shutdown) -> anyhow::Result<()> {
    let router = Router::new().route("/live", get(live)).route("/ready", get(ready)).route("/metrics", get(metrics)).with_state(health);
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await?;
    Ok(())
}

async fn live(State(health): State<Health>) -> Response {
    let stuck = health.stuck();
    answer(&stuck.iter().map(|name| format!("{name}: stands still")).collect::<Vec<_>>())
}

async fn ready(State(health): State<Health>) -> Response {
    answer(&health.not_ready().iter().map(|(name, reason)| format!("{name}: {reason}")).collect::<Vec<_>>())
}

async fn metrics() -> Response {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], telemetry::metrics::render()).into_response()
}

fn answer(problems: &[String]) -> Response {
    if problems.is_empty() {
        (StatusCode::OK, "ok\n".to_owned()).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n").into_response()
    }
}
