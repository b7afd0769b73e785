//! Who asks: the API key or the token of a request.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

use super::Api;
use super::problem::Problem;
use crate::domain::access::{Principal, Scope};

/// What every key begins with.
pub const KEY_PREFIX: &str = "fw_";

/// A caller whose API key, or token, is good.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub Principal);

impl Caller {
    /// The caller, if it may do this.
    pub(super) fn may(self, scope: Scope) -> Result<Principal, Problem> {
        if self.0.may(scope) { Ok(self.0) } else { Err(Problem::forbidden(scope.as_str())) }
    }
}

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let Some(given) = parts.headers.get(header::AUTHORIZATION) else {
            return Err(Problem::unauthenticated("Send the header `Authorization: Bearer fw_…`."));
        };
        let refused = || Problem::unauthenticated("The API key is not known, has expired or was revoked.");
        let (scheme, key) = given.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(refused)?;
        let key = key.trim();
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(refused());
        }
        let principal = match &api.oidc {
            _ if key.starts_with(KEY_PREFIX) => api.store.authenticate(key).await?.ok_or_else(refused)?,
            Some(oidc) => oidc.authenticate(key).await?,
            None => return Err(refused()),
        };
        api.limits.take(principal.key_id).map_err(Problem::too_many)?;
        Ok(Self(principal))
    }
}
