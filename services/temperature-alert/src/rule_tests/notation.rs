//! Values of a series in few characters: `20 31.5x3 _ 20+2x4`.

/// `None`: no reading at that time.
pub(super) type Values = Vec<Option<f64>>;

/// `20` one value; `20x3` it three times; `20+2x4` it and four more, each 2 higher (`20-2x4`: lower); `_` none, `_x5` none
/// five times.
pub(super) fn values(text: &str) -> Result<Values, String> {
    let mut values = Values::new();
    for word in text.split_whitespace() {
        let wrong = || format!("`{word}` is no value: write 20, 20x3, 20+0.5x4, 20-1x4, _ or _x5");
        let (what, times) = match word.split_once('x') {
            Some((what, times)) => (what, Some(times.parse::<usize>().map_err(|_| wrong())?)),
            None => (word, None),
        };
        if what == "_" {
            values.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
            continue;
        }
        if let Ok(value) = what.parse::<f64>() {
            values.extend(std::iter::repeat_n(Some(value), times.unwrap_or(1)));
            continue;
        }
        let split = what.char_indices().skip(1).find(|(_, sign)| matches!(sign, '+' | '-')).map(|(at, _)| at);
        let (first, step) = split.map(|at| what.split_at(at)).ok_or_else(wrong)?;
        let (first, step): (f64, f64) = (first.parse().map_err(|_| wrong())?, step.parse().map_err(|_| wrong())?);
        values.extend((0..=times.ok_or_else(wrong)?).map(|number| Some(first + step * number as f64)));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_values_repeats_steps_and_gaps() {
        let expected = [Some(20.0), Some(31.5), Some(31.5), None, None, Some(-1.0), Some(1.0), Some(3.0), Some(5.0), Some(4.0)];
        assert_eq!(values("20 31.5x2 _x2 -1+2x2 5-1x1").unwrap(), expected);
        for wrong in ["2O", "20+2", "_xa", "20x", "1+x2"] {
            assert!(values(wrong).unwrap_err().starts_with(&format!("`{wrong}`")), "{wrong}");
        }
    }
}
