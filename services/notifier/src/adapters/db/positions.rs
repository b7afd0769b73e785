//! How far each input partition has taken effect. Moves by compare-and-set: an owner that lost its partition finds the
//! position ahead of it, and its whole transaction is refused.

use std::collections::{BTreeMap, HashSet};

use sqlx::{Postgres, Transaction};

use super::Store;

/// A partition's move past a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    pub topic: String,
    pub partition: i32,
    /// Where this owner believes it to stand. The stored one may be behind: what lies between is no longer in the log.
    pub expected: i64,
    pub next: i64,
}

impl Advance {
    /// The moves of a batch.
    pub fn of(moves: &BTreeMap<(String, i32), (i64, i64)>) -> Vec<Self> {
        let advance = |((topic, partition), (expected, next)): (&(String, i32), &(i64, i64))| Self {
            topic: topic.clone(),
            partition: *partition,
            expected: *expected,
            next: *next,
        };
        moves.iter().map(advance).collect()
    }
}

/// Someone else moved the partition: this owner is no longer it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another owner moved the position of {topic} [{partition}]")]
pub struct Fenced {
    pub topic: String,
    pub partition: i32,
}

impl Store {
    /// The next offset of a partition, if anything of it ever took effect.
    pub async fn position(&self, topic: &str, partition: i32) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar!(r#"SELECT next_offset FROM stream_position WHERE topic = $1 AND "partition" = $2"#, topic, partition)
            .fetch_optional(&self.pool)
            .await
    }
}

pub(super) async fn advance(transaction: &mut Transaction<'_, Postgres>, advances: &[Advance]) -> Result<Result<(), Fenced>, sqlx::Error> {
    let moved = sqlx::query!(
        r#"WITH a AS (SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS a (topic, part, expected, next))
           INSERT INTO stream_position AS p (topic, "partition", next_offset)
           SELECT topic, part, next FROM a ORDER BY topic, part
           ON CONFLICT (topic, "partition") DO UPDATE SET next_offset = EXCLUDED.next_offset
           WHERE p.next_offset <= (SELECT expected FROM a WHERE a.topic = p.topic AND a.part = p."partition")
           RETURNING p.topic, p."partition""#,
        &advances.iter().map(|advance| advance.topic.as_str()).collect::<Vec<_>>() as &[&str],
        &advances.iter().map(|advance| advance.partition).collect::<Vec<_>>(),
        &advances.iter().map(|advance| advance.expected).collect::<Vec<_>>(),
        &advances.iter().map(|advance| advance.next).collect::<Vec<_>>(),
    )
    .fetch_all(&mut **transaction)
    .await?;
    let moved: HashSet<(&str, i32)> = moved.iter().map(|row| (row.topic.as_str(), row.partition)).collect();
    let refused = advances.iter().find(|advance| !moved.contains(&(advance.topic.as_str(), advance.partition)));
    Ok(refused.map_or(Ok(()), |advance| Err(Fenced { topic: advance.topic.clone(), partition: advance.partition })))
}
