//! Units (UCUM) a device may send and what they are in the metric's own.

/// `value * factor + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conversion {
    factor: f64,
    offset: f64,
}

/// From, to, factor, offset; each is read backwards too.
const KNOWN: [(&str, &str, f64, f64); 11] = [
    ("[degF]", "Cel", 5.0 / 9.0, -160.0 / 9.0),
    ("K", "Cel", 1.0, -273.15),
    ("Pa", "hPa", 0.01, 0.0),
    ("kPa", "hPa", 10.0, 0.0),
    ("bar", "hPa", 1_000.0, 0.0),
    ("mbar", "hPa", 1.0, 0.0),
    ("[psi]", "hPa", 68.947_572_931_683_6, 0.0),
    ("1", "%", 100.0, 0.0),
    ("mV", "V", 0.001, 0.0),
    ("mA", "A", 0.001, 0.0),
    ("W", "kW", 0.001, 0.0),
];

impl Conversion {
    /// `None`: it is not known how one becomes the other.
    pub fn between(from: &str, to: &str) -> Option<Self> {
        if from == to {
            return Some(Self { factor: 1.0, offset: 0.0 });
        }
        KNOWN.iter().find_map(|&(one, other, factor, offset)| match (from, to) {
            pair if pair == (one, other) => Some(Self { factor, offset }),
            pair if pair == (other, one) => Some(Self { factor: 1.0 / factor, offset: -offset / factor }),
            _ => None,
        })
    }

    pub fn of(self, value: f64) -> f64 {
        value.mul_add(self.factor, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_converted_both_ways() {
        for (value, from, expected, to) in [
            (32.0, "[degF]", 0.0, "Cel"),
            (212.0, "[degF]", 100.0, "Cel"),
            (-40.0, "Cel", -40.0, "[degF]"),
            (273.15, "K", 0.0, "Cel"),
            (101_325.0, "Pa", 1_013.25, "hPa"),
            (0.4, "1", 40.0, "%"),
            (7.0, "Cel", 7.0, "Cel"),
        ] {
            let found = Conversion::between(from, to).unwrap().of(value);
            assert!((found - expected).abs() < 1e-9, "{value} {from} is {found} {to}");
        }
        assert_eq!(Conversion::between("Cel", "hPa"), None);
    }
}
