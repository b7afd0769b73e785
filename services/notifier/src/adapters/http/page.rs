//! The dashboard: what `dashboard/` is built into, embedded. Nothing from elsewhere, no inline script or style. Every section
//! has an address of its own and is the same page, which reads its address.

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::{MethodRouter, get};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const SECTIONS: [&str; 7] = ["/", "/devices/{id}", "/notifications", "/scenes", "/silences", "/webhooks", "/webhooks/{name}"];
/// Where the page looks for the address of traces.
const TRACES: &str = r#"<meta name="fieldwatch-traces" content="">"#;

/// `trace_url` has `{trace_id}` in it, or is empty.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(trace_url: &str) -> Router<S> {
    let traces = TRACES.replace(r#""""#, &format!(r#""{}""#, attribute(trace_url)));
    let page = include_str!("../../../assets/index.html").replace(TRACES, &traces);
    let page = file("text/html; charset=utf-8", page);
    let files = Router::new()
        .route("/app.js", file("text/javascript; charset=utf-8", include_str!("../../../assets/app.js")))
        .route("/app.css", file("text/css; charset=utf-8", include_str!("../../../assets/app.css")))
        .route("/icon.svg", file("image/svg+xml", include_str!("../../../assets/icon.svg")));
    SECTIONS.into_iter().fold(files, |files, section| files.route(section, page.clone()))
}

/// Asked for every time, sent only when the browser does not have it.
fn file<S: Clone + Send + Sync + 'static>(content_type: &'static str, text: impl Into<Bytes>) -> MethodRouter<S> {
    let text = text.into();
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(&text)[..12]));
    get(async move |asked: HeaderMap| {
        let known = asked.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag.as_str());
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        let tag = [(header::ETAG, tag)];
        if known { (StatusCode::NOT_MODIFIED, headers, tag).into_response() } else { (headers, tag, text).into_response() }
    })
}

fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}
