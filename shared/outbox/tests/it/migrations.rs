//! The tables among others.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::database::Database;

fn another_migrator() -> Migrator {
    let tables = AssertSqlSafe("CREATE TABLE notification (id bigint)").into_sql_str();
    Migrator::with_migrations(vec![Migration::new(1, "notification".into(), MigrationType::Simple, tables, false)])
}

#[tokio::test]
async fn both_migrators_run_in_one_database() {
    for ours_first in [true, false] {
        let database = Database::empty().await;
        for ours in [ours_first, !ours_first, ours_first, !ours_first] {
            if ours {
                outbox::migrate(&database.pool).await.unwrap();
            } else {
                another_migrator().run(&database.pool).await.unwrap();
            }
        }
        sqlx::query("SELECT FROM notification, outbox").execute(&database.pool).await.unwrap();
    }
}

#[tokio::test]
async fn replicas_may_migrate_at_the_same_time() {
    let database = Database::empty().await;
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let pool = database.pool.clone();
            tokio::spawn(async move { outbox::migrate(&pool).await.unwrap() })
        })
        .collect();
    for start in starts {
        start.await.unwrap();
    }
    let leases: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox_lease").fetch_one(&database.pool).await.unwrap();
    assert_eq!(leases, 64);
}

#[tokio::test]
async fn a_migration_that_fails_holds_nobody_up() {
    let database = Database::empty().await;
    sqlx::raw_sql("CREATE TABLE outbox (id bigint)").execute(&database.pool).await.unwrap();
    outbox::migrate(&database.pool).await.unwrap_err();
    sqlx::raw_sql("DROP TABLE outbox").execute(&database.pool).await.unwrap();
    outbox::migrate(&database.pool).await.unwrap();
}
