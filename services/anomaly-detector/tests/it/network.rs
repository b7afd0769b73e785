//! The network through the ONNX Runtime: the same answer in any batch, and clear refusals.

use std::fmt::Write;

use anomaly_detector::{
    adapters::{BATCH, Model, ModelError, Runtime, RuntimeError, Scorer},
    domain::{
        calibration::MOST_SIGNALS,
        detector::Memory,
        features::{FEATURE_COUNT, FEATURES, Row},
    },
};
use sha2::{Digest, Sha256};

use crate::{library, scorer, series::Healthy};

fn rows(count: usize) -> Vec<Row> {
    let sensor = Healthy { seed: 5, interval_seconds: 60, amplitude: 2.0, noise: 0.2 };
    let mut memory = Memory::default();
    sensor.readings(count).iter().map(|(at, value)| memory.observe(*at, *value).unwrap().row).collect()
}

#[test]
fn how_rows_are_batched_cannot_change_a_bit_of_a_logit() {
    let mut scorer = scorer();
    let rows = rows(500);
    let bits = |logits: Vec<f32>| logits.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let together = bits(scorer.logits(&rows).unwrap());
    assert_eq!(together.len(), rows.len());
    for size in [1, 3, BATCH, 2 * BATCH + 1] {
        let apart: Vec<u32> = rows.chunks(size).flat_map(|chunk| bits(scorer.logits(chunk).unwrap())).collect();
        assert_eq!(together, apart, "in batches of {size}");
    }
    assert!(scorer.logits(&[]).unwrap().is_empty());
}

#[test]
fn extreme_features_have_a_finite_logit() {
    let mut scorer = scorer();
    let extremes = [f32::MAX, f32::MIN, f32::INFINITY, f32::NAN, 0.0].map(|v| [v; FEATURE_COUNT]);
    assert!(scorer.logits(&extremes).unwrap().iter().all(|l| l.is_finite()));
}

#[test]
fn what_spoke_for_a_spike_is_named_strongest_first() {
    let mut scorer = scorer();
    let sensor = Healthy { seed: 5, interval_seconds: 60, amplitude: 2.0, noise: 0.2 };
    let mut memory = Memory::default();
    let mut last = None;
    for (i, (at, value)) in sensor.readings(1_000).into_iter().enumerate() {
        last = Some(memory.observe(at, value + if i == 999 { 10.0 } else { 0.0 }).unwrap());
    }
    let contributions = scorer.contributions(&last.unwrap().row, &[0.0; MOST_SIGNALS]).unwrap();
    assert!(!contributions.is_empty());
    assert!(contributions.windows(2).all(|c| c[0].share >= c[1].share), "{contributions:?}");
    assert!(contributions.iter().map(|c| c.share).sum::<f32>() <= 1.0001);
}

#[test]
fn a_rare_signal_is_named_among_what_spoke() {
    let mut scorer = scorer();
    let row = rows(500).pop().unwrap();
    let feature = FEATURES[scorer.manifest().calibration.signals[1].feature.0];
    let share = |signals: [f32; MOST_SIGNALS], scorer: &mut Scorer| {
        let spoke = scorer.contributions(&row, &signals).unwrap();
        spoke.iter().find(|spoke| spoke.feature == feature).map_or(0.0, |spoke| spoke.share)
    };
    let usual = share([0.0; MOST_SIGNALS], &mut scorer);
    let rare = share([0.0, 100.0, 0.0, 0.0], &mut scorer);
    assert!(rare > 0.8 && usual < 0.5, "{rare} instead of {usual}");
}

/// A model folder whose digest fits its graph, however broken that is.
fn folder_with_graph(graph: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let digest = Sha256::digest(graph).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let mut manifest: serde_json::Value = serde_json::from_slice(include_bytes!("../../model/model.json")).unwrap();
    manifest["sha256"] = digest.into();
    std::fs::write(folder.path().join("model.json"), manifest.to_string()).unwrap();
    std::fs::write(folder.path().join("model.onnx"), graph).unwrap();
    folder
}

#[test]
fn a_corrupt_graph_is_refused_with_a_reason() {
    let runtime = Runtime::load(&library()).unwrap();
    let whole = include_bytes!("../../model/model.onnx");
    for graph in [&b"not a graph"[..], b"", &whole[..whole.len() / 2]] {
        let folder = folder_with_graph(graph);
        let error = Scorer::open(&runtime, &Model::read(folder.path()).unwrap()).err().unwrap();
        assert!(matches!(error, ModelError::GraphRefused { .. } | ModelError::ShapeMismatch(_)), "{error:?}");
    }
}

#[test]
fn a_second_library_is_refused_and_the_first_stays() {
    Runtime::load(&library()).unwrap();
    let other = tempfile::NamedTempFile::new().unwrap();
    let error = Runtime::load(other.path()).err().unwrap();
    assert!(matches!(error, RuntimeError::OtherLibraryLoaded { .. }), "{error:?}");
    scorer();
}
