/// The sum over all label sets of a service's metric that contain every one of `labels` (`name="value"`); 0 when there is none.
pub async fn metric(admin_port: u16, name: &str, labels: &[&str]) -> f64 {
    let Ok(answer) = reqwest::get(format!("http://127.0.0.1:{admin_port}/metrics")).await else { return 0.0 };
    sum(&answer.text().await.unwrap_or_default(), name, labels)
}

fn sum(exposition: &str, name: &str, labels: &[&str]) -> f64 {
    let values = exposition.lines().filter_map(|line| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']))?;
        let (found, value) = rest.rsplit_once(' ')?;
        labels.iter().all(|label| found.contains(label)).then(|| value.parse::<f64>().ok())?
    });
    values.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_the_sum_over_the_label_sets_asked_for() {
        let text =
            "# TYPE a counter\na_total{topic=\"x\",b=\"1\"} 2\na_total{topic=\"x\",b=\"2\"} 3\na_total{topic=\"y\"} 4\na_total_more 9\n";
        let total = |name, labels: &[&str]| sum(text, name, labels) as u64;
        assert_eq!(total("a_total", &["topic=\"x\""]), 5);
        assert_eq!(total("a_total", &[]), 9);
        assert_eq!(total("absent", &[]), 0);
    }
}
