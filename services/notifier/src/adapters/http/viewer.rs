//! Who opens an event stream: an API key, or a ticket, which has the filters with it.

use std::sync::Arc;

use axum::extract::FromRequestParts as _;
use axum::http::request::Parts;

use super::Api;
use super::auth::Caller;
use super::parameters::Parameters;
use super::problem::Problem;
use super::pulse::RECHECK;
use crate::domain::access::{Principal, Scope};
use crate::domain::watched::Watched;

pub(super) struct Viewer {
    pub principal: Principal,
    pub ticket: Option<String>,
}

impl Viewer {
    /// The viewer, and the parameters the stream is filtered by. `read` takes them out of the request's: beside a ticket,
    /// which has its own, there must be none.
    pub(super) async fn of<F>(
        api: &Arc<Api>,
        parts: &mut Parts,
        given: &mut Parameters,
        watched: Watched,
        read: impl Fn(&mut Parameters) -> F,
    ) -> Result<(Self, F), Problem> {
        let Some(ticket) = given.one("ticket") else {
            let principal = Caller::from_request_parts(parts, api).await?.may(Scope::Read)?;
            return Ok((Self { principal, ticket: None }, read(given)));
        };
        let opened = api.store.use_ticket(&ticket, api.sse.ticket_life + RECHECK).await?.filter(|opened| opened.watched == watched);
        let opened =
            opened.ok_or_else(|| Problem::unauthenticated("The ticket has expired, is for another stream, or its key was revoked."))?;
        let principal = Caller(opened.principal).may(Scope::Read)?;
        Ok((Self { principal, ticket: Some(ticket) }, read(&mut Parameters::new(opened.filter))))
    }
}
