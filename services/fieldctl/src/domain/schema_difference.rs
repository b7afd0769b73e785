//! Where two Avro schemas are not compatible in both directions (`FULL`), by field.
//!
//! A registry decides; it tells by position at best. This tells people which field it is about. It may miss what the
//! registry sees (aliases, promotions are treated as differences), so it never overrules the registry.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Path of field names, e.g. `evidence.at`; empty: the schema itself.
    pub(crate) field: String,
    pub(crate) problem: String,
}

/// What keeps `new` from being read as `old`, or `old` as `new`.
pub(crate) fn differences(old: &Value, new: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", old, new, &mut found);
    found
}

fn compare(path: &str, old: &Value, new: &Value, found: &mut Vec<Difference>) {
    let mut note = |problem: String| found.push(Difference { field: path.to_owned(), problem });
    if let (Value::Array(old), Value::Array(new)) = (old, new) {
        return compare_branches(path, old, new, found);
    }
    let (old_type, new_type) = (type_name(old), type_name(new));
    if old_type != new_type {
        return note(format!("was {old_type}, is {new_type}"));
    }
    match old_type.as_str() {
        "array" => compare(path, &old["items"], &new["items"], found),
        "map" => compare(path, &old["values"], &new["values"], found),
        "enum" => {
            let gone = missing(&old["symbols"], &new["symbols"]).filter(|_| new.get("default").is_none());
            let added = missing(&new["symbols"], &old["symbols"]).filter(|_| old.get("default").is_none());
            if let Some(symbol) = gone.or(added) {
                note(format!("symbol {symbol} is only in one of them, and the other has no default to read it as"));
            }
        }
        "fixed" if old["size"] != new["size"] => note(format!("was {} bytes, is {}", old["size"], new["size"])),
        "record" => compare_fields(path, old, new, found),
        _ => {}
    }
}

fn compare_fields(path: &str, old: &Value, new: &Value, found: &mut Vec<Difference>) {
    let fields = |schema: &Value| schema["fields"].as_array().cloned().unwrap_or_default();
    let named = |fields: &[Value], name: &Value| fields.iter().find(|field| &field["name"] == name).cloned();
    let within = |name: &Value| {
        let name = name.as_str().unwrap_or("?");
        if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
    };
    let (old, new) = (fields(old), fields(new));
    for field in &new {
        let name = &field["name"];
        match named(&old, name) {
            Some(before) => compare(&within(name), &before["type"], &field["type"], found),
            None if field.get("default").is_none() => {
                found.push(Difference { field: within(name), problem: "is new and has no default".to_owned() });
            }
            None => {}
        }
    }
    for field in &old {
        let name = &field["name"];
        if named(&new, name).is_none() && field.get("default").is_none() {
            let problem = "is gone, and had no default that older readers could fall back to".to_owned();
            found.push(Difference { field: within(name), problem });
        }
    }
}

fn compare_branches(path: &str, old: &[Value], new: &[Value], found: &mut Vec<Difference>) {
    for branch in new {
        match old.iter().find(|before| type_name(before) == type_name(branch)) {
            Some(before) => compare(path, before, branch, found),
            None => {
                found.push(Difference { field: path.to_owned(), problem: format!("may be {} now, which it was not", type_name(branch)) });
            }
        }
    }
    for gone in old.iter().filter(|before| !new.iter().any(|branch| type_name(branch) == type_name(before))) {
        found.push(Difference { field: path.to_owned(), problem: format!("may not be {} any more", type_name(gone)) });
    }
}

/// `string`, `record`, `[null, string]`, or the name of a type defined elsewhere.
fn type_name(schema: &Value) -> String {
    match schema {
        Value::String(name) => name.clone(),
        Value::Array(branches) => format!("[{}]", branches.iter().map(type_name).collect::<Vec<_>>().join(", ")),
        Value::Object(object) => object.get("type").map(type_name).unwrap_or_default(),
        _ => String::new(),
    }
}

fn missing(symbols: &Value, from: &Value) -> Option<String> {
    let known = from.as_array()?;
    symbols.as_array()?.iter().find(|symbol| !known.contains(symbol)).and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(fields: &Value) -> Value {
        json!({"type": "record", "name": "R", "fields": fields})
    }

    fn found(old: &Value, new: &Value) -> Vec<(String, String)> {
        let differences = differences(&record(old), &record(new));
        differences.into_iter().map(|difference| (difference.field, difference.problem)).collect()
    }

    #[test]
    fn a_field_without_default_may_neither_come_nor_go() {
        let with = json!([{"name": "a", "type": "string"}, {"name": "severity_score", "type": "double"}]);
        let without = json!([{"name": "a", "type": "string"}]);
        let (added, removed) = (found(&without, &with), found(&with, &without));
        assert_eq!(added, [("severity_score".to_owned(), "is new and has no default".to_owned())]);
        assert_eq!(removed[0].0, "severity_score");
        let optional = json!([{"name": "a", "type": "string"}, {"name": "b", "type": ["null", "string"], "default": null}]);
        assert_eq!((found(&without, &optional), found(&optional, &without)), (vec![], vec![]));
    }

    #[test]
    fn a_type_changed_deep_inside_is_named_by_its_path() {
        let evidence =
            |at: &str| json!([{"name": "evidence", "type": {"type": "array", "items": record(&json!([{"name": "at", "type": at}]))}}]);
        assert_eq!(found(&evidence("long"), &evidence("string")), [("evidence.at".to_owned(), "was long, is string".to_owned())]);
    }

    #[test]
    fn branches_of_a_union_are_compared_by_type() {
        let field = |branches: &[&str]| json!([{"name": "value", "type": branches}]);
        assert_eq!(found(&field(&["null", "double"]), &field(&["null", "long"])).len(), 2);
        assert_eq!(found(&field(&["null", "double"]), &field(&["double", "null"])), []);
    }

    #[test]
    fn a_symbol_may_come_where_the_enum_has_a_default() {
        let states =
            |symbols: &[&str]| json!([{"name": "state", "type": {"type": "enum", "name": "S", "symbols": symbols, "default": "A"}}]);
        assert_eq!(found(&states(&["A", "B"]), &states(&["A", "B", "C"])), []);
        let strict = |symbols: &[&str]| json!([{"name": "state", "type": {"type": "enum", "name": "S", "symbols": symbols}}]);
        assert_eq!(found(&strict(&["A"]), &strict(&["A", "C"]))[0].0, "state");
    }
}
