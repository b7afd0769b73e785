use crate::domain::{Reason, Reject};

/// UCUM's unity: the unit of a metric nothing is known of.
const UNIT_UNKNOWN: &str = "1";
const LONGEST_NAME: usize = 64;

/// What is known of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    pub name: String,
    /// UCUM.
    pub unit: String,
    /// Values outside `min..=max` are physically impossible.
    pub min: f64,
    pub max: f64,
}

/// The known metrics.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Vec<Metric>);

impl Metric {
    /// A metric of which only the name is known; `None` when it cannot be a name.
    fn unknown(name: &str) -> Option<Self> {
        let fits = (1..=LONGEST_NAME).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        fits.then(|| Self { name: name.to_owned(), unit: UNIT_UNKNOWN.into(), min: f64::MIN, max: f64::MAX })
    }

    /// `value` when it is possible.
    pub fn checked(&self, value: f64) -> Result<f64, Reject> {
        let Self { name, unit, min, max } = self;
        if !value.is_finite() {
            return Err(Reject::new(Reason::NotFinite, format!("{name} is {value}")));
        }
        if !(*min..=*max).contains(&value) {
            return Err(Reject::new(Reason::OutOfRange, format!("{name} is {value} {unit}; possible is {min} to {max}")));
        }
        Ok(value)
    }
}

impl Metrics {
    pub fn new(known: Vec<Metric>) -> Self {
        Self(known)
    }

    pub fn known(&self, name: &str) -> Option<&Metric> {
        self.0.iter().find(|metric| metric.name == name)
    }

    /// The metric of that name, with unit 1 and no limits when nothing is known of it.
    pub fn named(&self, name: &str) -> Result<std::borrow::Cow<'_, Metric>, Reject> {
        match self.known(name) {
            Some(metric) => Ok(std::borrow::Cow::Borrowed(metric)),
            None => Metric::unknown(name).map(std::borrow::Cow::Owned).ok_or_else(|| {
                let shown: String = name.chars().take(64).collect();
                Reject::new(Reason::BadMetricName, format!("`{}` cannot name a metric", shown.escape_debug()))
            }),
        }
    }
}
