//! `notifier keys`: API keys from the command line, straight in the database.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Subcommand;
use time::OffsetDateTime;
use uuid::Uuid;

use super::print;
use crate::adapters::db::{KeyRow, NewKey, Store};
use crate::adapters::http::KEY_PREFIX;
use crate::domain::access::Scope;

#[derive(Subcommand)]
pub enum Keys {
    /// Make a key and print it; it is shown this once.
    Create {
        /// Stands in the audit log of what is done with the key.
        name: String,
        #[arg(long, default_value = events::DEFAULT_TENANT)]
        tenant: String,
        /// read, write or admin; may be repeated.
        #[arg(long = "scope", default_values = ["read", "write"])]
        scopes: Vec<Scope>,
        /// Days until it expires; never when not given.
        #[arg(long)]
        days: Option<u32>,
    },
    /// List keys, without the keys themselves.
    List,
    /// Revoke a key for good.
    Revoke { key_id: Uuid },
}

pub(super) async fn run(store: &Store, command: Keys) -> anyhow::Result<()> {
    match command {
        Keys::Create { name, tenant, scopes, days } => {
            let secret = format!("{KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
            let expires_at = days.map(|days| OffsetDateTime::now_utc() + time::Duration::days(days.into()));
            store.add_key(&secret, &NewKey { tenant, name, scopes, expires_at }).await?;
            print(&secret)?;
        }
        Keys::List => {
            for key in store.keys().await? {
                print(&line(&key))?;
            }
        }
        Keys::Revoke { key_id } => {
            anyhow::ensure!(store.revoke_key(key_id).await?, "there is no key {key_id} that could be revoked");
        }
    }
    Ok(())
}

fn line(key: &KeyRow) -> String {
    let principal = &key.principal;
    let scopes: Vec<&str> = principal.scopes.iter().map(|scope| scope.as_str()).collect();
    let state = match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {}", at.date()),
        (None, Some(at)) => format!("until {}", at.date()),
        (None, None) => "good".to_owned(),
    };
    format!("{}  {:<12} {:<24} {:<16} {state}", principal.key_id, principal.tenant, principal.name, scopes.join(","))
}
