//! What is wrong with a file of rules is said with line and column, all at once.

use temperature_alert::language;

fn problems(yaml: &str) -> Vec<String> {
    language::parse(yaml).unwrap_err().mistakes.iter().map(ToString::to_string).collect()
}

#[test]
fn every_mistake_of_meaning_is_named_at_its_place() {
    let yaml = r#"rules:
  - id: a
    metric: temperature
    above: 28
    clear: 29
    severity: SEVERE
    for: 5 parsecs
  - id: a
    metric: ""
    severity: WARNING
  - id: c
    metric: temperature
    above: 28
    severity: WARNING
    ladder:
      - {at: 27, severity: CRITICAL}
      - {at: 40, severity: WARNING}
    repeat: {count: 6, of: 5}
    flapping: {count: 1, within: 0s}
    schedule: {days: [monday], from: "8", time_zone: Mars/Olympus}
    max_active: 0
    summary: "{device} {oops}"
forget_after: soon
"#;
    assert_eq!(
        problems(yaml),
        [
            "line 5, column 12: clear (29) lies beyond the threshold that fires (28)",
            "line 6, column 15: severity `SEVERE` is none of INFO, WARNING, CRITICAL",
            "line 7, column 10: `5 parsecs` is no duration: write 90s, 5m, 1h 30m or 7d",
            "line 8, column 9: id `a` is empty or used twice",
            "line 8, column 9: a rule needs above or below",
            "line 9, column 13: metric is empty",
            "line 16, column 14: a step of the ladder lies beyond the one before (28), also where it clears",
            "line 17, column 28: a step of the ladder is more severe than the one before",
            "line 18, column 21: count is at least 1 and at most `of`, which is at most 100",
            "line 19, column 23: count is 2 to 100",
            "line 19, column 34: `0s` is no time at all",
            "line 20, column 23: `monday` is no day: write mon, tue, wed, thu, fri, sat, sun or mon-fri",
            "line 20, column 38: `8` is no time of day: write \"08:30\", in quotes",
            "line 21, column 17: max_active is at least 1",
            "line 22, column 14: `{oops}` is none of {device}, {group}, {metric}, {unit}, {value}, {threshold}, {severity}, {rule}",
            "line 23, column 15: `soon` is no duration: write 90s, 5m, 1h 30m or 7d",
        ]
    );
}

#[test]
fn a_refusal_says_all_its_mistakes_in_one_line() {
    let refused = language::parse("rules:\n  - {id: '', metric: '', above: 1, severity: INFO}\n").unwrap_err();
    assert_eq!(refused.to_string(), "line 2, column 10: id `` is empty or used twice; line 2, column 22: metric is empty");
}

#[test]
fn a_mistake_of_form_is_named_at_its_place() {
    for (yaml, place, word) in [
        ("rules:\n  - id: a\n    metric: t\n    abvoe: 28\n    severity: INFO\n", "line 4, column 5: ", "abvoe"),
        ("rules:\n  - {id: a, metric: t, above: high, severity: INFO}\n", "line 2, column 31: ", "floating point"),
        ("rules:\n  - {id: a, metric: t, above: 1\n", "line 2, column 5: ", "unclosed"),
        ("rules:\n  - {id: a, above: 1, severity: INFO}\n", "line 2, column 23: ", "metric"),
    ] {
        let problems = problems(yaml);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with(place) && problems[0].contains(word), "{problems:?}");
    }
}

#[test]
fn a_mistake_in_an_override_is_named_and_those_of_its_rule_only_once() {
    let yaml = "rules:\n  - {id: a, metric: t, above: 28, severity: LOW, overrides: [{devices: [x], clear: 30}, {devices: [], above: 1, below: 2}]}\n";
    assert_eq!(
        problems(yaml),
        [
            "line 2, column 10: an override names no devices",
            "line 2, column 45: severity `LOW` is none of INFO, WARNING, CRITICAL",
            "line 2, column 84: clear (30) lies beyond the threshold that fires (28)",
            "line 2, column 120: a rule has above or below, not both: write two rules",
        ]
    );
}

#[test]
fn a_rules_version_changes_with_its_definition_and_only_with_it() {
    let version = |more: &str| {
        let rules = language::parse(&format!("rules:\n  - {{id: a, metric: t, severity: INFO, {more}}}")).unwrap();
        rules.iter().next().unwrap().1.to_owned()
    };
    assert_eq!(version("above: 28"), version("above: 28.0, clear: 28, labels: {}"));
    assert_ne!(version("above: 28"), version("above: 28.5"));
    assert_ne!(version("above: 28"), version("above: 28, runbook_url: https://runbooks.example"));
}

#[test]
fn the_bounds_of_repeat_are_allowed_and_what_lies_beyond_is_not() {
    let repeat = |count: u32, of: u32| {
        language::parse(&format!("rules: [{{id: a, metric: t, above: 1, severity: INFO, repeat: {{count: {count}, of: {of}}}}}]"))
    };
    assert!(repeat(1, 1).is_ok() && repeat(5, 5).is_ok() && repeat(100, 100).is_ok());
    assert!(repeat(0, 1).is_err() && repeat(2, 1).is_err() && repeat(1, 101).is_err());
}

#[test]
fn a_step_of_a_ladder_fires_beyond_the_one_before_and_clears_no_sooner_than_the_first_fires() {
    let ladder = |step: &str| {
        language::parse(&format!("rules: [{{id: a, metric: t, above: 28, severity: WARNING, ladder: [{{{step}, severity: CRITICAL}}]}}]"))
    };
    assert!(ladder("at: 30").is_ok() && ladder("at: 30, clear: 28").is_ok());
    assert!(ladder("at: 28").is_err() && ladder("at: 30, clear: 27.9").is_err());
}
