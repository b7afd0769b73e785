use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, Client};
use testkit::eventually;

use crate::world::{KEY, World};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes `api.pem` and `api.key`, signed by this authority.
fn issue(authority: &Authority, folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    std::fs::write(folder.join("api.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("api.key"), key.serialize_pem()).unwrap();
}

/// Trusts this authority alone.
fn trusting(authority: &Authority) -> Client {
    let root = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    // A connection of its own for each request: on one that is kept the old certificate would go on.
    Client::builder().tls_certs_only([root]).pool_max_idle_per_host(0).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_the_api_is_https_only_and_a_renewed_one_is_taken_without_a_restart() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (first, second) = (authority(), authority());
    issue(&first, folder.path());
    let (certificate, key) = (file("api.pem"), file("api.key"));
    let secured = [
        ("NOTIFIER__API__CERTIFICATE_FILE", certificate.as_str()),
        ("NOTIFIER__API__KEY_FILE", &key),
        ("NOTIFIER__API__CERTIFICATE_CHECK", "100ms"),
    ];
    let replica = world.start_with(&secured).await;
    let me = replica.url("/v1/me").replace("http:", "https:");
    let ask = async |client: &Client| client.get(&me).bearer_auth(KEY).send().await;

    assert_eq!(ask(&trusting(&first)).await.unwrap().status(), 200);
    assert!(ask(&trusting(&second)).await.is_err(), "signed by someone else");
    let plain = reqwest::get(replica.url("/v1/me")).await;
    assert!(plain.is_err(), "not in the clear");

    std::fs::write(folder.path().join("api.pem"), "half of a certi").unwrap();
    issue(&second, folder.path());
    eventually("the renewed certificate", async || ask(&trusting(&second)).await.ok()).await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_read_is_named_at_the_start() {
    let world = World::new().await;
    let file = world.key_file();
    let config = world.config(&[("NOTIFIER__API__CERTIFICATE_FILE", file), ("NOTIFIER__API__KEY_FILE", file)]);
    let refused = notifier::app::App::build(config).await.err().map(|error| format!("{error:#}")).unwrap();
    assert!(refused.contains("api.certificate_file") && refused.contains(file), "{refused}");
}
