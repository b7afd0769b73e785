//! Configuration in layers: embedded defaults, `--config FILE`, `FIELDWATCH__…`, `<SERVICE>__…`.
//!
//! The defaults name every key there is, so a key they do not have is a mistake. All mistakes are collected: a value
//! that cannot be used is noted, replaced by its default, and reading goes on.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Profile, Provider};
use serde::de::DeserializeOwned;
use telemetry::{LogConfig, TelemetryConfig};

use crate::AdminConfig;

const SHARED_DEFAULTS: &str = include_str!("shared.toml");
/// Sections a `FIELDWATCH__…` variable may speak of.
const SHARED_SECTIONS: [&str; 5] = ["kafka", "registry", "telemetry", "log", "admin"];

/// A service's configuration type.
pub trait ServiceConfig: DeserializeOwned + Send + 'static {
    fn shared(&self) -> Shared<'_>;

    /// What types cannot say: relations between values, files that must exist.
    fn check(&self) -> Vec<Mistake> {
        Vec::new()
    }

    /// How many threads run the service's tasks.
    fn threads(&self) -> usize {
        2
    }
}

/// The sections `main` needs itself.
pub struct Shared<'a> {
    pub telemetry: &'a TelemetryConfig,
    pub log: &'a LogConfig,
    pub admin: &'a AdminConfig,
}

/// One thing wrong with the configuration, and where it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub key: String,
    pub problem: String,
    pub source: String,
}

impl Mistake {
    pub fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into(), source: String::new() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)?;
        if self.source.is_empty() { Ok(()) } else { write!(f, " ({})", self.source) }
    }
}

/// Where values come from, lowest layer first.
pub struct Layers<'a> {
    /// Service name, e.g. `mqtt-bridge`.
    pub service: &'a str,
    /// The service's own defaults, TOML.
    pub defaults: &'a str,
    pub file: Option<&'a Path>,
    /// Environment variables; others than ours are ignored.
    pub environment: Vec<(String, String)>,
}

/// An overridden value with the place it came from.
struct Override {
    value: Value,
    source: String,
}

/// Reads the layers into `C`, or says everything that is wrong with them.
pub fn load<C: ServiceConfig>(layers: &Layers<'_>) -> Result<C, Vec<Mistake>> {
    let defaults = Figment::new().merge(Toml::string(SHARED_DEFAULTS)).merge(Toml::string(layers.defaults));
    let known = tree(&defaults).map_err(|error| vec![Mistake::new("defaults", error)])?;
    let mut mistakes = Vec::new();
    let mut overrides = BTreeMap::new();
    read_file(layers, &known, &mut overrides, &mut mistakes);
    read_environment(layers, &known, &mut overrides, &mut mistakes);

    let config = loop {
        let figment = overrides.iter().fold(defaults.clone(), |figment, (key, given): (&String, &Override)| {
            figment.merge(Serialized::default(key, given.value.clone()))
        });
        match figment.extract::<C>() {
            Ok(config) => break Some(config),
            Err(error) => {
                let found = note(&error, &overrides);
                let known_value = overrides.remove(&found.key);
                mistakes.push(found);
                if known_value.is_none() {
                    break None;
                }
            }
        }
    };
    if let Some(config) = &config {
        mistakes.extend(config.check());
    }
    match config {
        Some(config) if mistakes.is_empty() => Ok(config),
        _ => Err(mistakes),
    }
}

fn tree(figment: &Figment) -> Result<Dict, String> {
    let mut data = figment.data().map_err(|error| error.to_string())?;
    Ok(data.remove(&Profile::Default).unwrap_or_default())
}

fn note(error: &figment::Error, overrides: &BTreeMap<String, Override>) -> Mistake {
    let path = error.path.join(".");
    // An error inside a list or map names a deeper path than the override it came with.
    let key = overrides.keys().find(|key| path == **key || path.starts_with(&format!("{key}."))).cloned().unwrap_or(path);
    let source = overrides.get(&key).map(|given| given.source.clone()).unwrap_or_default();
    Mistake { key, problem: error.kind.to_string(), source }
}

fn read_file(layers: &Layers<'_>, known: &Dict, overrides: &mut BTreeMap<String, Override>, mistakes: &mut Vec<Mistake>) {
    let Some(file) = layers.file else { return };
    let source = format!("in {}", file.display());
    if !file.is_file() {
        mistakes.push(Mistake { key: "--config".into(), problem: "no such file".into(), source });
        return;
    }
    match tree(&Figment::from(Toml::file_exact(file))) {
        Ok(given) => flatten("", &Value::from(given), &Value::from(known.clone()), &source, overrides, mistakes),
        Err(problem) => mistakes.push(Mistake { key: "--config".into(), problem, source }),
    }
}

fn read_environment(layers: &Layers<'_>, known: &Dict, overrides: &mut BTreeMap<String, Override>, mistakes: &mut Vec<Mistake>) {
    let own = format!("{}__", layers.service.to_uppercase().replace('-', "_"));
    for prefix in ["FIELDWATCH__", own.as_str()] {
        for (name, text) in &layers.environment {
            let Some(key) = name.strip_prefix(prefix) else { continue };
            let source = format!("environment variable {name}");
            let path: Vec<String> = key.split("__").map(str::to_lowercase).collect();
            if prefix == "FIELDWATCH__" && !SHARED_SECTIONS.contains(&path[0].as_str()) {
                let problem = format!("is not shared by all services; use {own}{key}");
                mistakes.push(Mistake { key: path.join("."), problem, source });
                continue;
            }
            let value = environment_value(text, lookup(known, &path));
            let nested = path.iter().rev().fold(value, |value, key| Value::from(Dict::from([(key.clone(), value)])));
            flatten("", &nested, &Value::from(known.clone()), &source, overrides, mistakes);
        }
    }
}

fn lookup<'a>(known: &'a Dict, path: &[String]) -> Option<&'a Value> {
    let (last, parents) = path.split_last()?;
    let dict = parents.iter().try_fold(known, |dict, key| dict.get(key)?.as_dict())?;
    dict.get(last)
}

/// Text stays text where the default is text (a password of digits, an empty string); else it is read as TOML would be.
fn environment_value(text: &str, default: Option<&Value>) -> Value {
    match default {
        Some(Value::String(..)) => Value::from(text),
        _ => text.parse().unwrap_or_else(|_| Value::from(text)),
    }
}

/// Notes every leaf of `given` as an override, and every key that the defaults do not have as a mistake. An empty table
/// among the defaults is a map of the user's own keys; a list is replaced whole.
fn flatten(
    path: &str,
    given: &Value,
    known: &Value,
    source: &str,
    overrides: &mut BTreeMap<String, Override>,
    mistakes: &mut Vec<Mistake>,
) {
    match (given.as_dict(), known.as_dict()) {
        (Some(given), Some(known)) if !known.is_empty() => {
            for (key, value) in given {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if let Some(known) = known.get(key) {
                    flatten(&path, value, known, source, overrides, mistakes);
                } else {
                    let problem = format!("unknown key; known here: {}", known.keys().cloned().collect::<Vec<_>>().join(", "));
                    mistakes.push(Mistake { key: path, problem, source: source.to_owned() });
                }
            }
        }
        _ => {
            overrides.insert(path.to_owned(), Override { value: given.clone(), source: source.to_owned() });
        }
    }
}

/// The whole documentation of a service's configuration: the defaults with their comments.
pub fn documentation(defaults: &str) -> String {
    format!("{SHARED_DEFAULTS}\n{defaults}")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Config {
        telemetry: TelemetryConfig,
        log: LogConfig,
        admin: AdminConfig,
        api: Api,
    }

    #[derive(Debug, Deserialize)]
    struct Api {
        port: u16,
        name: String,
        labels: BTreeMap<String, String>,
    }

    impl ServiceConfig for Config {
        fn shared(&self) -> Shared<'_> {
            Shared { telemetry: &self.telemetry, log: &self.log, admin: &self.admin }
        }
    }

    const DEFAULTS: &str = "[admin]\nlisten = \"127.0.0.1:9104\"\n[api]\nport = 8080\nname = \"api\"\n[api.labels]\n";

    fn load_with(environment: &[(&str, &str)], file: Option<&Path>) -> Result<Config, Vec<String>> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        load(&Layers { service: "the-notifier", defaults: DEFAULTS, file, environment })
            .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_layers_win_in_their_order() {
        let config = load_with(
            &[
                ("THE_NOTIFIER__API__PORT", "9"),
                ("FIELDWATCH__LOG__LEVEL", "debug"),
                ("THE_NOTIFIER__LOG__LEVEL", "warn"),
                ("THE_NOTIFIER__API__NAME", "007"),
            ],
            None,
        )
        .unwrap();
        assert_eq!((config.api.port, config.api.name.as_str(), config.log.level.as_str()), (9, "007", "warn"));
    }

    #[test]
    fn every_mistake_is_named_with_its_source() {
        let mistakes = load_with(
            &[
                ("THE_NOTIFIER__API__PORT", "many"),
                ("THE_NOTIFIER__API__PROT", "1"),
                ("FIELDWATCH__API__PORT", "1"),
                ("FIELDWATCH__TELEMETRY__SAMPLE_RATIO", "x"),
            ],
            Some(Path::new("/nowhere.toml")),
        )
        .unwrap_err();
        assert_eq!(mistakes.len(), 5, "{mistakes:#?}");
        for expected in [
            "--config: no such file (in /nowhere.toml)",
            "api.prot: unknown key; known here: labels, name, port (environment variable THE_NOTIFIER__API__PROT)",
            "use THE_NOTIFIER__API__PORT",
            "api.port: ",
            "telemetry.sample_ratio: ",
        ] {
            assert!(mistakes.iter().any(|mistake| mistake.contains(expected)), "{expected} is not in {mistakes:#?}");
        }
    }

    #[test]
    fn an_empty_table_takes_the_users_own_keys() {
        let config = load_with(&[("THE_NOTIFIER__API__LABELS__TEAM", "cold")], None).unwrap();
        assert_eq!(config.api.labels.get("team").map(String::as_str), Some("cold"));
    }
}
