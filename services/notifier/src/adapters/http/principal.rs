//! Who the API thinks you are.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::auth::Caller;
use super::parameters::Parameters;
use super::problem::Problem;
use crate::adapters::document::Rfc3339;
use crate::domain::access::{Principal, Scope};

/// The API key or the token of a request.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "key_id": "01970000-0000-7000-8000-000000000000", "name": "on-call", "tenant": "default", "scopes": ["read", "write"], "by": "key", "until": null
}))]
pub(super) struct Me {
    /// Of a token it is the same for every token of its subject.
    key_id: Uuid,
    name: String,
    tenant: String,
    #[schema(value_type = Vec<ScopeName>)]
    scopes: Vec<Scope>,
    by: By,
    /// When the token ends; null for a key.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Rfc3339>,
}

/// What was recognised.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(rename_all = "lowercase")]
enum By {
    Key,
    Token,
}

/// What a key may do; `admin` includes the others.
#[derive(ToSchema)]
#[schema(as = Scope, rename_all = "lowercase")]
#[expect(dead_code, reason = "the schema of Scope, which knows nothing of OpenAPI")]
pub(super) enum ScopeName {
    Read,
    Write,
    Admin,
}

/// Get the name, tenant and scopes of the API key or the token.
#[utoipa::path(
    get, path = "/v1/me", tag = "access", operation_id = "getMe",
    responses((status = 200, description = "The key or the token", body = Me)),
)]
pub(super) async fn me(Caller(principal): Caller, given: Parameters) -> Result<Json<Me>, Problem> {
    given.finish()?;
    let Principal { key_id, name, tenant, scopes, until } = principal;
    let by = if until.is_some() { By::Token } else { By::Key };
    Ok(Json(Me { key_id, name, tenant, scopes, by, until: until.map(Rfc3339) }))
}
