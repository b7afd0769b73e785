//! Wires the notifier's parts; the door that `main` and tests come in by.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use events::DEFAULT_TENANT;
use service::{Health, HealthCheck, Secret, Shutdown, StartResult, Supervisor};
use sqlx::migrate::MigrateError;
use stream::failure::backoff;
use stream::{Failure, Registry};

use crate::adapters::db::{NewKey, Store, classify};
use crate::adapters::devices::{DeviceView, Source};
use crate::adapters::endpoint_secret::EndpointSecret;
use crate::adapters::guard::Clients;
use crate::adapters::history::{self, HistorySink};
use crate::adapters::http::{self, Api, KEY_PREFIX, RateLimits};
use crate::adapters::hub::Hub;
use crate::adapters::mailer::Mailer;
use crate::adapters::oidc::Oidc;
use crate::adapters::outgoing::Outgoing;
use crate::adapters::sender::Sender;
use crate::adapters::server::{self, Certificate};
use crate::adapters::signer::Signer;
use crate::adapters::sink::{self, NotificationSink};
use crate::adapters::timers::Timers;
use crate::adapters::vault::Vault;
use crate::config::Config;
use crate::domain::access::Scope;

/// Characters a key has at least, so that it cannot be guessed.
const SHORTEST_KEY: usize = 20;
/// How long the database and the registry are waited for at start.
const PATIENCE: u32 = 20;

/// Builds and starts the notifier; a stop meanwhile ends the building.
pub async fn start(config: Config, health: &Health, supervisor: &mut Supervisor) -> StartResult {
    let starting = health.check("start");
    let shutdown = supervisor.shutdown();
    tokio::select! {
        built = App::build(config) => built?.start(health, supervisor),
        () = shutdown.cancelled() => {}
    }
    starting.ready();
    Ok(())
}

/// The notifier, ready to start.
pub struct App {
    config: Config,
    store: Store,
    registry: Registry,
    outgoing: Outgoing,
    signer: Signer,
    vault: Arc<Vault>,
    clients: Clients,
    mailer: Arc<Mailer>,
    oidc: Option<Oidc>,
    listener: TcpListener,
    certificate: Option<Certificate>,
    address: SocketAddr,
}

impl App {
    /// Prepares the database, registers the schema, adds the first key, and takes the API's port.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        let listen = config.api.listen;
        let listener = TcpListener::bind(listen).with_context(|| format!("api.listen: cannot listen on {listen}"))?;
        let certificate = Certificate::read(&config.api).await?;
        let store = Store::new(&config.database).context("database")?;
        patiently("preparing the database", async || match store.migrate().await {
            Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => Err(classify(&error)),
            other => other.map_err(Failure::fatal),
        })
        .await?;
        let registry = Registry::connect(&config.registry)?;
        let outgoing = patiently("registering the schema", async || Outgoing::register(&config.kafka, &registry).await).await?;
        add_first_key(&store, &config).await?;
        let signer = signer(&store, &config).await?;
        let vault = Arc::new(Vault::new(&config.secrets)?);
        reseal(&store, &vault).await?;
        let clients = Clients::new(&config.delivery)?;
        let mailer = Arc::new(Mailer::new(&config.smtp, config.delivery.timeout)?);
        let oidc = Oidc::new(&config.oidc)?;
        let address = listener.local_addr()?;
        Ok(Self { config, store, registry, outgoing, signer, vault, clients, mailer, oidc, listener, certificate, address })
    }

    /// Where the API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts every part: the inputs' sinks, the hub of the streams, the latest of the devices, the API.
    pub fn start(self, health: &Health, supervisor: &mut Supervisor) {
        let Self { config, store, registry, outgoing, signer, vault, clients, mailer, oidc, listener, certificate, .. } = self;
        let shutdown = supervisor.shutdown();

        let inputs = NotificationSink::new(store.clone(), registry.clone(), outgoing.clone(), &config.kafka);
        stream::sink::start(inputs, crate::NAME, &sink::TOPICS, &config.kafka, &config.sink, health, supervisor);

        let windows = HistorySink { store: store.clone(), registry: registry.clone(), keep: config.history.keep };
        stream::sink::start(windows, history::NAME, &[history::TOPIC], &config.kafka, &config.sink, health, supervisor);

        let devices = DeviceView::new(&config.kafka, registry.clone(), &config.devices);
        for source in Source::ALL {
            supervisor.spawn(source.name(), devices.clone().run(source, health.check(source.name()), shutdown.clone()));
        }
        supervisor.spawn("devices-live", devices.clone().run_live(store.clone(), shutdown.clone()));
        let hub = Hub::new(&config.kafka, registry, &config.sse);
        supervisor.spawn("streams", hub.clone().run(health.check("streams"), shutdown.clone()));
        supervisor.spawn("command-results", hub.clone().run_results(health.check("command-results"), shutdown.clone()));
        supervisor.spawn("counts", hub.clone().run_counts(store.clone(), shutdown.clone()));
        let (status_changes, commands, history) = (config.devices.keep, config.commands.keep, config.history.keep);
        let delivery = config.delivery.clone();
        let timers = Timers { store: store.clone(), outgoing: outgoing.clone(), delivery, status_changes, commands, history };
        supervisor.spawn("timers", timers.run(health.check("timers"), shutdown.clone()));
        let sender = Sender::new(store.clone(), Arc::clone(&vault), clients.clone(), Arc::clone(&mailer), config.delivery.clone());
        supervisor.spawn("sender", sender.run(health.check("sender"), shutdown.clone()));
        supervisor.spawn("database", watch(store.clone(), health.check("database"), shutdown.clone()));

        let (sse, delivery) = (config.sse, config.delivery);
        let limits = RateLimits::new(config.api.requests_per_second, config.api.burst);
        let api =
            Api { limits, store, outgoing, hub, devices, signer, vault, clients, mailer, oidc, sse, delivery, shutdown: shutdown.clone() };
        let router = http::router(api, &config.api);
        supervisor.spawn("api", server::serve(listener, certificate, router, shutdown));
    }
}

/// Tries again what a dependency is not ready for.
async fn patiently<T>(what: &str, mut attempt: impl AsyncFnMut() -> Result<T, Failure>) -> anyhow::Result<T> {
    for tries in 0.. {
        match attempt().await {
            Err(failure @ Failure::Transient(_)) if tries < PATIENCE => {
                failure.note(what);
                tokio::time::sleep(backoff(tries, u64::from(std::process::id()))).await;
            }
            outcome => return outcome.with_context(|| what.to_owned()),
        }
    }
    anyhow::bail!("{what}: given up")
}

async fn add_first_key(store: &Store, config: &Config) -> anyhow::Result<()> {
    let Some(file) = config.api.bootstrap_key_file() else { return Ok(()) };
    let secret = Secret::default().or_file(&file.to_string_lossy()).context("api.bootstrap_key_file")?;
    let good = secret.expose().starts_with(KEY_PREFIX) && secret.expose().len() >= SHORTEST_KEY;
    anyhow::ensure!(good, "api.bootstrap_key_file: a key begins with {KEY_PREFIX} and has at least {SHORTEST_KEY} characters");
    let scopes = vec![Scope::Read, Scope::Write, Scope::Admin];
    let key = NewKey { tenant: DEFAULT_TENANT.to_owned(), name: "bootstrap".to_owned(), scopes, expires_at: None };
    store.add_key(secret.expose(), &key).await?;
    Ok(())
}

async fn signer(store: &Store, config: &Config) -> anyhow::Result<Signer> {
    let file = &config.api.signing_secret_file;
    if file.is_empty() {
        return Ok(Signer::new(&store.signing_secret(rand::random()).await?));
    }
    let secret = Secret::default().or_file(file).context("api.signing_secret_file")?;
    anyhow::ensure!(!secret.is_empty(), "api.signing_secret_file: {file} is empty");
    Ok(Signer::new(secret.expose().as_bytes()))
}

/// Puts every secret under the current key. What someone else replaced meanwhile is.
async fn reseal(store: &Store, vault: &Vault) -> anyhow::Result<()> {
    for (tenant, webhook, sealed) in store.webhook_secrets().await? {
        if vault.is_current(&sealed) {
            continue;
        }
        match EndpointSecret::open(vault, &tenant, &webhook, &sealed) {
            Ok(secret) => {
                store.replace_webhook_secret(&tenant, &webhook, &sealed, &secret.seal(vault, &tenant, &webhook)?).await?;
            }
            Err(problem) => tracing::error!(tenant, webhook, %problem, "a webhook's secret cannot be opened; its deliveries wait"),
        }
    }
    Ok(())
}

/// Says whether the database answers.
async fn watch(store: Store, check: HealthCheck, shutdown: Shutdown) -> anyhow::Result<()> {
    loop {
        match store.reach().await {
            Ok(()) => check.ready(),
            Err(error) => check.not_ready(error.to_string()),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
        }
    }
}
