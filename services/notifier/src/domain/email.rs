//! E-mails: addresses that deliveries are mailed to, and how much they may be sent.

use std::sync::LazyLock;

use regex_lite::Regex;
use serde::{Deserialize, Serialize};

use super::webhook::{limits, rate_by_default};

/// Addresses of one at most; more belong into a list of the mail server's.
const MOST: usize = 50;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// Each gets a message of its own.
    pub to: Vec<String>,
    #[serde(default)]
    pub description: String,
    /// Messages under way at the same time, each on a connection of its own.
    #[serde(default = "two")]
    pub concurrency: u32,
    #[serde(default = "rate_by_default")]
    pub rate_per_second: f64,
}

fn two() -> u32 {
    2
}

impl Email {
    pub fn mistakes(&self) -> Vec<(String, String)> {
        let mut mistakes = limits(&self.description, self.concurrency, self.rate_per_second);
        if !(1..=MOST).contains(&self.to.len()) {
            mistakes.push(("/to".to_owned(), format!("are not 1 to {MOST} addresses")));
        }
        for (index, address) in self.to.iter().enumerate() {
            if !is_address(address) {
                mistakes.push((format!("/to/{index}"), "is not an address like on-call@example.com".to_owned()));
            } else if self.to[..index].contains(address) {
                mistakes.push((format!("/to/{index}"), "is there twice".to_owned()));
            }
        }
        mistakes
    }
}

/// What browsers take for one (WHATWG HTML, 4.10.5.1.5): in ASCII, which any server takes.
#[expect(clippy::unwrap_used, reason = "a constant that every test reads")]
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    let label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
    Regex::new(&format!(r"^[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{label}(?:\.{label})*$")).unwrap()
});

fn is_address(text: &str) -> bool {
    text.len() <= 254 && ADDRESS.is_match(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_or_would_make_a_header_is_refused() {
        let email: Email = serde_json::from_value(serde_json::json!({ "to": [
            "on-call@example.com", "on-call@example.com", "nobody", "a@b@c", "x@example.com\r\nBcc: y@example.com",
            "x@example.com, y@example.com", "<x@example.com>", "Ops <x@example.com>", "", "é@example.com"
        ]}))
        .unwrap();
        let pointers: Vec<String> = email.mistakes().into_iter().map(|mistake| mistake.0).collect();
        assert_eq!(pointers, ["/to/1", "/to/2", "/to/3", "/to/4", "/to/5", "/to/6", "/to/7", "/to/8", "/to/9"]);
        assert_eq!(Email { to: Vec::new(), ..email }.mistakes()[0].0, "/to");
    }
}
