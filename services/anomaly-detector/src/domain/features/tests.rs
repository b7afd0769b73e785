use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60_000_000;

fn wave(i: i64) -> f64 {
    let noise = f64::from((i as u32).wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
    20.0 + 3.0 * (i as f64 / 40.0).sin() + noise
}

fn after(count: i64) -> FeatureState {
    let mut state = FeatureState::default();
    (0..count).for_each(|i| {
        state.observe(i * MINUTE, wave(i)).unwrap();
    });
    state
}

#[test]
fn a_value_that_is_not_finite_is_refused_and_changes_nothing() {
    let mut state = after(100);
    let before = state.clone();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(state.observe(100 * MINUTE, value), Err(NotFinite));
    }
    assert_eq!(state, before);
}

#[test]
fn a_reading_is_ready_once_there_is_enough_before_it() {
    let mut state = FeatureState::default();
    let ready: Vec<bool> = (0..70).map(|i| state.observe(i * MINUTE, wave(i)).unwrap().ready).collect();
    assert_eq!(ready.iter().filter(|r| !**r).count(), WARM_UP as usize);
    assert!(ready[WARM_UP as usize]);
}

#[test]
fn features_do_not_depend_on_what_comes_later() {
    let mut long = after(500);
    let mut short = after(500);
    long.observe(500 * MINUTE, 1e6).unwrap();
    let expected = after(501);
    short.observe(500 * MINUTE, wave(500)).unwrap();
    assert_eq!(short, expected);
}

#[test]
fn a_constant_series_has_defined_and_calm_features() {
    let mut state = FeatureState::default();
    for i in 0..3_000 {
        let row = state.observe(i * MINUTE, 21.0).unwrap().row;
        assert!(row.iter().all(|f| f.is_finite()));
        let z = FEATURES.iter().position(|f| *f == "z_288").unwrap();
        assert!(row[z].abs() < f32::EPSILON, "{row:?}");
    }
}

#[test]
fn a_state_stored_and_read_again_goes_on_the_same() {
    for count in [0, 1, 63, 64, 200, 351, 352, 5_000] {
        let mut kept = after(count);
        let mut restored: FeatureState = postcard::from_bytes(&postcard::to_stdvec(&kept).unwrap()).unwrap();
        for i in count..count + 600 {
            let (a, b) = (kept.observe(i * MINUTE, wave(i)).unwrap(), restored.observe(i * MINUTE, wave(i)).unwrap());
            assert_eq!(a.row.map(f32::to_bits), b.row.map(f32::to_bits), "after {count}, at {i}");
            assert_eq!(a, b);
        }
        assert_eq!(kept, restored);
    }
}

#[test]
fn a_full_state_is_stored_in_less_than_twelve_kilobytes() {
    let size = postcard::to_stdvec(&after(10_000)).unwrap().len();
    assert!(size < 12_000, "{size}");
}

#[test]
fn a_pause_of_hours_does_not_make_the_next_readings_look_odd() {
    let mut state = after(2_000);
    let index = |name: &str| FEATURES.iter().position(|f| *f == name).unwrap();
    for i in 0..8 {
        let row = state.observe((2_000 + 600 + i) * MINUTE, wave(2_000 + 600 + i)).unwrap().row;
        assert!(row[index("prediction_error")].abs() < f32::EPSILON);
        assert!(row[index("discord_1")].abs() < f32::EPSILON);
    }
}

#[test]
fn a_bad_first_value_is_forgotten_after_warm_up() {
    let mut state = FeatureState::default();
    state.observe(0, 1e12).unwrap();
    (1..2_000).for_each(|i| {
        state.observe(i * MINUTE, wave(i)).unwrap();
    });
    let observation = state.observe(2_000 * MINUTE, wave(2_000)).unwrap();
    assert!((observation.expected - 20.0).abs() < 5.0, "{observation:?}");
    assert!(observation.band_high - observation.band_low < 40.0, "{observation:?}");
}

#[test]
fn the_band_holds_what_is_usual_and_not_what_is_far_off() {
    let mut state = after(3_000);
    let usual = state.clone().observe(3_000 * MINUTE, wave(3_000)).unwrap();
    assert!((usual.band_low..usual.band_high).contains(&wave(3_000)), "{usual:?}");
    let odd = state.observe(3_000 * MINUTE, 60.0).unwrap();
    assert!(odd.band_high < 60.0);
    assert!((odd.expected - usual.expected).abs() < 1e-9, "the reading itself must not move its expectation");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn features_are_finite_for_any_finite_values_and_any_clock(
        readings in prop::collection::vec((any::<i64>(), prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL), 1..400),
    ) {
        let mut state = FeatureState::default();
        for (at, value) in readings {
            let observation = state.observe(at, value).unwrap();
            prop_assert!(observation.row.iter().all(|f| f.is_finite()), "{:?}", observation);
        }
    }
}
