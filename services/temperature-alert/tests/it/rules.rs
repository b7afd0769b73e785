//! Every feature of the rule language is shown by a file of rule tests; here all of them run.

use std::path::{Path, PathBuf};

use temperature_alert::rule_tests::run;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_rule_test_that_is_shipped_passes() {
    let mut failures = String::new();
    for file in files() {
        for outcome in run(&file).unwrap_or_else(|problem| panic!("{problem}")) {
            if !outcome.differences.is_empty() {
                failures += &format!("{}: {}\n", file.file_name().unwrap().display(), outcome.name);
                outcome.differences.iter().for_each(|line| failures += &format!("  {line}\n"));
            }
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}
