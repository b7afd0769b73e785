//! Commands and runs of scenes that someone asks for through the API, each request once.

use events::Command;
use events::trace::TraceContext;
use outbox::Slots;
use serde_json::Value;
use sqlx::{Postgres, Transaction};
use stream::{Cause as Origin, Failure};
use uuid::Uuid;

use super::device_commands::{self, Issued};
use super::outside::{self, Answer, Once};
use super::{Store, classify};
use crate::adapters::command_document::{CommandDocument, RunDocument, SceneRunDocument};
use crate::adapters::outgoing::Outgoing;
use crate::domain::scene::Running;

/// What someone asks for.
#[derive(Clone, Debug)]
pub enum Ask {
    Command(Command),
    Scene(Running),
}

impl Ask {
    /// What is answered: the command, or the run with its commands.
    fn answer(&self) -> Value {
        let answer = match self {
            Self::Command(command) => serde_json::to_value(CommandDocument::issued(command)),
            Self::Scene(running) => serde_json::to_value(RunDocument::issued(running)),
        };
        answer.unwrap_or_default()
    }
}

impl Store {
    /// Issues what is asked for, unless it was before; one transaction for all of it.
    pub async fn ask(
        &self,
        ask: &Ask,
        once: Option<&Once>,
        trace: Option<&TraceContext>,
        outgoing: &Outgoing,
    ) -> Result<Answer<Value>, Failure> {
        let mut transaction = self.pool.begin().await.map_err(|error| classify(&error))?;
        let answer = issue(&mut transaction, ask, once, trace, outgoing).await;
        // Awaited either way: who asks again right after the answer must not meet the lock of the first time.
        match &answer {
            Ok((Answer::New(_), slots)) => self.commit(transaction, *slots).await,
            _ => transaction.rollback().await,
        }
        .map_err(|error| classify(&error))?;
        Ok(answer?.0)
    }

    /// A run of a scene of a tenant, with its commands in the order of its members.
    pub async fn scene_run(&self, tenant: &str, scene_id: Uuid) -> Result<Option<SceneRunDocument>, sqlx::Error> {
        let run = sqlx::query!("SELECT name, issued_by, issued_at FROM scene_run WHERE tenant = $1 AND scene_id = $2", tenant, scene_id)
            .fetch_optional(&self.pool)
            .await?;
        let Some(run) = run else { return Ok(None) };
        let commands = self.members(tenant, scene_id).await?;
        Ok(Some(SceneRunDocument::new(scene_id, run.name, run.issued_by, run.issued_at.into(), commands)))
    }
}

async fn issue(
    transaction: &mut Transaction<'_, Postgres>,
    ask: &Ask,
    once: Option<&Once>,
    trace: Option<&TraceContext>,
    outgoing: &Outgoing,
) -> Result<(Answer<Value>, Slots), Failure> {
    if let Some(once) = once
        && let Some(answer) = outside::before(transaction, once).await.map_err(|error| classify(&error))?
    {
        return Ok((answer, Slots::default()));
    }
    let answer = ask.answer();
    if let Some(once) = once {
        outside::remember(transaction, once, 202, &answer).await.map_err(|error| classify(&error))?;
    }
    // Whoever asks is the beginning of a chain.
    let origin = Origin::default();
    let (_, slots) = match ask {
        Ask::Command(command) => {
            device_commands::issue(transaction, &[Issued { command, origin: &origin, trace, member: None }], &[], outgoing).await?
        }
        Ask::Scene(running) => device_commands::issue(transaction, &[], &[(running, &origin, trace)], outgoing).await?,
    };
    Ok((Answer::New(answer), slots))
}
