//! An agent that keeps a session: methods that change it, a log that they write, an error type with `From`, and a service whose
//! futures own what they need.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sandbox_runtime::{CircuitBreaker, ErrorVerdict, SandboxError, sandboxed};

use crate::support::{FAILS_TWICE, HANGS, World};

#[derive(Debug, thiserror::Error, ErrorVerdict)]
enum SessionError {
    #[error("`{0}` is not allowed")]
    #[verdict(ignore)]
    NotAllowed(String),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

#[derive(Debug, Clone, Default)]
struct Session {
    history: Vec<String>,
    attempts: u32,
    world: World,
    breaker: Arc<CircuitBreaker>,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session of {} commands", self.history.len())
    }
}

#[sandboxed(timeout_ms = 1_000, max_retries = 2, backoff_base_ms = 10, breaker = &self.breaker)]
impl Session {
    #[sandboxed]
    async fn execute(&mut self, command: &str) -> Result<String, SessionError> {
        self.attempts += 1;
        tracing::debug!(self.attempts, command, "{self}");
        if command.starts_with("rm") {
            return Err(SessionError::NotAllowed(command.to_owned()));
        }
        self.world.request().await?;
        self.history.push(command.to_owned());
        Ok(format!("{command}: {self}"))
    }

    #[sandboxed]
    async fn replay(&mut self) -> Result<usize, SessionError> {
        let commands = std::mem::take(&mut self.history);
        let replayed = async move {
            for command in &commands {
                self.world.request().await?;
                self.history.push(command.clone());
            }
            Ok::<_, SessionError>(self.history.len())
        };
        replayed.await
    }

    #[sandboxed(idempotent = false)]
    async fn close(mut self) -> Result<Vec<String>, SessionError> {
        self.world.request().await?;
        self.history.push("exit".into());
        Ok(self.history)
    }

    #[sandboxed]
    fn later(&mut self, command: String) -> BoxFuture<'static, Result<String, SessionError>> {
        self.attempts += 1;
        let mut session = self.clone();
        session.history.clear();
        Box::pin(async move { session.execute(&command).await })
    }

    fn forget(&mut self) {
        self.history.clear();
    }
}

fn session(world: World) -> Session {
    Session {
        world,
        breaker: Arc::new(CircuitBreaker::new(2)),
        ..Session::default()
    }
}

#[tokio::test(start_paused = true)]
async fn commands_are_run_at_the_third_attempt() {
    let mut session = session(World::with(FAILS_TWICE));
    assert_eq!(session.execute("ls").await.unwrap(), "ls: session of 1 commands");
    assert_eq!((session.attempts, session.history.len()), (3, 1));
    assert_eq!(session.replay().await.unwrap(), 1);
    assert_eq!(session.later("pwd".into()).await.unwrap(), "pwd: session of 1 commands");
    assert_eq!(session.clone().close().await.unwrap(), ["ls", "exit"]);
    session.forget();
}

#[tokio::test(start_paused = true)]
async fn what_is_not_allowed_is_the_models_fault() {
    let mut session = session(World::default());
    for _ in 0..9 {
        let error = session.execute("rm -r /").await.unwrap_err();
        assert_eq!(error.to_string(), "`rm -r /` is not allowed");
    }
    assert_eq!(session.attempts, 9);
    assert!(!session.breaker.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_hangs_is_given_up_and_then_refused() {
    let mut session = session(World::with(HANGS));
    let error = session.execute("ls").await.unwrap_err();
    assert!(
        matches!(error, SessionError::Sandbox(SandboxError::Timeout { .. })),
        "{error}"
    );
    let error = session.later("ls".into()).await.unwrap_err();
    assert!(matches!(error, SessionError::Sandbox(error) if error.is_circuit_open()));
}

/// Since edition 2021 a method may have its breaker beside the fields that it changes.
struct Counter {
    count: u32,
    breaker: CircuitBreaker,
}

impl Counter {
    #[sandboxed(max_retries = 1, backoff_base_ms = 10, breaker = &self.breaker)]
    async fn count(&mut self) -> Result<u32, SessionError> {
        self.count += 1;
        Err(std::io::Error::other("lost").into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_breaker_stands_beside_the_fields_that_change() {
    let mut counter = Counter {
        count: 0,
        breaker: CircuitBreaker::new(1),
    };
    counter.count().await.unwrap_err();
    assert_eq!((counter.count, counter.breaker.is_open()), (2, true));
}
