//! Recognises repeats of a notification's versions: the relay delivers each at least once.

use std::collections::{HashMap, VecDeque};

/// The highest version seen of each notification, of the notifications seen last.
pub struct Repeats {
    highest: HashMap<String, i64>,
    order: VecDeque<String>,
    capacity: usize,
}

impl Repeats {
    /// Remembers `capacity` notifications; what is forgotten counts as new again.
    pub fn new(capacity: usize) -> Self {
        Self { highest: HashMap::new(), order: VecDeque::new(), capacity: capacity.max(1) }
    }

    /// Whether this or a higher version was seen.
    pub fn knows(&self, notification_id: &str, version: i64) -> bool {
        self.highest.get(notification_id).is_some_and(|highest| version <= *highest)
    }

    /// Whether `version` is new; notes it. Equal and lower versions are repeats.
    pub fn is_new(&mut self, notification_id: &str, version: i64) -> bool {
        if let Some(highest) = self.highest.get_mut(notification_id) {
            let new = version > *highest;
            *highest = version.max(*highest);
            return new;
        }
        if self.order.len() == self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.highest.remove(&oldest);
        }
        self.highest.insert(notification_id.to_owned(), version);
        self.order.push_back(notification_id.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_or_a_lower_version_is_a_repeat() {
        let mut repeats = Repeats::new(10);
        let seen: Vec<bool> = [1, 2, 1, 2, 3].into_iter().map(|version| repeats.is_new("a", version)).collect();
        assert_eq!(seen, [true, true, false, false, true]);
        assert!(repeats.is_new("b", 1));
        assert!(repeats.knows("a", 2) && !repeats.knows("a", 4) && !repeats.knows("c", 1));
    }

    #[test]
    fn memory_is_bounded() {
        let mut repeats = Repeats::new(2);
        for id in ["a", "b", "c"] {
            repeats.is_new(id, 1);
        }
        assert_eq!(repeats.highest.len(), 2);
        assert!(repeats.is_new("a", 1));
        assert!(!repeats.is_new("c", 1));
    }
}
