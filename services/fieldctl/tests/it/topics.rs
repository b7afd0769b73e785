use events::topics::{CATALOGUE, READINGS};
use testkit::Kit;

use crate::{fieldctl, succeed};

#[tokio::test(flavor = "multi_thread")]
async fn topics_apply_may_be_repeated_and_then_there_is_no_difference() {
    let kit = Kit::with_topics(&[]).await;
    let missing = fieldctl(&kit, "topics diff").await;
    assert_eq!(missing.status, fieldctl::FAILURE);
    assert!(missing.out.contains(&format!("{}{READINGS}", kit.prefix())) && missing.out.contains("missing"), "{missing:?}");

    let declared = CATALOGUE.matches("{ name: ").count();
    assert!(succeed(&kit, "topics apply").await.out.contains(&format!("{declared} changes")));
    assert!(succeed(&kit, "topics apply --replication 1").await.out.contains(" 0 changes"));
    assert!(succeed(&kit, "topics diff").await.out.contains("as they should be"));

    succeed(&kit, "topics delete --yes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_partitions_is_refused_and_nothing_else_is_done() {
    // The kit's topics have fewer partitions than the catalogue wants.
    let kit = Kit::with_topics(&[READINGS]).await;
    let refused = fieldctl(&kit, "topics apply").await;
    assert_eq!(refused.status, fieldctl::FAILURE);
    assert!(refused.err.contains(READINGS) && refused.err.contains("3 partitions, not 12"), "{refused:?}");
    assert!(fieldctl(&kit, "topics diff").await.out.contains("dlq.notifier.v1"), "a topic was created all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_and_wrong_configuration_exit_64() {
    let kit = Kit::with_topics(&[]).await;
    for line in [
        "topics",
        "topics apply --replication 0",
        "lag --config /nowhere.toml",
        "tail t --since soon",
        "simulate --into somewhere",
        "topics delete",
    ] {
        let ran = fieldctl(&kit, line).await;
        assert_eq!((ran.status, ran.err.is_empty()), (fieldctl::USAGE, false), "{line}: {ran:?}");
    }
    assert_eq!(succeed(&kit, "version").await.out, concat!("fieldctl ", env!("CARGO_PKG_VERSION"), "\n"));
}
