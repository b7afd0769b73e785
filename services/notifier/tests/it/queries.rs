use std::path::Path;

use notifier::adapters::db::Store;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor as _, SqlSafeStr as _};

use crate::world::World;

/// What is known at compile time of every statement, by what Postgres says of it after all migrations.
#[tokio::test]
async fn every_checked_statement_is_as_the_migrations_have_it() {
    let world = World::new().await;
    Store::new(&world.config(&[]).database).unwrap().migrate().await.unwrap();
    let mut connection = world.pool.acquire().await.unwrap();
    let mut files = 0;
    let mut differ = Vec::new();
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx")).unwrap() {
        let committed: Value = serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
        let statement = committed["query"].as_str().unwrap();
        let described = connection.describe(AssertSqlSafe(statement).into_sql_str()).await;
        match described.map(|described| serde_json::to_value(described).unwrap()) {
            Ok(now) if now == committed["describe"] => {}
            Ok(now) => differ.push(format!("{statement}\nis {now}\nnot {}", committed["describe"])),
            Err(refused) => differ.push(format!("{statement}\n{refused}")),
        }
        files += 1;
    }
    assert!(files > 0, "nothing is checked: run scripts/new-queries");
    assert!(
        differ.is_empty(),
        "run scripts/new-queries; {} of {files} statements are not as .sqlx has them:\n{}",
        differ.len(),
        differ.join("\n")
    );
}
