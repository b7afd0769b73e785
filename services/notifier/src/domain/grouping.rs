//! When a group of notifications is told of, and of which.
//!
//! Guarantees: what is open is told of once, again when it rises or comes back, and otherwise only after the repeat
//! interval; an end is told of once, and only to who heard of the beginning. A group with nothing left is forgotten.

use events::{NotificationState, Timestamp};

use super::routing::Timing;

/// A notification as a group knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub state: NotificationState,
    /// Version of its last change that has to be told: opened, raised, back from a snooze, …
    pub news: i64,
    /// The `news` that was told last.
    pub told: Option<i64>,
    /// A silence, an inhibition: quiet, whatever happens.
    pub suppressed: bool,
    /// The routes still lead here.
    pub routed: bool,
}

/// Where a group stands when its turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    pub now: Timestamp,
    pub told_at: Option<Timestamp>,
    pub timing: Timing,
    /// A mute time, or no active one.
    pub muted: bool,
    pub send_resolved: bool,
}

/// Why a group is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    New,
    Resolved,
    Repeated,
}

impl Because {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Resolved => "resolved",
            Self::Repeated => "repeated",
        }
    }
}

/// What to do with a group; members by their index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flush {
    pub because: Option<Because>,
    /// Whom the telling lists.
    pub listed: Vec<usize>,
    /// Whose news are told by it.
    pub told: Vec<usize>,
    /// Who leaves the group.
    pub forgotten: Vec<usize>,
    pub next: Timestamp,
}

impl Member {
    fn is_firing(&self) -> bool {
        self.state == NotificationState::Open && !self.suppressed && self.routed
    }

    fn has_news(&self) -> bool {
        self.is_firing() && self.told.is_none_or(|told| told < self.news)
    }

    fn is_over(&self) -> bool {
        self.state == NotificationState::Resolved
    }

    /// Its end is something to tell.
    fn ends(&self, turn: &Turn) -> bool {
        self.is_over() && self.told.is_some() && !self.suppressed && turn.send_resolved
    }
}

/// What becomes of a group at its turn.
pub fn flush(members: &[Member], turn: &Turn) -> Flush {
    let any = |holds: &dyn Fn(&Member) -> bool| members.iter().any(holds);
    let which = |holds: &dyn Fn(&Member) -> bool| (0..).zip(members).filter(|(_, member)| holds(member)).map(|(index, _)| index).collect();
    let repeats = turn.told_at.is_some_and(|told_at| turn.now >= told_at.saturating_add(turn.timing.repeat_interval.duration()));
    let because = if turn.muted {
        None
    } else if any(&Member::has_news) {
        Some(Because::New)
    } else if any(&|member| member.ends(turn)) {
        Some(Because::Resolved)
    } else if repeats && any(&Member::is_firing) {
        Some(Because::Repeated)
    } else {
        None
    };
    let is_listed = |member: &Member| match member.state {
        NotificationState::Open => member.is_firing(),
        NotificationState::Acknowledged => member.told.is_some() && !member.suppressed,
        NotificationState::Resolved => member.ends(turn),
        NotificationState::Snoozed | NotificationState::Unknown => false,
    };
    // While muted an end waits, so that whoever heard of the beginning hears of it.
    let is_forgotten = |member: &Member| {
        let waits = turn.muted && member.ends(turn);
        (member.is_over() && !waits) || (!member.routed && member.told.is_none())
    };
    Flush {
        because,
        listed: if because.is_some() { which(&is_listed) } else { Vec::new() },
        told: if because.is_some() { which(&Member::is_firing) } else { Vec::new() },
        forgotten: which(&is_forgotten),
        next: turn.now.saturating_add(turn.timing.group_interval.duration()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::period::Period;
    use super::*;
    use NotificationState::{Acknowledged, Open, Resolved, Snoozed};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn turn(now: i64, told_at: Option<i64>) -> Turn {
        let timing = Timing {
            group_wait: Period::from_secs(30),
            group_interval: Period::from_secs(300),
            repeat_interval: Period::from_secs(14_400),
        };
        Turn { now: at(now), told_at: told_at.map(at), timing, muted: false, send_resolved: true }
    }

    fn member(state: NotificationState, news: i64, told: Option<i64>) -> Member {
        Member { state, news, told, suppressed: false, routed: true }
    }

    #[test]
    fn each_case_of_a_group_has_its_answer() {
        let quiet = Member { suppressed: true, ..member(Open, 1, None) };
        let moved = Member { routed: false, ..member(Open, 1, None) };
        for (case, members, turn, because, listed, forgotten) in [
            ("new", vec![member(Open, 1, None)], turn(30, None), Some(Because::New), vec![0], vec![]),
            ("known", vec![member(Open, 1, Some(1))], turn(330, Some(30)), None, vec![], vec![]),
            ("raised", vec![member(Open, 3, Some(1))], turn(330, Some(30)), Some(Because::New), vec![0], vec![]),
            ("joined", vec![member(Open, 1, Some(1)), member(Open, 1, None)], turn(330, Some(30)), Some(Because::New), vec![0, 1], vec![]),
            ("over", vec![member(Resolved, 1, Some(1))], turn(330, Some(30)), Some(Because::Resolved), vec![0], vec![0]),
            ("over before it was told", vec![member(Resolved, 1, None)], turn(30, None), None, vec![], vec![0]),
            ("not repeated yet", vec![member(Open, 1, Some(1))], turn(14_429, Some(30)), None, vec![], vec![]),
            ("repeated", vec![member(Open, 1, Some(1))], turn(14_430, Some(30)), Some(Because::Repeated), vec![0], vec![]),
            ("someone is on it", vec![member(Acknowledged, 1, Some(1))], turn(99_999, Some(30)), None, vec![], vec![]),
            ("snoozed", vec![member(Snoozed, 1, None)], turn(30, None), None, vec![], vec![]),
            ("silenced", vec![quiet.clone()], turn(30, None), None, vec![], vec![]),
            ("one silenced, one not", vec![quiet, member(Open, 1, None)], turn(30, None), Some(Because::New), vec![1], vec![]),
            ("routed elsewhere", vec![moved], turn(30, None), None, vec![], vec![0]),
            ("muted", vec![member(Open, 1, None)], Turn { muted: true, ..turn(30, None) }, None, vec![], vec![]),
            ("over while muted", vec![member(Resolved, 1, Some(1))], Turn { muted: true, ..turn(330, Some(30)) }, None, vec![], vec![]),
            (
                "ends are not wanted",
                vec![member(Resolved, 1, Some(1))],
                Turn { send_resolved: false, ..turn(330, Some(30)) },
                None,
                vec![],
                vec![0],
            ),
        ] {
            let flush = flush(&members, &turn);
            assert_eq!((flush.because, flush.listed, flush.forgotten), (because, listed, forgotten), "{case}");
        }
    }

    proptest! {
        /// One notification goes through states at random while its group has its turns: each of its news is told once
        /// while it is open, its end at most once and only after its beginning.
        #[test]
        fn news_are_told_once_and_ends_only_to_who_heard_of_the_beginning(
            states in prop::collection::vec((prop_oneof![Just(Open), Just(Acknowledged), Just(Snoozed)], any::<bool>(), any::<bool>()), 1..40)
        ) {
            let mut one = member(Open, 1, None);
            let mut told_at = None;
            let (mut told, mut ended) = (Vec::new(), 0);
            let last = states.len() as i64;
            for (step, (state, news, suppressed)) in (1..).zip(states) {
                if news && state == Open {
                    one.news = step;
                }
                one = Member { state, suppressed, ..one };
                let turn = turn(step * 300, told_at);
                let flush = flush(std::slice::from_ref(&one), &turn);
                if flush.because == Some(Because::New) {
                    prop_assert!(state == Open && !suppressed);
                    told.push(one.news);
                }
                if flush.because.is_some() {
                    told_at = Some(step * 300);
                }
                if flush.told.contains(&0) {
                    one.told = Some(one.news);
                }
                prop_assert!(flush.forgotten.is_empty());
                if state == Open && !suppressed {
                    prop_assert_eq!(one.told, Some(one.news));
                }
            }
            let over = Member { state: Resolved, suppressed: false, ..one };
            let flush = flush(std::slice::from_ref(&over), &turn((last + 1) * 300, told_at));
            ended += usize::from(flush.because == Some(Because::Resolved));
            prop_assert_eq!(ended == 1, over.told.is_some());
            prop_assert_eq!(flush.forgotten, vec![0]);
            prop_assert!(told.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
