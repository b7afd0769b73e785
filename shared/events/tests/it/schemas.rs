use std::path::PathBuf;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema_compatibility::SchemaCompatibility;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use events::codec::{Encoder, SchemaId, WriterSchema, unframe};
use events::{
    Aggregate, Anomaly, Blob, Command, CommandResult, DeviceStatus, Event, Notification, OutboundCommand, Reading, ReportedState, SCHEMAS,
    Scene, SensorHealth, TemperatureAlert,
};

/// Payloads of a release: `<event>-<release>.avsc` wrote `.avro`, which says what `.json` says.
const RELEASES: [u32; 1] = [1];

fn golden(file: &str, release: u32, ending: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../schemas/golden/{file}-{release}.{ending}"))
}

fn read_text(path: &PathBuf) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn avro(json: &str) -> apache_avro::Schema {
    apache_avro::Schema::parse_str(json).unwrap()
}

/// No null anywhere: a full example has a value for every nullable field.
fn assert_full(name: &str, value: &Value) {
    match value {
        Value::Union(_, inner) => {
            assert!(!matches!(**inner, Value::Null), "the example of {name} leaves a nullable field empty");
            assert_full(name, inner);
        }
        Value::Record(fields) => fields.iter().for_each(|(field, value)| assert_full(&format!("{name}.{field}"), value)),
        Value::Array(items) => {
            assert!(!items.is_empty(), "the example of {name} has an empty array");
            for item in items {
                assert_full(name, item);
            }
        }
        _ => {}
    }
}

fn type_and_file_agree<E: Event + PartialEq + std::fmt::Debug>() {
    let file = E::SCHEMA.file;
    let schema = avro(E::SCHEMA.json);
    let example: E = serde_json::from_str(&read_text(&golden(file, 1, "json"))).unwrap();

    let framed = Encoder::new(SchemaId(1)).unwrap().encode(&example).unwrap_or_else(|error| panic!("{file}: {error}"));
    let (_, body) = unframe(&framed).unwrap();
    let reference = GenericDatumReader::builder(&schema)
        .build()
        .and_then(|reader| reader.read_value(&mut &*body))
        .unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_full(E::SCHEMA.name, &reference);

    let by_reference: E = apache_avro::from_value(&reference).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_eq!(by_reference, example, "{file}: the reference implementation reads something else");
    let written_by_reference =
        GenericDatumWriter::builder(&schema).build().and_then(|writer| writer.write_value_to_vec(reference)).unwrap();
    assert_eq!(WriterSchema::parse(E::SCHEMA.json).unwrap().decode::<E>(&written_by_reference).unwrap(), example);
}

fn every_release_is_read<E: Event + PartialEq + std::fmt::Debug>() {
    let file = E::SCHEMA.file;
    for release in RELEASES {
        let paths = ["avsc", "avro", "json"].map(|ending| golden(file, release, ending));
        if std::env::var_os("WRITE_GOLDEN").is_some() && !paths[1].exists() {
            let example: E = serde_json::from_str(&read_text(&paths[2])).unwrap();
            let framed = Encoder::new(SchemaId(0)).unwrap().encode(&example).unwrap();
            std::fs::write(&paths[0], E::SCHEMA.json).unwrap();
            std::fs::write(&paths[1], unframe(&framed).unwrap().1).unwrap();
        }
        let writer = WriterSchema::parse(&read_text(&paths[0])).unwrap();
        let body = std::fs::read(&paths[1]).unwrap();
        let expected: E = serde_json::from_str(&read_text(&paths[2])).unwrap();
        assert_eq!(writer.decode::<E>(&body).unwrap(), expected, "{file}-{release}");
    }
}

macro_rules! for_each_event {
    ($check:ident) => {
        $check::<Reading>();
        $check::<DeviceStatus>();
        $check::<Blob>();
        $check::<TemperatureAlert>();
        $check::<Anomaly>();
        $check::<Aggregate>();
        $check::<SensorHealth>();
        $check::<Notification>();
        $check::<Command>();
        $check::<Scene>();
        $check::<OutboundCommand>();
        $check::<ReportedState>();
        $check::<CommandResult>();
    };
}

#[test]
fn every_type_agrees_with_its_file_and_with_the_reference_implementation() {
    for_each_event!(type_and_file_agree);
}

#[test]
fn payloads_of_every_release_are_read() {
    for_each_event!(every_release_is_read);
}

#[test]
fn every_file_is_compatible_with_its_releases_in_both_directions() {
    for schema in SCHEMAS {
        let current = avro(schema.json);
        for release in RELEASES {
            let released = avro(&read_text(&golden(schema.file, release, "avsc")));
            SchemaCompatibility::can_read(&released, &current)
                .unwrap_or_else(|error| panic!("{} cannot read release {release}: {error}", schema.file));
            SchemaCompatibility::can_read(&current, &released)
                .unwrap_or_else(|error| panic!("release {release} cannot read {}: {error}", schema.file));
        }
    }
}

#[test]
fn every_enum_reads_a_symbol_of_the_future_as_unknown() {
    let newer = DeviceStatus::SCHEMA.json.replace("\"RETIRED\"", "\"RETIRED\", \"SLEEPING\"");
    let schema = avro(&newer);
    let value = Value::Record(vec![
        ("tenant".into(), Value::String("default".into())),
        ("device_id".into(), Value::String("sensor-01".into())),
        ("state".into(), Value::Enum(4, "SLEEPING".into())),
        ("reason".into(), Value::String("birth".into())),
        ("changed_at".into(), Value::TimestampMicros(1)),
    ]);
    let body = GenericDatumWriter::builder(&schema).build().and_then(|writer| writer.write_value_to_vec(value)).unwrap();
    let status: DeviceStatus = WriterSchema::parse(&newer).unwrap().decode(&body).unwrap();
    assert_eq!(status.state, events::DeviceState::Unknown);
}

#[test]
fn every_schema_names_itself_as_its_file_and_topic_say() {
    for schema in SCHEMAS {
        assert_eq!(WriterSchema::parse(schema.json).unwrap().name(), schema.name);
        let line = events::topics::CATALOGUE.lines().find(|line| line.contains(&format!("name: {},", schema.topic)));
        let line = line.unwrap_or_else(|| panic!("{} is not in topics.yaml", schema.topic));
        assert!(line.contains(&format!("schema: {},", schema.file)), "{line}");
    }
}
