//! Requests of a dashboard, sent at a rate whether or not the ones before were answered.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::bench::Percentiles;

use crate::scene::{DEVICES, GROUPS, KEY, Scene};

/// Of twenty requests, so many of each kind.
const MIX: [(Kind, u32); 9] = [
    (Kind::List, 4),
    (Kind::Unresolved, 3),
    (Kind::Severity, 1),
    (Kind::Label, 1),
    (Kind::Group, 1),
    (Kind::Device, 2),
    (Kind::DeepPage, 3),
    (Kind::Counts, 3),
    (Kind::One, 2),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    List,
    Unresolved,
    Severity,
    Label,
    Group,
    Device,
    DeepPage,
    Counts,
    One,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Unresolved => "list, unresolved",
            Self::Severity => "list, critical anomalies",
            Self::Label => "list, by label",
            Self::Group => "list, by group",
            Self::Device => "list, by device",
            Self::DeepPage => "deep page",
            Self::Counts => "counts",
            Self::One => "one notification",
        }
    }
}

pub(crate) struct Requests {
    http: reqwest::Client,
    base: String,
    cursor: String,
    ids: Vec<String>,
}

pub(crate) struct Answered {
    pub(crate) per_second: f64,
    pub(crate) latencies: Vec<(&'static str, Percentiles)>,
}

impl Requests {
    /// Turns `depth` pages to have a cursor so deep.
    pub(crate) async fn of(scene: &Scene, depth: u32) -> Arc<Self> {
        let mut requests = Self {
            http: reqwest::Client::new(),
            base: format!("http://{}/v1/notifications", scene.address),
            cursor: String::new(),
            ids: vec![],
        };
        for _ in 0..depth {
            let page: Value = serde_json::from_str(&requests.get(&requests.url(Kind::DeepPage, 0)).await).unwrap();
            page["next_cursor"].as_str().expect("there are so many pages").clone_into(&mut requests.cursor);
            let id = page["data"][0]["notification_id"].as_str().unwrap();
            requests.ids.push(id.to_owned());
        }
        Arc::new(requests)
    }

    /// Sends `rate` requests a second; latencies count from when each was due.
    pub(crate) async fn send(self: &Arc<Self>, rate: u32, seconds: u64) -> Answered {
        let total = u64::from(rate) * seconds;
        let (began, every) = (Instant::now(), Duration::from_secs_f64(1.0 / f64::from(rate)));
        let found = Arc::new(Mutex::new(Vec::with_capacity(total as usize)));
        let mut tasks = Vec::with_capacity(total as usize);
        for number in 0..total {
            let due = began + every * number as u32;
            tokio::time::sleep_until(due.into()).await;
            let (requests, found) = (Arc::clone(self), Arc::clone(&found));
            tasks.push(tokio::spawn(async move {
                let kind = kind(number);
                requests.get(&requests.url(kind, number)).await;
                found.lock().unwrap().push((kind, due.elapsed().as_secs_f64() * 1e3));
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let per_second = total as f64 / began.elapsed().as_secs_f64();
        let found = found.lock().unwrap();
        let of = |kind: Kind| Percentiles::of(found.iter().filter(|one| one.0 == kind).map(|one| one.1).collect());
        let latencies = MIX.iter().filter_map(|(kind, _)| Some((kind.name(), of(*kind)?))).collect();
        Answered { per_second, latencies }
    }

    fn url(&self, kind: Kind, number: u64) -> String {
        // Spreads neighbours.
        let number = number.wrapping_mul(2_654_435_761);
        let query = match kind {
            Kind::List => String::new(),
            Kind::Unresolved => "?state=OPEN&state=ACKNOWLEDGED&state=SNOOZED".to_owned(),
            Kind::Severity => "?severity=CRITICAL&kind=anomaly".to_owned(),
            Kind::Label => format!("?label=team%3Dteam-{}", number % 20),
            Kind::Group => format!("?group_id=group-{}", number % u64::from(GROUPS)),
            Kind::Device => format!("?device_id=device-{}", number % u64::from(DEVICES)),
            Kind::DeepPage if self.cursor.is_empty() => String::new(),
            Kind::DeepPage => format!("?cursor={}", self.cursor),
            Kind::Counts => "/counts".to_owned(),
            Kind::One => format!("/{}", self.ids[number as usize % self.ids.len()]),
        };
        format!("{}{query}", self.base)
    }

    async fn get(&self, url: &str) -> String {
        let response = self.http.get(url).bearer_auth(KEY).send().await.unwrap();
        assert_eq!(response.status(), 200, "{url}");
        response.text().await.unwrap()
    }
}

fn kind(number: u64) -> Kind {
    let sum: u32 = MIX.iter().map(|(_, share)| share).sum();
    // Seven and twenty have nothing in common: the kinds take turns.
    let mut place = (number * 7 % u64::from(sum)) as u32;
    for (kind, share) in MIX {
        if place < share {
            return kind;
        }
        place -= share;
    }
    Kind::List
}
