use std::future::Future;
use std::time::{Duration, Instant};

const USUAL: Duration = Duration::from_secs(30);

/// Asks until the answer is there, at most 30 s; `what` names what never came.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, ask: impl FnMut() -> F) -> T {
    eventually_within(USUAL, what, ask).await
}

/// Asks until the answer is there, at most `limit`.
pub async fn eventually_within<T, F: Future<Output = Option<T>>>(limit: Duration, what: &str, mut ask: impl FnMut() -> F) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
