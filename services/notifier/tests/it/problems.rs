use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::world::{KEY, World, problem};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_a_request_is_a_problem() {
    let world = World::new().await;
    let replica = world.start().await;
    let id = uuid::Uuid::nil();
    let action = format!("/v1/notifications/{id}/acknowledge");
    let post = |path: &str| replica.request(Method::POST, path).bearer_auth(KEY).header("content-type", "application/json");

    for body in ["{", "[]", "\"text\"", "{\"reason\": 1}", "{\"reasn\": \"typo\"}", "{\"reason\": \"a\\u0000b\"}", "\u{1}"] {
        let found = problem(post(&action).body(body).send().await.unwrap(), StatusCode::BAD_REQUEST).await;
        assert_eq!(found["type"], "urn:fieldwatch:problem:invalid-request", "{body}");
        assert!(found["errors"][0]["pointer"].is_string(), "{body}: {found}");
    }
    problem(post(&action).body(vec![0xFF, 0xFE]).send().await.unwrap(), StatusCode::BAD_REQUEST).await;
    let long = json!({ "reason": "x".repeat(1_001) }).to_string();
    problem(post(&action).body(long).send().await.unwrap(), StatusCode::BAD_REQUEST).await;
    problem(post(&action).body(vec![b' '; 70_000]).send().await.unwrap(), StatusCode::PAYLOAD_TOO_LARGE).await;
    let form = replica.request(Method::POST, &action).bearer_auth(KEY).header("content-type", "text/plain").body("{}");
    problem(form.send().await.unwrap(), StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
    problem(post("/v1/stream-tickets").body("{\"severity\": [\"LOUD\"]}").send().await.unwrap(), StatusCode::BAD_REQUEST).await;

    for path in ["/v1", "/v1/nothing", "/v1/notifications/not-a-uuid", "/nothing", "/v1/notifications/", "/..%2f..%2fetc/passwd"] {
        problem(replica.ask(Method::GET, path).await, StatusCode::NOT_FOUND).await;
    }
    let wrong_method = replica.ask(Method::DELETE, "/v1/notifications").await;
    assert!(wrong_method.headers()["allow"].to_str().unwrap().contains("GET"));
    problem(wrong_method, StatusCode::METHOD_NOT_ALLOWED).await;

    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "state=open",
        "severity=LOUD",
        "since=yesterday",
        "cursor=abc",
        "nonsense=1",
        "q=a%00b",
        "q=a&q=b",
        "label=team",
    ] {
        let found = problem(replica.ask(Method::GET, &format!("/v1/notifications?{query}")).await, StatusCode::BAD_REQUEST).await;
        let parameter = query.split('=').next().unwrap();
        assert_eq!(found["errors"][0]["parameter"], parameter, "{query}: {found}");
    }
    for path in
        ["/v1/me?x=1", "/v1/notifications/counts?x=1", "/v1/notifications/stream?state=OPEN", "/v1/notifications/stream?last_event_id=abc"]
    {
        problem(replica.ask(Method::GET, path).await, StatusCode::BAD_REQUEST).await;
    }
    let bad_id = replica.request(Method::GET, "/v1/notifications/stream").bearer_auth(KEY).header("last-event-id", "!!");
    problem(bad_id.send().await.unwrap(), StatusCode::BAD_REQUEST).await;
    assert_eq!(replica.ask(Method::GET, "/v1/me").await.status(), StatusCode::OK);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_out_of_reach_is_a_503_that_says_nothing() {
    let world = World::new().await;
    let replica = world.start_with(&[("NOTIFIER__DATABASE__ACQUIRE_TIMEOUT", "300ms")]).await;
    // As good as away: nobody may open a new session, and the old ones are gone.
    let name: String = sqlx::query_scalar("SELECT current_database()::text").fetch_one(&world.pool).await.unwrap();
    let admin = sqlx::PgPool::connect(&testkit::environment("FIELDWATCH_TEST_POSTGRES_URL")).await.unwrap();
    let allow = |allowed| sqlx::query(sqlx::AssertSqlSafe(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}"))).execute(&admin);
    allow(false).await.unwrap();
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1").bind(&name).execute(&admin).await.unwrap();

    let answer = replica.ask(Method::GET, "/v1/notifications").await;
    assert_eq!(answer.headers()["retry-after"], "1");
    let found = problem(answer, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(found["detail"], "A part this service depends on cannot be reached right now.");

    allow(true).await.unwrap();
    testkit::eventually("it is back", || async {
        (replica.ask(Method::GET, "/v1/notifications").await.status() == StatusCode::OK).then_some(())
    })
    .await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_comes_with_a_strict_policy_compressed_and_only_when_it_has_changed() {
    let world = World::new().await;
    let replica = world.start_with(&[("NOTIFIER__API__TRACE_URL", "https://traces.example.com/?a&id={trace_id}")]).await;
    let files = [("/app.js", "text/javascript"), ("/app.css", "text/css"), ("/icon.svg", "image/svg+xml")];
    let pages =
        ["/", "/devices/hall%2F1", "/notifications", "/scenes", "/silences", "/webhooks", "/webhooks/ops"].map(|path| (path, "text/html"));
    for (path, kind) in files.into_iter().chain(pages) {
        let response = replica.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with(kind));
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let tag = response.headers()["etag"].clone();
        let text = response.text().await.unwrap();
        if kind == "text/html" {
            assert!(!text.contains("<style") && !text.contains("style=") && !text.contains(" onclick="), "{path} has something inline");
            assert!(text.contains(r#"content="https://traces.example.com/?a&amp;id={trace_id}""#), "{text}");
        }
        let again = replica.request(Method::GET, path).header("if-none-match", tag).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    }
    let compressed = replica.request(Method::GET, "/app.js").header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(compressed.headers()["content-encoding"], "gzip");
    replica.stop().await;
}
