//! The median of the others.

/// For each value the median of all trusted values but itself; nothing where fewer than `least` others are trusted.
pub fn without_each(values: &[(f64, bool)], least: usize) -> Vec<Option<f64>> {
    let mut trusted: Vec<usize> = (0..values.len()).filter(|i| values[*i].1).collect();
    trusted.sort_by(|a, b| values[*a].0.total_cmp(&values[*b].0));
    let mut place = vec![usize::MAX; values.len()];
    for (at, i) in trusted.iter().enumerate() {
        place[*i] = at;
    }
    let sorted: Vec<f64> = trusted.iter().map(|i| values[*i].0).collect();
    place.into_iter().map(|at| median_without(&sorted, at, least)).collect()
}

/// The median of all trusted values, nothing where fewer than `least` are trusted.
pub fn of_all(values: &[(f64, bool)], least: usize) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().filter(|(_, trusted)| *trusted).map(|(value, _)| *value).collect();
    sorted.sort_by(f64::total_cmp);
    median_without(&sorted, usize::MAX, least)
}

/// `out` is the place of the value left out, beyond the end when none is.
fn median_without(sorted: &[f64], out: usize, least: usize) -> Option<f64> {
    let count = sorted.len() - usize::from(out < sorted.len());
    if count < least.max(1) {
        return None;
    }
    let nth = |n: usize| sorted[n + usize::from(n >= out)];
    Some(f64::midpoint(nth((count - 1) / 2), nth(count / 2)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nobody_is_judged_by_too_few_others() {
        assert_eq!(without_each(&[(1.0, true), (2.0, true)], 2), [None, None]);
        assert_eq!(without_each(&[(1.0, true), (2.0, true), (9.0, false)], 2), [None, None, Some(1.5)]);
    }

    proptest! {
        #[test]
        fn it_is_the_median_of_a_list_without_the_value(values in prop::collection::vec((-50..50_i32, any::<bool>()), 0..20)) {
            let values: Vec<(f64, bool)> = values.into_iter().map(|(value, trusted)| (f64::from(value), trusted)).collect();
            for (i, median) in without_each(&values, 2).into_iter().enumerate() {
                let mut others: Vec<f64> = values.iter().enumerate().filter(|(j, (_, trusted))| *j != i && *trusted).map(|(_, v)| v.0).collect();
                others.sort_by(f64::total_cmp);
                let n = others.len();
                let expected = (n >= 2).then(|| f64::midpoint(others[(n - 1) / 2], others[n / 2]));
                prop_assert_eq!(median, expected);
            }
        }
    }
}
