//! The notification API (`/v1`), its description, and the page that shows it.

mod actions;
mod auth;
mod body;
mod bulk;
mod commands;
mod configured;
mod cors;
mod deliveries;
mod device_stream;
mod devices;
mod emails;
mod events;
mod frames;
mod history;
mod limits;
mod notifications;
mod observe;
mod openapi;
mod page;
mod parameters;
mod principal;
mod problem;
mod pulse;
mod route_test;
mod routes;
mod scenes;
mod schemas;
mod session;
mod stream;
mod tickets;
mod viewer;
mod webhooks;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::{Router, middleware};
use service::Shutdown;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use auth::KEY_PREFIX;
pub use limits::RateLimits;
pub use openapi::document;

use super::db::Store;
use super::devices::DeviceView;
use super::guard::Clients;
use super::hub::Hub;
use super::mailer::Mailer;
use super::oidc::Oidc;
use super::outgoing::Outgoing;
use super::signer::Signer;
use super::vault::Vault;
use crate::config::{ApiConfig, DeliveryConfig, SseConfig};
use problem::Problem;

/// What the handlers need.
pub struct Api {
    pub store: Store,
    pub outgoing: Outgoing,
    pub hub: Hub,
    pub devices: DeviceView,
    pub signer: Signer,
    pub limits: RateLimits,
    pub vault: Arc<Vault>,
    pub clients: Clients,
    pub mailer: Arc<Mailer>,
    pub oidc: Option<Oidc>,
    pub sse: SseConfig,
    pub delivery: DeliveryConfig,
    pub shutdown: Shutdown,
}

/// Everything that is served.
pub fn router(api: Api, config: &ApiConfig) -> Router {
    let (router, description) = described().split_for_parts();
    router
        .merge(openapi::routes(description))
        .merge(page::routes(&config.trace_url))
        .fallback(async || Problem::not_found())
        .with_state(Arc::new(api))
        .layer(DefaultBodyLimit::max(config.max_body.as_u64() as usize))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, config.request_timeout))
        .layer(middleware::from_fn(problem::write))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn(observe::observe))
        .layer(cors::layer(&config.allowed_origins))
}

/// The routes of the API, each with its description.
fn described() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(openapi::outline())
        .routes(routes!(notifications::list))
        .routes(routes!(notifications::counts))
        .routes(routes!(notifications::find))
        .routes(routes!(notifications::events))
        .routes(routes!(actions::acknowledge))
        .routes(routes!(actions::unacknowledge))
        .routes(routes!(actions::snooze))
        .routes(routes!(actions::unsnooze))
        .routes(routes!(actions::resolve))
        .routes(routes!(actions::reopen))
        .routes(routes!(bulk::bulk))
        .routes(routes!(events::tell))
        .routes(routes!(stream::stream))
        .routes(routes!(tickets::create))
        .routes(routes!(device_stream::stream))
        .routes(routes!(devices::list))
        .routes(routes!(devices::find))
        .routes(routes!(devices::timeline))
        .routes(routes!(history::find))
        .routes(routes!(configured::receivers::list))
        .routes(routes!(configured::receivers::find, configured::receivers::put, configured::receivers::delete))
        .routes(routes!(routes::find, routes::put))
        .routes(routes!(route_test::test))
        .routes(routes!(configured::silences::list))
        .routes(routes!(configured::silences::find, configured::silences::put, configured::silences::delete))
        .routes(routes!(configured::escalations::list))
        .routes(routes!(configured::escalations::find, configured::escalations::put, configured::escalations::delete))
        .routes(routes!(configured::mute_times::list))
        .routes(routes!(configured::mute_times::find, configured::mute_times::put, configured::mute_times::delete))
        .routes(routes!(commands::list, commands::issue))
        .routes(routes!(commands::find))
        .routes(routes!(configured::scenes::list))
        .routes(routes!(configured::scenes::find, configured::scenes::put, configured::scenes::delete, scenes::run))
        .routes(routes!(scenes::find))
        .routes(routes!(webhooks::list))
        .routes(routes!(webhooks::find, webhooks::put, webhooks::delete))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::test))
        .routes(routes!(deliveries::to_webhooks::list))
        .routes(routes!(deliveries::to_webhooks::find))
        .routes(routes!(deliveries::to_webhooks::resend))
        .routes(routes!(emails::list))
        .routes(routes!(emails::find, emails::put, emails::delete))
        .routes(routes!(emails::test))
        .routes(routes!(deliveries::to_emails::list))
        .routes(routes!(deliveries::to_emails::find))
        .routes(routes!(deliveries::to_emails::resend))
        .routes(routes!(principal::me))
}
