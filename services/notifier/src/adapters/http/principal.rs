//! Who the API thinks you are.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::auth::Caller;
use super::parameters::Parameters;
use super::problem::Problem;
use crate::domain::access::Scope;

/// The API key of a request.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "key_id": "01970000-0000-7000-8000-000000000000", "name": "on-call", "tenant": "default", "scopes": ["read", "write"]
}))]
pub(super) struct Me {
    key_id: Uuid,
    name: String,
    tenant: String,
    #[schema(value_type = Vec<ScopeName>)]
    scopes: Vec<Scope>,
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

/// Get the API key's name, tenant and scopes.
#[utoipa::path(
    get, path = "/v1/me", tag = "access", operation_id = "getMe",
    responses((status = 200, description = "The key", body = Me)),
)]
pub(super) async fn me(Caller(principal): Caller, given: Parameters) -> Result<Json<Me>, Problem> {
    given.finish()?;
    Ok(Json(Me { key_id: principal.key_id, name: principal.name, tenant: principal.tenant, scopes: principal.scopes }))
}
