use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// A test's own database; dropped on drop.
pub struct Database {
    pub url: String,
    name: String,
}

impl Database {
    pub async fn create() -> Self {
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        let admin = crate::environment("FIELDWATCH_TEST_POSTGRES_URL");
        let mut connection = PgConnection::connect(&admin).await.expect("Postgres answers");
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.expect("a database is created");
        let url = admin.rsplit_once('/').map(|(server, _)| format!("{server}/{name}")).expect("a URL with a database");
        Self { url, name }
    }

    pub async fn pool(&self) -> PgPool {
        PgPool::connect_with(self.url.parse::<PgConnectOptions>().expect("a URL")).await.expect("Postgres answers")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (admin, name) = (crate::environment("FIELDWATCH_TEST_POSTGRES_URL"), self.name.clone());
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&admin).await?;
                sqlx::query(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))).execute(&mut connection).await
            })
        });
        if !matches!(dropped.join(), Ok(Ok(_))) {
            eprintln!("database {} was not dropped", self.name);
        }
    }
}
