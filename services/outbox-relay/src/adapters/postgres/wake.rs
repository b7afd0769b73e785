//! Hearing that there is something to publish.

use outbox::Slots;
use sqlx::postgres::PgListener;
use stream::Failure;

use super::Store;

/// Wakes sent by writers after their commits.
pub struct Wakes {
    listener: PgListener,
}

impl Store {
    /// Listens on a connection of its own.
    pub async fn wakes(&self) -> Result<Wakes, Failure> {
        let listen = async {
            let mut listener = PgListener::connect_with(&self.listening).await?;
            listener.listen(outbox::CHANNEL).await?;
            Ok(listener)
        };
        Ok(Wakes { listener: listen.await.map_err(|error| self.classify(&error))? })
    }
}

impl Wakes {
    /// Whose rows there are, or the end of the connection.
    pub async fn next(&mut self) -> Result<Slots, Failure> {
        match self.listener.try_recv().await {
            Ok(Some(said)) => Ok(said.payload().parse().unwrap_or(Slots::ALL)),
            Ok(None) => Err(Failure::transient("postgres: the connection that listens was lost")),
            Err(error) => Err(Failure::transient(format!("postgres: {error}"))),
        }
    }
}
