//! Matchers as Alertmanager writes them: `severity="CRITICAL"`, `device_id=~"freezer-.*"`, `team!="night"`.
//!
//! They look at labels; a label that is missing is one that is empty. Regular expressions match the whole value and
//! take time linear in it. Besides, numbers are compared: `confidence>0.7`; a value that is none is neither above nor below.

use std::fmt;
use std::str::FromStr;

use events::{Labels, Notification, Severity};
use regex_lite::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::symbol;

/// Largest compiled expression, so that configuration cannot take memory.
const LARGEST: usize = 256 * 1024;
const LONGEST: usize = 1_024;

#[derive(Clone, Debug)]
enum Test {
    Equal(String),
    NotEqual(String),
    Like(Regex),
    NotLike(Regex),
    Compared(Comparison, f64),
}

#[derive(Clone, Copy, Debug)]
enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl Comparison {
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Above => value > limit,
            Self::AtLeast => value >= limit,
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
        }
    }
}

/// One condition on one label.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Matcher {
    name: String,
    test: Test,
    text: String,
}

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotAMatcher {
    #[error("`{0}` is not a matcher like severity=\"CRITICAL\", with =, !=, =~ or !~, nor one like confidence>0.7, with >, >=, < or <=")]
    Form(String),
    #[error("`{0}` has a regular expression that cannot be used")]
    Expression(String),
}

impl Matcher {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.name).map(String::as_str).unwrap_or_default();
        match &self.test {
            Test::Equal(wanted) => value == wanted,
            Test::NotEqual(unwanted) => value != unwanted,
            Test::Like(expression) => expression.is_match(value),
            Test::NotLike(expression) => !expression.is_match(value),
            Test::Compared(comparison, limit) => value.parse().is_ok_and(|value| comparison.holds(value, *limit)),
        }
    }

    /// Whether it holds for labels that say nothing: such matchers alone would match everything.
    pub fn matches_nothing_said(&self) -> bool {
        self.matches(&Labels::new())
    }
}

/// Whether every matcher holds; none at all holds too.
pub fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels))
}

/// What matchers see of a notification: its labels, and over them what it is about.
pub fn labels_of(notification: &Notification) -> Labels {
    let Notification { tenant, kind, severity, device_id, group_id, .. } = notification;
    About { tenant, kind: Some(kind), severity: Some(*severity), device_id: device_id.as_deref(), group_id: group_id.as_deref() }
        .over(notification.labels.clone())
}

/// What a notification is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    pub tenant: &'a str,
    pub kind: Option<&'a str>,
    pub severity: Option<Severity>,
    pub device_id: Option<&'a str>,
    pub group_id: Option<&'a str>,
}

impl About<'_> {
    /// Labels with these over them: none of the same name stays.
    pub fn over(self, mut labels: Labels) -> Labels {
        let own = [
            ("tenant", Some(self.tenant.to_owned())),
            ("kind", self.kind.map(str::to_owned)),
            ("severity", self.severity.map(|severity| symbol(&severity))),
            ("device_id", self.device_id.map(str::to_owned)),
            ("group_id", self.group_id.map(str::to_owned)),
        ];
        for (name, value) in own {
            labels.remove(name);
            labels.extend(value.map(|value| (name.to_owned(), value)));
        }
        labels
    }
}

impl FromStr for Matcher {
    type Err = NotAMatcher;

    fn from_str(text: &str) -> Result<Self, NotAMatcher> {
        let form = || NotAMatcher::Form(text.to_owned());
        let at = text.find(['=', '!', '<', '>']).filter(|_| text.len() <= LONGEST).ok_or_else(form)?;
        let (name, rest) = text.split_at(at);
        let (operator, value) = ["=~", "!~", "!=", "=", ">=", "<=", ">", "<"]
            .into_iter()
            .find_map(|operator| rest.strip_prefix(operator).map(|value| (operator, value.trim())))
            .ok_or_else(form)?;
        let name = name.trim();
        if name.is_empty() || name.contains(['"', '{', '}', ',', '\0']) || name.contains(char::is_whitespace) {
            return Err(form());
        }
        let value = if value.starts_with('"') { serde_json::from_str(value).map_err(|_| form())? } else { value.to_owned() };
        if value.contains('\0') {
            return Err(form());
        }
        let expression = |value: &str| {
            let whole = format!("^(?s:{value})$");
            // By itself too: what only the parentheses around it make valid means something else.
            let compiled = Regex::new(value).and_then(|_| RegexBuilder::new(&whole).size_limit(LARGEST).build());
            compiled.map_err(|_| NotAMatcher::Expression(text.to_owned()))
        };
        let comparison = match operator {
            ">" => Some(Comparison::Above),
            ">=" => Some(Comparison::AtLeast),
            "<" => Some(Comparison::Below),
            "<=" => Some(Comparison::AtMost),
            _ => None,
        };
        if let Some(comparison) = comparison {
            let limit = value.parse().ok().filter(|limit: &f64| limit.is_finite()).ok_or_else(form)?;
            return Ok(Self { name: name.to_owned(), test: Test::Compared(comparison, limit), text: format!("{name}{operator}{limit}") });
        }
        let shown = format!("{name}{operator}{}", serde_json::Value::from(value.as_str()));
        let condition = match operator {
            "=" => Test::Equal(value),
            "!=" => Test::NotEqual(value),
            "=~" => Test::Like(expression(&value)?),
            _ => Test::NotLike(expression(&value)?),
        };
        Ok(Self { name: name.to_owned(), test: condition, text: shown })
    }
}

impl TryFrom<String> for Matcher {
    type Error = NotAMatcher;

    fn try_from(text: String) -> Result<Self, NotAMatcher> {
        text.parse()
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Matcher> for String {
    fn from(matcher: Matcher) -> Self {
        matcher.text
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_matcher_says_what_alertmanager_would() {
        let given = labels(&[("severity", "CRITICAL"), ("device_id", "freezer-07")]);
        for (text, holds) in [
            ("severity=\"CRITICAL\"", true),
            ("severity = CRITICAL", true),
            ("severity!=\"CRITICAL\"", false),
            ("device_id=~\"freezer-.*\"", true),
            // Anchored: a part of the value is not enough.
            ("device_id=~\"freezer\"", false),
            ("device_id=~\"oven|freezer-07\"", true),
            ("device_id!~\"freezer-.*\"", false),
            // A label that is missing is empty.
            ("team=\"\"", true),
            ("team!=\"night\"", true),
            ("team=~\".+\"", false),
        ] {
            assert_eq!(text.parse::<Matcher>().unwrap().matches(&given), holds, "{text}");
        }
    }

    #[test]
    fn numbers_are_compared_and_what_is_none_is_neither_above_nor_below() {
        for (value, above, at_most) in [
            ("0.71", true, false),
            ("0.7", false, true),
            ("0.07", false, true),
            ("1e1", true, false),
            ("high", false, false),
            ("", false, false),
            ("NaN", false, false),
        ] {
            let given = labels(&[("confidence", value)]);
            let holds = |text: &str| text.parse::<Matcher>().unwrap().matches(&given);
            assert_eq!((holds("confidence>0.7"), holds("confidence <= \"0.70\"")), (above, at_most), "{value}");
            assert_eq!((holds("confidence>=0.71"), holds("confidence<0.7")), (above, value == "0.07"), "{value}");
        }
        assert_eq!(" confidence >= 0.70".parse::<Matcher>().unwrap().to_string(), "confidence>=0.7");
    }

    #[test]
    fn a_matcher_reads_its_own_text() {
        let matcher: Matcher = "note=~say \\\"hi\\\"".parse().unwrap();
        assert_eq!(matcher.to_string().parse::<Matcher>().unwrap(), matcher);
        assert_eq!(" kind  != alert ".parse::<Matcher>().unwrap().to_string(), "kind!=\"alert\"");
    }

    #[test]
    fn what_is_no_matcher_is_refused() {
        for text in [
            "",
            "severity",
            "=x",
            "a b=c",
            "x~y",
            "a>b",
            "a>",
            "a<=inf",
            "a>=NaN",
            "{a=\"b\"}",
            "a=\"unclosed",
            "a=~\"(\"",
            "a=~\"x){1,2}(y\"",
            "a=~\"(a{900}){900}\"",
        ] {
            assert!(text.parse::<Matcher>().is_err(), "{text}");
        }
    }
}
