use std::collections::VecDeque;

use events::{CommandOutcome, CommandResult, OutboundCommand, ReportedState, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Breaker, Chain, Limits, Task, document};

const LONGEST_ERROR: usize = 256;

/// Takes what a device's commands lead to, in order.
pub trait Outlet {
    fn send(&mut self, chain: &Chain, outbound: &OutboundCommand);
    fn tell(&mut self, chain: &Chain, result: &CommandResult);
}

/// One device: what it reports, its commands and its circuit breaker.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// The state it reported last; until then nobody knows it.
    reported: Option<String>,
    /// Commands taken, oldest first.
    seen: VecDeque<(Uuid, Timestamp)>,
    waiting: VecDeque<Task>,
    under_way: Option<UnderWay>,
    breaker: Breaker,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct UnderWay {
    task: Task,
    attempt: i32,
    sent_at: Timestamp,
    /// When it is sent again.
    retry_at: Timestamp,
    /// When it is given up; also what the device is told.
    deadline: Timestamp,
}

/// Whether a command is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    New,
    /// Taken before: it changes nothing.
    Repeat,
}

impl Device {
    /// Takes a command: it is refused, verified, sent, or waits for those before it.
    pub fn take(&mut self, task: Task, now: Timestamp, limits: &Limits, outlet: &mut impl Outlet) -> Taken {
        self.pass(now, limits, outlet);
        let id = task.command.command_id;
        if self.seen.iter().any(|(seen, _)| *seen == id) {
            return Taken::Repeat;
        }
        self.seen.push_back((id, now));
        if self.seen.len() > limits.remembered {
            self.seen.pop_front();
        }
        let refusal = if task.is_expired(now) {
            Some("expired".to_owned())
        } else if self.reported.is_none() {
            Some("unknown-device: it never reported a state".to_owned())
        } else if let Some(until) = self.breaker.due() {
            Some(format!("breaker-open until {until}"))
        } else if self.waiting.len() >= limits.queue || self.bytes_waiting() + task.size() > limits.queue_bytes {
            Some(format!("queue-full: {} commands wait", self.waiting.len()))
        } else {
            None
        };
        if let Some(detail) = refusal {
            self.end(&task, CommandOutcome::Refused, detail, 0, now, outlet);
        } else {
            self.waiting.push_back(task);
            self.next(now, limits, outlet);
        }
        Taken::New
    }

    /// Hears what the device reports; whether that changed anything. A report of an answer and nothing else leaves the state
    /// as it was.
    pub fn hear(&mut self, report: &ReportedState, now: Timestamp, limits: &Limits, outlet: &mut impl Outlet) -> bool {
        let is_answer_only = report.command_id.is_some() && document::is_empty(&report.state);
        let is_news = !is_answer_only && self.reported.as_ref() != Some(&report.state);
        if is_news {
            self.reported = Some(report.state.clone());
        }
        let ended = self.answer(report, now, limits, outlet);
        if ended {
            self.next(now, limits, outlet);
        }
        is_news || ended
    }

    /// Whether the report ends the command that is under way.
    fn answer(&mut self, report: &ReportedState, now: Timestamp, limits: &Limits, outlet: &mut impl Outlet) -> bool {
        let Some(UnderWay { task, .. }) = &self.under_way else { return false };
        let names_it = report.command_id == Some(task.command.command_id);
        let (outcome, detail) = match (&report.error, &task.command.desired_state) {
            (Some(error), _) if names_it => (CommandOutcome::Failed, error.chars().take(LONGEST_ERROR).collect()),
            (_, Some(_)) if self.reported.as_ref().is_some_and(|reported| task.is_satisfied(reported)) => {
                (CommandOutcome::Verified, "the device reports the desired state".to_owned())
            }
            (None, None) if names_it => (CommandOutcome::Verified, "the device answered".to_owned()),
            _ => return false,
        };
        self.finish(outcome, detail, now, limits, outlet);
        true
    }

    /// Works on what time causes by `now`.
    pub fn pass(&mut self, now: Timestamp, limits: &Limits, outlet: &mut impl Outlet) {
        self.breaker.pass(now);
        for task in std::mem::take(&mut self.waiting) {
            if task.is_expired(now) {
                self.end(&task, CommandOutcome::Refused, "expired".to_owned(), 0, now, outlet);
            } else {
                self.waiting.push_back(task);
            }
        }
        while self.seen.front().is_some_and(|(_, at)| at.saturating_add(limits.remember_for) <= now) {
            self.seen.pop_front();
        }
        match &self.under_way {
            Some(under_way) if under_way.deadline <= now => {
                let waited = under_way.deadline.since(under_way.sent_at);
                self.finish(CommandOutcome::TimedOut, format!("not verified within {waited:?}"), now, limits, outlet);
                self.next(now, limits, outlet);
            }
            Some(under_way) if under_way.retry_at <= now => self.send_again(now, limits, outlet),
            _ => {}
        }
    }

    /// When time is next to cause something.
    pub fn due(&self, limits: &Limits) -> Option<Timestamp> {
        let under_way = self.under_way.as_ref().map(|under_way| under_way.retry_at.min(under_way.deadline));
        let expiry = self.waiting.iter().map(|task| task.command.expires_at).min();
        let forgets = self.seen.front().map(|(_, at)| at.saturating_add(limits.remember_for));
        [under_way, expiry, self.breaker.due(), forgets].into_iter().flatten().min()
    }

    /// Nobody knows it, and nothing is kept of it.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    pub fn breaker(&self) -> Breaker {
        self.breaker
    }

    /// Commands that wait, and those under way: none or one.
    pub fn load(&self) -> (usize, usize) {
        (self.waiting.len(), usize::from(self.under_way.is_some()))
    }

    fn bytes_waiting(&self) -> usize {
        self.waiting.iter().map(Task::size).sum()
    }

    /// The next command, where none is under way: what the device reports already is verified without being sent.
    fn next(&mut self, now: Timestamp, limits: &Limits, outlet: &mut impl Outlet) {
        while self.under_way.is_none()
            && let Some(task) = self.waiting.pop_front()
        {
            if task.is_expired(now) {
                self.end(&task, CommandOutcome::Refused, "expired".to_owned(), 0, now, outlet);
            } else if self.reported.as_ref().is_some_and(|reported| task.is_satisfied(reported)) {
                self.end(&task, CommandOutcome::Verified, "the device reports the desired state already".to_owned(), 0, now, outlet);
            } else {
                let deadline = now.saturating_add(limits.timeout).min(task.command.expires_at);
                outlet.send(&task.chain, &task.outbound(1, now, deadline));
                self.end(&task, CommandOutcome::Accepted, "sent to the device".to_owned(), 1, now, outlet);
                let retry_at = now.saturating_add(limits.first_retry);
                self.under_way = Some(UnderWay { task, attempt: 1, sent_at: now, retry_at, deadline });
            }
        }
    }

    fn send_again(&mut self, now: Timestamp, limits: &Limits, outlet: &mut impl Outlet) {
        let Some(UnderWay { task, attempt, retry_at, deadline, .. }) = &mut self.under_way else { return };
        *attempt += 1;
        *retry_at = now.saturating_add(limits.first_retry.saturating_mul(1 << (*attempt - 1).clamp(0, 20)));
        outlet.send(&task.chain, &task.outbound(*attempt, now, *deadline));
    }

    /// Ends the command that is under way. Where that opens the breaker, those that wait are refused.
    fn finish(&mut self, outcome: CommandOutcome, detail: String, now: Timestamp, limits: &Limits, outlet: &mut impl Outlet) {
        let Some(UnderWay { task, attempt, .. }) = self.under_way.take() else { return };
        if outcome == CommandOutcome::Verified {
            self.breaker.succeeded();
        } else {
            self.breaker.failed(now, limits);
        }
        self.end(&task, outcome, detail, attempt, now, outlet);
        if let Some(until) = self.breaker.due() {
            for task in std::mem::take(&mut self.waiting) {
                self.end(&task, CommandOutcome::Refused, format!("breaker-open until {until}"), 0, now, outlet);
            }
        }
    }

    fn end(&self, task: &Task, outcome: CommandOutcome, detail: String, attempt: i32, now: Timestamp, outlet: &mut impl Outlet) {
        outlet.tell(&task.chain, &task.result(outcome, detail, attempt, self.breaker.state(), now));
    }
}
