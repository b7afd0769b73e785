//! Which receivers a notification goes to: a tree of routes, walked as Alertmanager walks it.
//!
//! A notification enters at the root. Of a route's children it takes the first that matches, and further ones only as
//! long as each says `continue`; where no child matches, the route itself takes it. What a route does not say, it
//! has from the one above.

use std::collections::BTreeMap;

use events::{Labels, Timestamp};
use serde::{Deserialize, Serialize};

use super::matcher::{Matcher, all_match};
use super::mute_time::MuteTime;
use super::period::Period;
use super::signal::CONFIDENCE;

/// A receiver that gets nothing: what is routed to it is stored only.
pub const NOBODY: &str = "none";
/// Where the default route leads.
pub const DEFAULT_RECEIVER: &str = "default";

/// Deepest tree that is accepted.
const DEEPEST: usize = 16;
/// Routes of a tree at most.
const MOST: usize = 1_000;

/// A route as it is configured. Only the root must name a receiver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiver: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matchers: Vec<Matcher>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_wait: Option<Period>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_interval: Option<Period>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_interval: Option<Period>,
    /// Names of mute times: quiet within them. Not handed down.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mute_times: Vec<String>,
    /// Names of mute times: quiet outside them. Not handed down.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub active_times: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalation: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub r#continue: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
}

impl Route {
    /// What holds where nobody configured anything.
    pub fn by_default() -> Self {
        let stored_only =
            Self { receiver: Some(NOBODY.to_owned()), matchers: "severity=\"INFO\"".parse().into_iter().collect(), ..Self::default() };
        Self { receiver: Some(DEFAULT_RECEIVER.to_owned()), routes: vec![stored_only], ..Self::default() }
    }

    /// This route and all below, each with the JSON pointer to it.
    pub fn each(&self) -> Vec<(String, &Self)> {
        let mut found = vec![(String::new(), self)];
        let mut next = 0;
        while let Some((pointer, route)) = found.get(next).map(|(pointer, route)| (pointer.clone(), *route)) {
            found.extend(route.routes.iter().enumerate().map(|(index, child)| (format!("{pointer}/routes/{index}"), child)));
            next += 1;
        }
        found
    }

    /// What is wrong with the tree by itself, as (JSON pointer, problem).
    pub fn mistakes(&self) -> Vec<(String, String)> {
        let routes = self.each();
        let mut mistakes = Vec::new();
        let mut wrong = |pointer: &str, field: &str, problem: &str| mistakes.push((format!("{pointer}{field}"), problem.to_owned()));
        if self.receiver.is_none() {
            wrong("", "/receiver", "is missing: the first route names one");
        }
        if !self.matchers.is_empty() || self.r#continue {
            wrong("", "/matchers", "the first route takes everything: no matchers and no continue");
        }
        if !self.mute_times.is_empty() || !self.active_times.is_empty() {
            wrong("", "/mute_times", "the first route has no mute or active times");
        }
        if routes.len() > MOST || routes.iter().any(|(pointer, _)| pointer.matches("/routes").count() > DEEPEST) {
            wrong("", "", "is too large");
        }
        for (pointer, route) in &routes {
            if route
                .group_by
                .as_ref()
                .is_some_and(|names| names.len() > 20 || names.iter().any(|name| name.is_empty() || name.contains('\0')))
            {
                wrong(pointer, "/group_by", "names at most 20 labels, or `...` for all of them");
            }
        }
        mistakes
    }
}

/// Where a notification goes, with everything that route says or has from above.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// Names the route as long as its matchers and those above stay the same.
    pub route: String,
    /// JSON pointer to the route.
    pub pointer: String,
    pub receiver: String,
    pub group_by: Vec<String>,
    pub timing: Timing,
    pub mute_times: Vec<String>,
    pub active_times: Vec<String>,
    pub escalation: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Before a new group is told of.
    pub group_wait: Period,
    /// Between two tellings of a group that changed.
    pub group_interval: Period,
    /// Before a group that did not change is told of again.
    pub repeat_interval: Period,
}

impl Destination {
    /// What holds above every tree.
    pub fn root() -> Self {
        Self {
            route: String::new(),
            pointer: String::new(),
            receiver: NOBODY.to_owned(),
            group_by: ["tenant", "kind", "group_id"].map(str::to_owned).to_vec(),
            timing: Timing {
                group_wait: Period::from_secs(30),
                group_interval: Period::from_secs(5 * 60),
                repeat_interval: Period::from_secs(4 * 60 * 60),
            },
            mute_times: Vec::new(),
            active_times: Vec::new(),
            escalation: None,
        }
    }

    fn below(&self, route: &Route, pointer: &str) -> Self {
        let texts: Vec<String> = route.matchers.iter().map(ToString::to_string).collect();
        Self {
            route: format!("{}/{{{}}}", self.route, texts.join(",")),
            pointer: pointer.to_owned(),
            receiver: route.receiver.clone().unwrap_or_else(|| self.receiver.clone()),
            group_by: route.group_by.clone().unwrap_or_else(|| self.group_by.clone()),
            timing: Timing {
                group_wait: route.group_wait.unwrap_or(self.timing.group_wait),
                group_interval: route.group_interval.unwrap_or(self.timing.group_interval),
                repeat_interval: route.repeat_interval.unwrap_or(self.timing.repeat_interval),
            },
            mute_times: route.mute_times.clone(),
            active_times: route.active_times.clone(),
            escalation: route.escalation.clone().or_else(|| self.escalation.clone()),
        }
    }

    /// Mute times that hold, or active times of which none does: it is quiet then.
    pub fn muted_by(&self, mute_times: &BTreeMap<String, MuteTime>, now: Timestamp) -> Vec<String> {
        let holds = |name: &&String| mute_times.get(*name).is_some_and(|mute| mute.holds(now));
        let mut by: Vec<String> = self.mute_times.iter().filter(holds).cloned().collect();
        if !self.active_times.iter().any(|name| holds(&name)) {
            by.extend(self.active_times.iter().cloned());
        }
        by
    }

    /// Whether anyone is told.
    pub fn is_delivered(&self) -> bool {
        self.receiver != NOBODY
    }

    /// The group of a notification here: the labels it is grouped by, as text. `...` groups by all of them but the
    /// confidence, which is another with every anomaly.
    pub fn group_key(&self, labels: &Labels) -> String {
        let by_all = self.group_by.iter().any(|name| name == "...");
        let mut names: Vec<&str> = labels.keys().map(String::as_str).collect();
        names.retain(|name| (by_all && *name != CONFIDENCE) || self.group_by.iter().any(|wanted| wanted == name));
        let group: Labels = names.into_iter().filter_map(|name| Some((name.to_owned(), labels.get(name)?.clone()))).collect();
        serde_json::to_string(&group).unwrap_or_default()
    }
}

/// Where labels lead in a tree: never nowhere.
pub fn destinations(root: &Route, labels: &Labels) -> Vec<Destination> {
    walk(root, "", &Destination::root(), labels)
}

fn walk(route: &Route, pointer: &str, above: &Destination, labels: &Labels) -> Vec<Destination> {
    let here = above.below(route, pointer);
    let mut found = Vec::new();
    for (index, child) in route.routes.iter().enumerate() {
        if all_match(&child.matchers, labels) {
            found.extend(walk(child, &format!("{pointer}/routes/{index}"), &here, labels));
            if !child.r#continue {
                break;
            }
        }
    }
    if found.is_empty() { vec![here] } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn tree(json: &serde_json::Value) -> Route {
        serde_json::from_value(json.clone()).unwrap()
    }

    fn receivers(root: &Route, pairs: &[(&str, &str)]) -> Vec<String> {
        destinations(root, &labels(pairs)).into_iter().map(|destination| destination.receiver).collect()
    }

    #[test]
    fn the_default_route_groups_and_waits_as_promised_and_stores_info_only() {
        let root = Route::by_default();
        assert_eq!(root.mistakes(), []);
        let warning = destinations(&root, &labels(&[("severity", "WARNING"), ("kind", "alert"), ("tenant", "t"), ("team", "x")]));
        assert_eq!(warning[0].receiver, DEFAULT_RECEIVER);
        let Timing { group_wait, group_interval, repeat_interval } = warning[0].timing;
        assert_eq!([group_wait, group_interval, repeat_interval].map(|period| period.to_string()), ["30s", "5m", "4h"]);
        let group = labels(&[("severity", "WARNING"), ("kind", "alert"), ("tenant", "t"), ("team", "x"), ("group_id", "hall")]);
        assert_eq!(warning[0].group_key(&group), r#"{"group_id":"hall","kind":"alert","tenant":"t"}"#);
        assert!(!destinations(&root, &labels(&[("severity", "INFO")]))[0].is_delivered());
    }

    #[test]
    fn the_first_child_that_matches_takes_it_unless_it_says_continue() {
        let root = tree(&serde_json::json!({
            "receiver": "everyone",
            "routes": [
                { "matchers": ["severity=\"CRITICAL\""], "receiver": "pager", "continue": true },
                { "matchers": ["kind=\"alert\""], "receiver": "alerts", "routes": [{ "matchers": ["team=\"cold\""], "receiver": "cold" }] },
                { "matchers": ["kind=~\".*\""], "receiver": "rest" }
            ]
        }));
        assert_eq!(receivers(&root, &[("severity", "CRITICAL"), ("kind", "alert")]), ["pager", "alerts"]);
        assert_eq!(receivers(&root, &[("severity", "WARNING"), ("kind", "alert"), ("team", "cold")]), ["cold"]);
        assert_eq!(receivers(&root, &[("kind", "anomaly")]), ["rest"]);
        let bare = Route { routes: Vec::new(), ..root };
        assert_eq!(receivers(&bare, &[]), ["everyone"]);
    }

    #[test]
    fn a_route_has_from_above_what_it_does_not_say_but_not_its_mute_times() {
        let root = tree(&serde_json::json!({
            "receiver": "a", "group_by": ["device_id"], "group_wait": "1s", "escalation": "two-steps",
            "routes": [{ "mute_times": ["night"], "group_interval": "2s", "routes": [{ "repeat_interval": "3s" }] }]
        }));
        let found = destinations(&root, &Labels::new()).remove(0);
        let Timing { group_wait, group_interval, repeat_interval } = found.timing;
        assert_eq!([group_wait, group_interval, repeat_interval], [1, 2, 3].map(Period::from_secs));
        assert_eq!((found.pointer.as_str(), found.escalation.as_deref()), ("/routes/0/routes/0", Some("two-steps")));
        assert_eq!((found.group_by, found.mute_times), (vec!["device_id".to_owned()], Vec::new()));
    }

    #[test]
    fn three_points_group_by_every_label() {
        let root = tree(&serde_json::json!({ "receiver": "a", "group_by": ["..."] }));
        let given = labels(&[("b", "2"), ("a", "1"), ("confidence", "0.9")]);
        assert_eq!(destinations(&root, &given)[0].group_key(&given), r#"{"a":"1","b":"2"}"#);
    }

    #[test]
    fn a_root_that_does_not_take_everything_is_refused() {
        let wrong = tree(&serde_json::json!({ "matchers": ["a=b"], "mute_times": ["night"], "routes": [{ "group_by": [""] }] }));
        let pointers: Vec<String> = wrong.mistakes().into_iter().map(|(pointer, _)| pointer).collect();
        assert_eq!(pointers, ["/receiver", "/matchers", "/mute_times", "/routes/0/group_by"]);
    }
}
