//! Names with wildcards: `*` stands for any text, `?` for one character.

/// A device id with wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn matches(&self, name: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.as_str(), name);
        // After the last `*`: the pattern, and the text it may begin in.
        let mut retry: Option<(&str, &str)> = None;
        loop {
            let (mut wanted, mut found) = (pattern.chars(), rest.chars());
            match (wanted.next(), found.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    pattern = wanted.as_str();
                    retry = Some((pattern, rest));
                    continue;
                }
                (Some(one), Some(other)) if one == '?' || one == other => {
                    (pattern, rest) = (wanted.as_str(), found.as_str());
                    continue;
                }
                _ => {}
            }
            let Some((after_star, from)) = retry else { return false };
            let mut next = from.chars();
            if next.next().is_none() {
                return false;
            }
            (pattern, rest) = (after_star, next.as_str());
            retry = Some((after_star, rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_a_question_mark_one_character() {
        for (pattern, name) in [("*", ""), ("a", "a"), ("a*", "a"), ("*b*", "abc"), ("s-?", "s-ü"), ("a*b*c", "aXbYbZc"), ("**", "x")] {
            assert!(Pattern::new(pattern).matches(name), "{pattern} {name}");
        }
        for (pattern, name) in [("", "a"), ("a", "A"), ("a*", "ba"), ("s-?", "s-"), ("s-?", "s-10"), ("a*b", "abc")] {
            assert!(!Pattern::new(pattern).matches(name), "{pattern} {name}");
        }
    }
}
