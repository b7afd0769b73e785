//! `notifier config export|apply`: all that a tenant configured as one JSON file.
//!
//! An export says nothing secret unless asked to. What is applied replaces everything, if all of it is right.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::print;
use crate::adapters::db::{NotConfigured, Reseal, Store};
use crate::adapters::endpoint_secret::EndpointSecret;
use crate::adapters::guard::Clients;
use crate::adapters::vault::Vault;
use crate::config::Config;
use crate::domain::configuration::Configuration;
use crate::domain::webhook::{Format, Webhook};

/// The part of a file that holds secrets, by webhook.
const SECRETS: &str = "secrets";

#[derive(Subcommand)]
pub enum ConfigFiles {
    /// Print what a tenant configured.
    Export {
        #[arg(long, default_value = events::DEFAULT_TENANT)]
        tenant: String,
        /// With what signs deliveries, and with addresses that are secrets.
        #[arg(long)]
        with_secrets: bool,
    },
    /// Replace what a tenant configured by a file. Secrets of webhooks stay unless the file has others; new ones are printed.
    Apply {
        file: PathBuf,
        #[arg(long, default_value = events::DEFAULT_TENANT)]
        tenant: String,
    },
}

/// What of a webhook is secret, in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSecret {
    secret: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

pub(super) async fn run(store: &Store, config: &Config, command: ConfigFiles) -> anyhow::Result<()> {
    let vault = Vault::new(&config.secrets)?;
    match command {
        ConfigFiles::Export { tenant, with_secrets } => export(store, &vault, &tenant, with_secrets).await,
        ConfigFiles::Apply { file, tenant } => apply(store, config, &vault, &tenant, &file).await,
    }
}

async fn export(store: &Store, vault: &Vault, tenant: &str, with_secrets: bool) -> anyhow::Result<()> {
    let configuration = store.configuration(tenant).await?;
    let mut file = serde_json::to_value(&*configuration)?;
    if with_secrets {
        let mut secrets = BTreeMap::new();
        for name in configuration.webhooks.keys() {
            if let Some(sealed) = store.webhook_secret(tenant, name).await? {
                let secret = opened(vault, tenant, name, &sealed)?;
                secrets.insert(name, FileSecret { secret: secret.current, url: secret.url });
            }
        }
        file[SECRETS] = serde_json::to_value(secrets)?;
    }
    print(&serde_json::to_string_pretty(&file)?)?;
    Ok(())
}

async fn apply(store: &Store, config: &Config, vault: &Vault, tenant: &str, path: &std::path::Path) -> anyhow::Result<()> {
    let clients = Clients::new(&config.delivery)?;
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut file: Value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let secrets = file.as_object_mut().and_then(|file| file.remove(SECRETS)).unwrap_or_else(|| serde_json::json!({}));
    let mut secrets: BTreeMap<String, FileSecret> = serde_json::from_value(secrets).context(SECRETS)?;
    let mut configuration: Configuration = serde_json::from_value(file).with_context(|| path.display().to_string())?;
    let (mut sealed, mut fresh) = (Vec::new(), Vec::new());
    for (name, webhook) in &mut configuration.webhooks {
        let was = store.webhook_secret(tenant, name).await?;
        let before = was.as_ref().map(|sealed| opened(vault, tenant, name, sealed)).transpose()?;
        let given = secrets.remove(name);
        let is_new = before.is_none() && given.is_none();
        let secret = secret_of(webhook, before, given, &clients).with_context(|| format!("webhooks.{name}"))?;
        sealed.push((name.clone(), Reseal { was, sealed: secret.seal(vault, tenant, name)? }));
        if is_new && webhook.format == Format::Standard {
            fresh.push(format!("{name}  {}", secret.current));
        }
        *webhook = webhook.masked();
    }
    if let Some(name) = configuration.emails.keys().next().filter(|_| config.smtp.host.is_empty()) {
        anyhow::bail!("emails.{name}: no mail server is configured (smtp.host)");
    }
    if let Some(name) = secrets.keys().next() {
        anyhow::bail!("{SECRETS}.{name}: there is no such webhook");
    }
    match store.configure_all(tenant, &configuration, &sealed, "notifier config apply").await {
        Ok(()) => {}
        Err(NotConfigured::Wrong(mistakes)) => {
            let lines: Vec<String> = mistakes.iter().map(|mistake| format!("{}: {}", mistake.pointer, mistake.problem)).collect();
            anyhow::bail!("{}: nothing was changed\n{}", path.display(), lines.join("\n"));
        }
        Err(refused) => return Err(refused.into()),
    }
    for line in fresh {
        print(&line)?;
    }
    Ok(())
}

/// What a webhook's secret is afterwards: the file's, else the one before, else a new one.
fn secret_of(
    webhook: &Webhook,
    before: Option<EndpointSecret>,
    given: Option<FileSecret>,
    clients: &Clients,
) -> anyhow::Result<EndpointSecret> {
    let (current, url) = given.map(|given| (given.secret, given.url)).unzip();
    let mut secret = EndpointSecret::of(webhook, before, url.flatten()).context("url")?;
    if let Some(current) = current {
        secret.current = current;
        secret.signatures("check", std::time::SystemTime::now().into(), b"")?;
    }
    clients.of(secret.address(webhook)).context("url")?;
    Ok(secret)
}

fn opened(vault: &Vault, tenant: &str, name: &str, sealed: &[u8]) -> anyhow::Result<EndpointSecret> {
    EndpointSecret::open(vault, tenant, name, sealed).with_context(|| format!("the secret of webhook {name}"))
}
