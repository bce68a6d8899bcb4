//! Passwords and TLS are in a URL, which no error and no `Debug` shows.

#![cfg(feature = "redis")]
#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

mod server;

use std::time::Duration;

use sandbox_fleet::store::redis::RedisStore;
use sandbox_fleet::store::{Store as _, StoreError, Versioned};
use tokio::time::timeout;

use self::server::Server;

const PASSWORD: &str = "correct-horse";

/// Connects, once more where a busy machine has taken longer than a step may.
async fn connect(url: &str) -> Result<RedisStore, StoreError> {
    for _ in 0..20 {
        match RedisStore::connect(url, "shop").await {
            Err(error) if error.to_string().contains("has not answered within") => {}
            other => return other,
        }
    }
    panic!("the server has not answered in twenty tries");
}

#[test]
fn urls_that_mean_no_server() {
    for url in [
        "",
        "correct-horse",
        "http://:correct-horse@127.0.0.1",
        "redis://:correct-horse/@127.0.0.1",
        "redis://user:6379/correct-horse@127.0.0.1",
        "redis://:correct-horse@",
        "redis://:correct-horse@127.0.0.1/?protocol=correct-horse",
        "rediss://127.0.0.1#correct-horse",
        "unix:///socket?db=correct-horse",
    ] {
        let refused = RedisStore::new(url, "shop").expect_err("it means no server");
        let text = "the store's URL cannot be used; write it as `redis://user:password@host:port`";
        assert_eq!(refused.to_string(), text, "what is told of {url}");
    }
}

#[test]
fn services_that_are_no_names() {
    for service in ["", "{}", "a{", "}a"] {
        let refused = RedisStore::new("redis://127.0.0.1", service).expect_err("it is no name");
        let text = format!("`{service}` cannot be the name of a service; give one that is not empty and has no braces");
        assert_eq!(refused.to_string(), text);
    }
}

#[test]
fn debug_shows_no_url() {
    for url in [
        "redis://user:correct-horse@127.0.0.1",
        "redis://correct-horse@127.0.0.1",
    ] {
        let store = RedisStore::new(url, "shop").unwrap();
        assert!(
            !format!("{store:?} {store:#?}").contains(PASSWORD),
            "{store:?} has no password"
        );
    }
}

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn passwords_open_servers() {
    for server in Server::all(&["--requirepass", PASSWORD]).await {
        let url = server.url_with("redis", ":correct-horse@");
        works(&connect(&url).await.expect("it is the password")).await;
        for user in ["", ":wrong-horse@", "nobody:wrong-horse@"] {
            let url = server.url_with("redis", user);
            let refused = connect(&url).await.expect_err("it is not the password");
            assert!(!refused.to_string().contains("horse"), "{refused} has no password");
        }
    }
}

#[tokio::test]
#[cfg(feature = "tls")]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn tls_is_spoken() {
    // The script has made the certificate, and lets this process trust it. Debian's server, its first one, has TLS.
    let files = std::env::var("CERTIFICATE").expect("`CERTIFICATE` has no folder; run sandbox-fleet/tests/servers/run");
    let (certificate, key) = (format!("{files}/server.pem"), format!("{files}/server.key"));
    let tls = [
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &certificate,
    ];
    let options = ["--tls-auth-clients", "no", "--port", "0", "--tls-port", "PORT"];
    let server = Server::start(server::programs()[0].clone(), &[&options[..], &tls[..]].concat()).await;
    let connected = connect(&server.url_with("rediss", "")).await;
    works(&connected.expect("the certificate is right")).await;
    // It is for 127.0.0.1 only.
    let other = server.url_with("rediss", "").replace("127.0.0.1", "localhost");
    let refused = connect(&other).await.expect_err("the certificate is for another name");
    assert!(refused.to_string().contains("certificate"), "{refused}");
    RedisStore::connect(&server.url(), "shop")
        .await
        .expect_err("the server speaks nothing but TLS");
}

#[test]
#[cfg(not(feature = "tls"))]
fn tls_is_a_feature() {
    RedisStore::new("rediss://127.0.0.1", "shop").expect_err("the feature is not on");
}

async fn works(store: &RedisStore) {
    let mut messages = store.subscribe().await.unwrap();
    let settings = Versioned {
        version: 1,
        text: "settings".to_owned(),
    };
    assert!(
        store.put_settings(0, &settings).await.unwrap(),
        "a new service has no settings"
    );
    assert_eq!(store.settings().await.unwrap(), settings, "settings are kept");
    let told = timeout(Duration::from_secs(30), messages.recv()).await;
    assert_eq!(told, Ok(Some(())), "a change is told");
}
