//! A delivery as an e-mail: a subject, an empty line, and plain text for people.
//!
//! What devices and callers say stays within its line, whatever characters it has.

use events::NotificationState;

use super::document::NotificationDocument;
use super::payload::{DeliveryDocument, DeliveryType};
use crate::domain::symbol;

/// Notifications that an e-mail tells of; the others are counted.
const TOLD: usize = 50;
/// Characters of a subject, and of a line that someone else wrote.
const SUBJECT: usize = 150;
const LINE: usize = 1_000;

impl DeliveryDocument {
    /// What is mailed: the subject's line, an empty line, the text.
    pub fn email(&self) -> String {
        let mut lines = vec![self.subject(), String::new(), self.headline()];
        for notification in self.notifications.iter().take(TOLD) {
            lines.push(String::new());
            lines.extend(told(notification));
        }
        let more = self.notifications.len().saturating_sub(TOLD) + self.truncated;
        if more > 0 {
            lines.extend([String::new(), format!("and {more} more")]);
        }
        let because = self.receiver.iter().map(|receiver| format!("receiver {receiver}"));
        let because = because.chain(self.group_key.iter().map(|group| format!("group {}", line(group, LINE))));
        lines.extend([String::new(), "-- ".to_owned(), format!("Fieldwatch {}", because.collect::<Vec<_>>().join(", "))]);
        lines.join("\n").trim_end().to_owned() + "\n"
    }

    fn subject(&self) -> String {
        let Some(gravest) = self.notifications.first() else { return self.headline() };
        let what = match self.notifications.len() + self.truncated {
            1 => String::new(),
            count => format!("{count} notifications: "),
        };
        line(&format!("[{}] {what}{}", sign(gravest), gravest.title), SUBJECT)
    }

    /// Why there is a delivery, in one line.
    fn headline(&self) -> String {
        match self.r#type {
            DeliveryType::Notifications | DeliveryType::Summary | DeliveryType::Escalation => self.counted(),
            DeliveryType::Heartbeat => "Fieldwatch is watching.".to_owned(),
            DeliveryType::Test => "A test from Fieldwatch: this address works.".to_owned(),
        }
    }
}

fn sign(notification: &NotificationDocument) -> String {
    if notification.state == NotificationState::Resolved { "RESOLVED".to_owned() } else { symbol(&notification.severity) }
}

fn told(notification: &NotificationDocument) -> Vec<String> {
    let mut lines = vec![line(&format!("[{}] {}", sign(notification), notification.title), LINE)];
    let mut about = |text: String| lines.push(line(&format!("    {text}"), LINE));
    if !notification.body.is_empty() && notification.body != notification.title {
        notification.body.lines().take(20).for_each(|text| about(text.to_owned()));
    }
    let place = [("device", &notification.device_id), ("group", &notification.group_id)];
    let place: Vec<String> = place.into_iter().filter_map(|(what, name)| Some(format!("{what} {}", name.as_ref()?))).collect();
    if !place.is_empty() {
        about(place.join(", "));
    }
    let since = format!("since {}", notification.opened_at.0);
    about(notification.resolved_at.map_or(since.clone(), |resolved| format!("{since}, resolved {}", resolved.0)));
    for (name, link) in &notification.links {
        about(format!("{name}: {link}"));
    }
    about(format!("notification {}", notification.notification_id));
    lines
}

/// One line of it.
fn line(text: &str, most: usize) -> String {
    let cleaned: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(most).collect();
    cleaned.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use events::{Labels, Notification, Severity};

    use super::*;

    fn notifications(count: usize) -> Vec<Notification> {
        let example: Notification = serde_json::from_str(include_str!("../../../../schemas/golden/notification-1.json")).unwrap();
        let links = Labels::from([("runbook".to_owned(), "https://wiki.example.com/cold".to_owned())]);
        (0..count)
            .map(|index| Notification {
                notification_id: format!("id-{index}"),
                title: format!("it is warm {index}"),
                state: NotificationState::Open,
                severity: Severity::Critical,
                links: links.clone(),
                ..example.clone()
            })
            .collect()
    }

    fn email(of: &[Notification]) -> String {
        DeliveryDocument::new(DeliveryType::Notifications, Some("ops")).about(&of.iter().collect::<Vec<_>>()).email()
    }

    #[test]
    fn an_email_says_what_is_wrong_in_its_subject_and_where_to_look_in_its_text() {
        let one = email(&notifications(1));
        let (subject, text) = one.split_once("\n\n").unwrap();
        assert_eq!(subject, "[CRITICAL] it is warm 0");
        for expected in ["1 notification new or changed", "    runbook: https://wiki.example.com/cold", "notification id-0", "receiver ops"]
        {
            assert!(text.contains(expected), "{text}");
        }
        let many = email(&notifications(60));
        assert!(many.starts_with("[CRITICAL] 60 notifications: it is warm 0\n\n60 notifications new or changed\n"), "{many}");
        assert!(many.contains("\nand 10 more\n"));
        assert!(DeliveryDocument::new(DeliveryType::Heartbeat, None).email().starts_with("Fieldwatch is watching.\n\n"));
    }

    #[test]
    fn what_a_device_says_cannot_become_a_header_or_another_line() {
        let mut evil = notifications(1);
        evil[0].title = "warm\r\nBcc: everyone@example.com\n\nbuy this".repeat(20);
        let text = email(&evil);
        let subject = text.lines().next().unwrap();
        assert!(subject.chars().count() <= SUBJECT && subject.starts_with("[CRITICAL] warm  Bcc: everyone"), "{subject}");
        assert!(!text.contains('\r') && text.lines().all(|line| !line.starts_with("Bcc") && !line.starts_with("buy")), "{text}");
    }
}
