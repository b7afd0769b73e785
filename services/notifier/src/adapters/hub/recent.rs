//! The hub's position and the changes just before it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Frame;
use crate::domain::position::Position;

/// The last changes, oldest first.
pub(super) struct Recent {
    position: Position,
    /// From here on every change is among `frames`.
    floor: Position,
    frames: VecDeque<Arc<Frame>>,
    capacity: usize,
}

impl Recent {
    pub(super) fn new(capacity: usize) -> Self {
        Self { position: Position::default(), floor: Position::default(), frames: VecDeque::new(), capacity }
    }

    /// Starts at `position`, with nothing before it.
    pub(super) fn start(&mut self, position: Position) {
        self.floor = position.clone();
        self.position = position;
        self.frames.clear();
    }

    pub(super) fn position(&self) -> &Position {
        &self.position
    }

    /// Moves past a record; `frame` is what streams are to see of it.
    pub(super) fn push(&mut self, partition: i32, offset: i64, frame: Option<Frame>) -> Option<Arc<Frame>> {
        self.position.advance(partition, offset);
        let frame = Arc::new(Frame { position: Arc::new(self.position.clone()), ..frame? });
        self.frames.push_back(Arc::clone(&frame));
        while self.frames.len() > self.capacity
            && let Some(oldest) = self.frames.pop_front()
        {
            self.floor.advance(oldest.partition, oldest.offset);
        }
        Some(frame)
    }

    /// The changes from `from` on. `None` when some are no longer here, or `from` is ahead of us.
    pub(super) fn after(&self, from: &Position) -> Option<Vec<Arc<Frame>>> {
        if !from.covers(&self.floor) || !self.position.covers(from) {
            return None;
        }
        Some(self.frames.iter().filter(|frame| !from.is_past(frame.partition, frame.offset)).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use events::Notification;

    use super::*;

    fn frame(partition: i32, offset: i64) -> Frame {
        let example = include_str!("../../../../../schemas/golden/notification-1.json");
        let notification: Notification = serde_json::from_str(example).unwrap();
        Frame { partition, offset, notification: Arc::new(notification), data: OnceLock::new(), trace: None, position: Arc::default() }
    }

    fn offsets(frames: &[Arc<Frame>]) -> Vec<(i32, i64)> {
        frames.iter().map(|frame| (frame.partition, frame.offset)).collect()
    }

    #[test]
    fn what_was_missed_is_given_while_all_of_it_is_here() {
        let mut recent = Recent::new(3);
        recent.start(Position::new(vec![10, 20]));
        for (partition, offset) in [(0, 10), (1, 20), (0, 11)] {
            recent.push(partition, offset, Some(frame(partition, offset)));
        }
        let after = |recent: &Recent, next: [i64; 2]| recent.after(&Position::new(next.to_vec())).map(|frames| offsets(&frames));
        assert_eq!(after(&recent, [10, 20]), Some(vec![(0, 10), (1, 20), (0, 11)]));
        assert_eq!(after(&recent, [11, 21]), Some(vec![(0, 11)]));
        assert_eq!(after(&recent, [12, 21]), Some(vec![]));
        assert_eq!(after(&recent, [9, 21]), None, "before the start");
        assert_eq!(after(&recent, [12, 22]), None, "ahead of the hub");

        recent.push(1, 21, Some(frame(1, 21)));
        assert_eq!(after(&recent, [10, 20]), None, "the oldest is gone");
        assert_eq!(after(&recent, [11, 20]), Some(vec![(1, 20), (0, 11), (1, 21)]));
    }

    #[test]
    fn a_record_nobody_is_to_see_still_moves_the_position() {
        let mut recent = Recent::new(3);
        recent.start(Position::new(vec![0]));
        assert!(recent.push(0, 0, None).is_none());
        assert_eq!(recent.position().next_offsets(), [1]);
        assert_eq!(recent.push(0, 1, Some(frame(0, 1))).unwrap().position.next_offsets(), [2]);
    }
}
