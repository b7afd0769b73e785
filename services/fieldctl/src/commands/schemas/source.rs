//! Which schemas are offered, and the topic of each.

use std::path::Path;

use anyhow::{Context as _, bail};
use events::{SCHEMAS, topics};
use stream::admin::Catalogue;

pub(crate) struct Offered {
    /// Name of the file.
    pub(crate) file: String,
    /// Without prefix.
    pub(crate) topic: String,
    pub(crate) json: String,
}

/// The .avsc files of a folder, or the built-in schemas.
pub(crate) fn schemas(folder: Option<&Path>) -> anyhow::Result<Vec<Offered>> {
    let Some(folder) = folder else {
        let built_in = |schema: &events::Schema| Offered {
            file: format!("{}.avsc", schema.file),
            topic: schema.topic.to_owned(),
            json: schema.json.to_owned(),
        };
        return Ok(SCHEMAS.iter().map(built_in).collect());
    };
    let catalogue = folder.join("topics.yaml");
    let catalogue = if catalogue.is_file() { std::fs::read_to_string(catalogue)? } else { topics::CATALOGUE.to_owned() };
    let catalogue = Catalogue::parse(&catalogue)?;
    let entries = std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    let mut offered = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "avsc")) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let Some(declared) = catalogue.declared().iter().find(|topic| topic.schema.as_deref() == Some(&name)) else {
            bail!("{}: no topic of topics.yaml has the schema {name}", path.display());
        };
        let json = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_str::<serde_json::Value>(&json).with_context(|| format!("{} is no JSON", path.display()))?;
        offered.push(Offered { file: format!("{name}.avsc"), topic: declared.name.clone(), json });
    }
    if offered.is_empty() {
        bail!("{} has no .avsc file", folder.display());
    }
    offered.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(offered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_folder_are_the_built_in_ones() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
        let pairs = |offered: Vec<Offered>| {
            let mut pairs: Vec<_> = offered.into_iter().map(|schema| (schema.file, schema.topic, schema.json)).collect();
            pairs.sort();
            pairs
        };
        assert_eq!(pairs(schemas(Some(&folder)).unwrap()), pairs(schemas(None).unwrap()));
    }

    #[test]
    fn a_schema_without_a_topic_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("humidity.avsc"), "{}").unwrap();
        assert!(schemas(Some(folder.path())).err().unwrap().to_string().contains("humidity"));
    }
}
