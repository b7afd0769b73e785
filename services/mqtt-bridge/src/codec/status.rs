use crate::codec::json;
use crate::codec::json::utf8;
use crate::domain::{Document, Reject};

/// A JSON object where the payload begins like one, else plain text.
pub fn text_or_json(payload: &[u8]) -> Result<Document<'_>, Reject> {
    let text = utf8(payload)?.trim();
    if text.starts_with('{') { json(payload) } else { Ok(Document::Text(text)) }
}
