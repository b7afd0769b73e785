use clap::Args;
use stream::admin::Admin;
use stream::tail::From;

use super::letters::parse_position;
use crate::SUCCESS;
use crate::adapters::log_reader::open_tail;
use crate::context::{Context, wrong_usage};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Service (or stage) whose dead letters they are
    #[arg(long, value_name = "NAME")]
    service: String,
    /// Only this partition; may be repeated
    #[arg(long, value_name = "N")]
    partition: Vec<i32>,
    /// What stands before this offset, in every partition or in one; may be repeated [default: everything]
    #[arg(long, value_name = "[PARTITION:]OFFSET", value_parser = parse_before)]
    before: Vec<Before>,
    /// Really delete them
    #[arg(long)]
    yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Before {
    partition: Option<i32>,
    offset: i64,
}

fn parse_before(text: &str) -> Result<Before, String> {
    if let Ok((partition, offset)) = parse_position(text) {
        return Ok(Before { partition: Some(partition), offset });
    }
    let offset = text.parse().ok().filter(|offset| *offset >= 0).ok_or("not OFFSET or PARTITION:OFFSET, e.g. 17 or 3:17")?;
    Ok(Before { partition: None, offset })
}

impl Arguments {
    /// The offset a partition is purged up to, if it is.
    fn limit(&self, partition: i32) -> Option<i64> {
        if !self.partition.is_empty() && !self.partition.contains(&partition) {
            return None;
        }
        if self.before.is_empty() {
            return Some(i64::MAX);
        }
        let own = self.before.iter().find(|before| before.partition == Some(partition));
        own.or_else(|| self.before.iter().find(|before| before.partition.is_none())).map(|before| before.offset)
    }
}

pub(crate) async fn run(arguments: &Arguments, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let kafka = &context.config.kafka;
    let topic = kafka.prefixed(&events::topics::dlq(&arguments.service));
    let tail = open_tail(kafka, &topic, &From::End)?;
    let (begins, ends) = tokio::task::block_in_place(|| anyhow::Ok((tail.beginnings()?, tail.ends()?)))?;
    let (mut points, mut rows) = (Vec::new(), Vec::new());
    for (partition, begin) in begins {
        let end = ends.get(&partition).copied().unwrap_or(begin);
        let Some(point) = arguments.limit(partition).map(|limit| limit.min(end)) else { continue };
        if point > begin {
            points.push((topic.clone(), partition, point));
            rows.push([partition.to_string(), begin.to_string(), point.to_string(), (point - begin).to_string()]);
        }
    }
    if points.is_empty() {
        context.out.line(format_args!("{topic}: nothing to delete"))?;
        return Ok(SUCCESS);
    }
    context.out.table(["PARTITION", "FROM", "BEFORE", "OFFSETS"], &rows)?;
    if !arguments.yes {
        return Err(wrong_usage(format!("{topic}: nothing was deleted, say --yes")));
    }
    Admin::connect(kafka)?.delete_before(&points).await?;
    context.out.line(format_args!("{topic}: deleted"))?;
    Ok(SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(partition: &[i32], before: &[&str]) -> Arguments {
        let before = before.iter().map(|text| parse_before(text).unwrap()).collect();
        Arguments { service: "notifier".into(), partition: partition.to_vec(), before, yes: false }
    }

    #[test]
    fn everything_goes_unless_a_point_or_partition_is_named() {
        assert_eq!(arguments(&[], &[]).limit(3), Some(i64::MAX));
        assert_eq!(arguments(&[1], &[]).limit(3), None);
        assert_eq!(arguments(&[], &["17"]).limit(3), Some(17));
    }

    #[test]
    fn a_point_of_one_partition_leaves_the_others_alone() {
        let one = arguments(&[], &["3:17"]);
        assert_eq!((one.limit(3), one.limit(4)), (Some(17), None));
        let both = arguments(&[], &["5", "3:17"]);
        assert_eq!((both.limit(3), both.limit(4)), (Some(17), Some(5)));
        assert!(parse_before("-1").is_err() && parse_before("a:b").is_err());
    }
}
