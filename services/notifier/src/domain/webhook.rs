//! Webhooks: an address that deliveries are posted to, and how much it may be asked.

use serde::{Deserialize, Serialize};

/// What the body looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Standard Webhooks, signed.
    #[default]
    Standard,
    /// What Slack's incoming webhooks take, and Mattermost's and others after them. Its URL is the secret.
    Slack,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    pub url: String,
    #[serde(default)]
    pub format: Format,
    #[serde(default)]
    pub description: String,
    /// Deliveries under way at the same time.
    #[serde(default = "four")]
    pub concurrency: u32,
    #[serde(default = "rate_by_default")]
    pub rate_per_second: f64,
}

fn four() -> u32 {
    4
}

pub(super) fn rate_by_default() -> f64 {
    10.0
}

/// What is shown of an address that is a secret.
const MASK: &str = "/***";

/// What is wrong with what every endpoint has.
pub(super) fn limits(description: &str, concurrency: u32, rate_per_second: f64) -> Vec<(String, String)> {
    let checks = [
        ("/concurrency", (1..=64).contains(&concurrency), "is not 1 to 64"),
        ("/rate_per_second", (0.01..=1_000.0).contains(&rate_per_second), "is not 0.01 to 1000"),
        ("/description", description.len() <= 1_024 && !description.contains('\0'), "is longer than 1024 bytes, or holds NUL"),
    ];
    let wrong = checks.into_iter().filter(|(_, good, _)| !good);
    wrong.map(|(field, _, problem)| (field.to_owned(), problem.to_owned())).collect()
}

impl Webhook {
    pub fn mistakes(&self) -> Vec<(String, String)> {
        let mut mistakes = limits(&self.description, self.concurrency, self.rate_per_second);
        if self.url.len() > 2_048 || self.url.contains('\0') {
            mistakes.push(("/url".to_owned(), "is longer than 2048 bytes, or holds NUL".to_owned()));
        }
        mistakes
    }

    /// As it may be shown and kept in the clear.
    #[must_use]
    pub fn masked(&self) -> Self {
        let url = match self.format {
            Format::Standard => self.url.clone(),
            Format::Slack => origin(&self.url).map_or_else(|| MASK.to_owned(), |origin| format!("{origin}{MASK}")),
        };
        Self { url, ..self.clone() }
    }

    pub fn is_masked(&self) -> bool {
        self.format == Format::Slack && self.url.ends_with(MASK)
    }
}

fn origin(url: &str) -> Option<&str> {
    let authority = url.find("://")? + 3;
    let end = url[authority..].find(['/', '?', '#']).map_or(url.len(), |at| authority + at);
    Some(&url[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_is_a_secret_is_shown_only_by_its_host() {
        let slack: Webhook =
            serde_json::from_value(serde_json::json!({ "url": "https://hooks.example.com/services/T0/B0/secret", "format": "slack" }))
                .unwrap();
        assert_eq!(slack.masked().url, "https://hooks.example.com/***");
        assert!(slack.masked().is_masked() && !slack.is_masked());
        let standard = Webhook { format: Format::Standard, ..slack };
        assert_eq!(standard.masked(), standard);
    }

    #[test]
    fn limits_are_checked() {
        let wrong: Webhook =
            serde_json::from_value(serde_json::json!({ "url": "https://a", "concurrency": 0, "rate_per_second": 0 })).unwrap();
        assert_eq!(wrong.mistakes().into_iter().map(|mistake| mistake.0).collect::<Vec<_>>(), ["/concurrency", "/rate_per_second"]);
    }
}
