//! The program on the command line: what it does to a service, and what people read.

#![cfg(feature = "cli")]
#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

mod server;

use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use sandbox_fleet::Fleet;
use sandbox_runtime::{BreakerState, SandboxError, ToolHandle, sandboxed, testing, tool};
use tokio::task::spawn_blocking;

use self::server::{Server, programs, unique};

#[sandboxed(timeout_ms = 500)]
async fn look_up() -> Result<(), SandboxError> {
    Ok(())
}

fn the_tool() -> ToolHandle {
    tool("look_up").expect("it is annotated")
}

fn limit_in_force() -> Duration {
    let policy = the_tool().status().policy_in_force.expect("it is fixed");
    let limit = serde_json::to_value(policy).unwrap()["timeout_ms"].as_u64();
    Duration::from_millis(limit.expect("it is limited"))
}

/// What the program has written, and its exit code.
struct Run {
    out: String,
    error: String,
    code: Option<i32>,
}

impl Run {
    fn worked(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.error);
        self.out
    }

    fn failed(self) -> String {
        assert_eq!(self.code, Some(1), "{}{}", self.out, self.error);
        self.out + &self.error
    }
}

async fn run(url: &str, service: &str, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandbox-fleet"));
    command.args(arguments);
    command
        .env("SANDBOX_FLEET_URL", url)
        .env("SANDBOX_FLEET_SERVICE", service);
    let output = spawn_blocking(move || command.output())
        .await
        .unwrap()
        .expect("it is built");
    Run {
        out: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}

/// A service of one replica, which is this program in a scope of its own.
async fn in_service<F: Future<Output = ()>>(story: impl FnOnce(String, String) -> F) {
    let server = Server::start(programs()[0].clone(), &[]).await;
    let (url, service) = (server.url(), unique("shop"));
    let fleet = Fleet::connect(&url).service(&service).replica("a");
    testing::isolated(async move {
        let (_member, task) = fleet.enter().await.expect("the URL is right");
        tokio::select! {
            () = task => unreachable!("it has not left"),
            () = story(url, service) => {}
        }
    })
    .await;
}

fn file(name: &str, text: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(unique("settings"))
        .join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn switches() {
    in_service(|url, service| async move {
        let run = async |arguments: &[&str]| run(&url, &service, arguments).await;
        let seen = |version| format!("version {version} is set, and seen by 1 of 1 live replicas\n");
        assert_eq!(
            run(&["status"]).await.worked(),
            "1 live replica; version 0 of the settings\na: version 0\n"
        );

        assert_eq!(
            run(&["disable", "look_up", "--reason", "it moves"]).await.worked(),
            seen(1)
        );
        let Err(SandboxError::Disabled {
            reason, retry_after_ms, ..
        }) = look_up().await
        else {
            panic!("it is off");
        };
        assert_eq!((reason.as_str(), retry_after_ms), ("it moves", None));

        run(&["disable", "look_up", "--reason", "it moves", "--for", "30m"])
            .await
            .worked();
        let Err(SandboxError::Disabled {
            retry_after_ms: Some(left),
            ..
        }) = look_up().await
        else {
            panic!("it is off for a time");
        };
        assert!(
            (29 * 60_000..=30 * 60_000).contains(&left),
            "about 30 minutes: {left} ms"
        );

        run(&[
            "disable",
            "look_up",
            "--reason",
            "it moves",
            "--until",
            "2199-01-31T22:00:00Z",
        ])
        .await
        .worked();
        let status = run(&["status"]).await.worked();
        assert!(
            status.contains("1 live replica; version 3 of the settings\na: version 3\n"),
            "{status}"
        );
        // By one millisecond, as the length is reckoned from the time at which the store was asked.
        let times = [
            "\"until\": \"2199-01-31T22:00:00Z\"",
            "\"until\": \"2199-01-31T21:59:59Z\"",
        ];
        assert!(times.iter().any(|time| status.contains(time)), "{status}");
        assert!(status.contains("\"reason\": \"it moves\""), "{status}");

        assert_eq!(run(&["enable", "look_up"]).await.worked(), seen(4));
        assert_eq!(look_up().await, Ok(()));
        let text = run(&["enable", "look_upp"]).await.worked();
        assert_eq!(text, seen(5));
        let text = run(&["shadow", "look_upp", "on"]).await.failed();
        assert_eq!(text, seen(6) + "no live replica has a tool or a module `look_upp`\n");
        run(&["open", "look_up"]).await.worked();
        assert_eq!(the_tool().breaker().unwrap().state(), BreakerState::ForcedOpen);
        run(&["reset", "look_up"]).await.worked();
        assert_eq!(the_tool().breaker().unwrap().state(), BreakerState::Closed);
        run(&["shadow", "look_up", "on"]).await.worked();
        assert!(the_tool().status().shadow, "its breaker refuses nothing");
        run(&["shadow", "look_up", "off"]).await.worked();
        assert!(!the_tool().status().shadow, "its breaker refuses again");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn files() {
    in_service(|url, service| async move {
        let run = async |arguments: &[&str]| run(&url, &service, arguments).await;
        let toml = file("right.toml", "version = 1\n[tool.look_up]\ntimeout_ms = 700\n");
        run(&["apply", &toml]).await.worked();
        assert_eq!(limit_in_force(), Duration::from_millis(700));
        let json = file(
            "right.json",
            r#"{"version": 1, "tool": {"look_up": {"timeout_ms": 800}}}"#,
        );
        run(&["apply", &json]).await.worked();
        assert_eq!(limit_in_force(), Duration::from_millis(800));

        let unknown = file("unknown.toml", "version = 1\n[tool.look_upp]\ntimeout_ms = 900\n");
        let text = run(&["apply", &unknown]).await.failed();
        assert!(
            text.starts_with("version 3 is set, and seen by 1 of 1 live replicas\n"),
            "{text}"
        );
        assert!(
            text.contains("a does not have the settings in force: ") && text.contains("look_upp"),
            "{text}"
        );
        assert_eq!(
            limit_in_force(),
            Duration::from_millis(800),
            "a mistake changes nothing"
        );
        let status = run(&["status"]).await.worked();
        assert!(status.contains("a does not have the settings in force: "), "{status}");
        run(&["clear"]).await.worked();
        assert_eq!(limit_in_force(), Duration::from_millis(500), "that of the attribute");

        let unread = file("unread.toml", "timeout_ms = 900\n");
        let text = run(&["apply", &unread]).await.failed();
        assert!(
            text.contains("unread.toml") && text.contains("unknown key `timeout_ms`"),
            "{text}"
        );
        let text = run(&["apply", "/none.toml"]).await.failed();
        assert!(text.starts_with("error: cannot read /none.toml: "), "{text}");
        let over = [
            "disable",
            "look_up",
            "--reason",
            "it moves",
            "--until",
            "2020-01-31T22:00:00Z",
        ];
        let text = run(&over).await.failed();
        assert!(
            text.starts_with("error: `--until` is over: by the clock of the store it is "),
            "{text}"
        );
        let status = run(&["status"]).await.worked();
        assert!(
            status.contains("version 4 of the settings"),
            "mistakes are not sent: {status}"
        );
    })
    .await;
}

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn servers_that_cannot_be_asked() {
    let mut server = Server::start(programs()[0].clone(), &["--requirepass", "correct-horse"]).await;
    for user in ["", ":wrong-horse@"] {
        let text = run(&server.url_with("redis", user), "shop", &["status"]).await.failed();
        assert!(text.starts_with("error: the store could not be asked: "), "{text}");
        assert!(!text.contains("horse"), "{text}");
    }
    let text = run("http://:correct-horse@127.0.0.1", "shop", &["status"])
        .await
        .failed();
    let url = "error: the store's URL cannot be used; write it as `redis://user:password@host:port`\n";
    assert_eq!(text, url);
    let url = server.url_with("redis", ":correct-horse@");
    let text = run(&url, "shop", &["status"]).await.worked();
    assert_eq!(text, "0 live replicas; version 0 of the settings\n");
    let text = run(&url, "shop", &["enable", "look_up"]).await.worked();
    assert_eq!(text, "version 1 is set; no replica is live\n");
    server.kill();
    for arguments in [&["status"][..], &["enable", "look_up"]] {
        let text = run(&url, "shop", arguments).await.failed();
        assert!(text.starts_with("error: the store could not be asked: "), "{text}");
        assert!(
            text.ends_with("; see whether the server runs, and whether the URL is right\n"),
            "{text}"
        );
        assert!(!text.contains("horse"), "{text}");
    }
}
