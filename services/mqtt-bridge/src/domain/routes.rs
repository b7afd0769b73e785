use std::collections::BTreeSet;

use crate::domain::{Limits, Message, Metrics, Outcome, Reason, Reject, Route};

/// The connection of the routes that name none.
pub const MAIN_CONNECTION: &str = "main";

/// All routes; the first whose filter matches has the message.
#[derive(Clone, Debug)]
pub struct Routes {
    all: Vec<Route>,
    metrics: Metrics,
    limits: Limits,
}

/// A message's route, and what the message says.
#[derive(Debug)]
pub struct Interpreted<'a> {
    pub route: Option<&'a Route>,
    pub outcome: Result<Outcome, Reject>,
}

impl Routes {
    pub fn new(routes: Vec<Route>, metrics: Metrics, limits: Limits) -> Self {
        Self { all: routes, metrics, limits }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.all.iter()
    }

    /// The routes whose messages come over one connection.
    pub fn of_connection(&self, name: &str) -> impl Iterator<Item = &Route> {
        self.all.iter().filter(move |route| route.connection == name)
    }

    /// All connections, each once.
    pub fn connections(&self) -> BTreeSet<&str> {
        self.all.iter().map(|route| route.connection.as_str()).collect()
    }

    pub fn interpret(&self, message: &Message<'_>) -> Interpreted<'_> {
        let route = self.all.iter().find(|route| route.filter.matches(message.topic));
        let outcome = match route {
            Some(route) => route.read(message, &self.metrics, &self.limits),
            None => Err(Reject::new(Reason::NoRoute, "no route's filter matches the topic")),
        };
        Interpreted { route, outcome }
    }
}
