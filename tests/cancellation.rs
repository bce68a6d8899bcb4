//! `cancel` ends the call when the token does.

use sandbox_runtime::{SandboxError, sandboxed};
use tokio_util::sync::CancellationToken;

struct Session {
    token: CancellationToken,
}

impl Session {
    #[sandboxed(cancel = self.token)]
    async fn by_field(&self) -> anyhow::Result<()> {
        std::future::pending().await
    }
}

#[sandboxed(cancel = token)]
async fn by_argument(token: CancellationToken, started: &tokio::sync::Notify) -> anyhow::Result<()> {
    started.notify_one();
    token.cancelled().await;
    std::future::pending().await
}

#[sandboxed(cancel = token)]
async fn by_reference(token: &CancellationToken, attempts: &mut u32) -> anyhow::Result<()> {
    let _ = token;
    *attempts += 1;
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_receivers() {
    let session = Session {
        token: CancellationToken::new(),
    };
    let (result, ()) = tokio::join!(session.by_field(), async { session.token.cancel() });
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&SandboxError::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn a_token_among_the_arguments() {
    let (token, started) = (CancellationToken::new(), tokio::sync::Notify::new());
    let (result, ()) = tokio::join!(by_argument(token.clone(), &started), async {
        started.notified().await;
        token.cancel();
    });
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&SandboxError::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_cancelled_already() {
    let token = CancellationToken::new();
    token.cancel();
    let mut attempts = 0;
    let error = by_reference(&token, &mut attempts).await.unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&SandboxError::Cancelled));
    assert_eq!(attempts, 0);
}
