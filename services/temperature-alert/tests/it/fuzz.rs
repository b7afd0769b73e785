//! Snapshots and rules, whatever is in them.

use std::path::Path;

use stream::operator::State as _;
use temperature_alert::domain::Device;
use temperature_alert::language;
use testkit::fuzz::fuzz;

#[test]
fn a_snapshot_is_read_whole_or_not_at_all() {
    fuzz("snapshot", Path::new("tests/corpus/snapshot"), |bytes| {
        let (format, body) = bytes.split_first()?;
        let device = Device::read(*format, body).ok()?;
        let written = device.write(Device::FORMAT, Vec::new()).unwrap();
        let again = Device::read(Device::FORMAT, &written).unwrap();
        assert_eq!(again.write(Device::FORMAT, Vec::new()).unwrap(), written);
        Some((*format, device.is_idle(), written.len().min(64)))
    });
}

#[test]
fn rules_are_taken_whole_or_refused_with_the_place_of_each_mistake() {
    fuzz("rules", Path::new("tests/corpus/rules"), |bytes| {
        let yaml = std::str::from_utf8(bytes).ok()?;
        match language::parse(yaml) {
            Ok(rules) => Some(Ok(format!("{rules:?}").len().min(4_096) / 64)),
            Err(refused) => {
                assert!(!refused.mistakes.is_empty() && refused.to_string().len() < 64 * 1_024, "{refused}");
                let words = refused.mistakes[0].problem.split_whitespace().take(3);
                Some(Err(words.map(str::len).collect::<Vec<_>>()))
            }
        }
    });
}
