//! How is the server reached, and how does a step fail?

use std::fmt;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::ScriptInvocation;
use redis::aio::{MultiplexedConnection, PubSubStream};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo as _, RedisError,
    RedisResult,
};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::timeout;

use super::{STEP_LIMIT, StoreError};

/// A connection that is made when it is needed, and given up when a step has failed.
pub(super) struct Connection {
    client: Client,
    kept: Mutex<Option<MultiplexedConnection>>,
}

impl Connection {
    pub(super) fn new(url: &str) -> Result<Self, StoreError> {
        // Not with what is wrong with it: that may quote a part of the password.
        let refused =
            |_| StoreError("the store's URL cannot be used; write it as `redis://user:password@host:port`".to_owned());
        let info = url.into_connection_info().map_err(refused)?;
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            provide_ciphers();
        }
        // A subscription only listens: without these it would not learn that the server's host is gone.
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(5))
            .with_interval(Duration::from_secs(5));
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true).set_keepalive(keepalive));
        Ok(Connection {
            client: Client::open(info).map_err(refused)?,
            kept: Mutex::new(None),
        })
    }

    pub(super) async fn query<T: FromRedisValue + Send>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.step(async { command.query_async(&mut self.connected().await?).await })
            .await
    }

    /// Runs a script by its hash. A server that does not know it has not run it, and is given its text.
    pub(super) async fn invoke<T: FromRedisValue + Send>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        self.step(async { script.invoke_async(&mut self.connected().await?).await })
            .await
    }

    pub(super) async fn subscribe(&self, channel: &str) -> Result<mpsc::Receiver<()>, StoreError> {
        let messages = self
            .in_time(async {
                let mut subscription = self.client.get_async_pubsub().await?;
                subscription.subscribe(channel).await?;
                Ok(subscription.into_on_message())
            })
            .await?;
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(forward(messages, sender));
        Ok(receiver)
    }

    async fn connected(&self) -> RedisResult<MultiplexedConnection> {
        if let Some(connection) = &*self.kept() {
            return Ok(connection.clone());
        }
        // One limit for all: see `in_time`.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        // Boxed, because it is large, and each step would have room for it.
        let connecting = Box::pin(self.client.get_multiplexed_async_connection_with_config(&config));
        let connection = connecting.await?;
        *self.kept() = Some(connection.clone());
        Ok(connection)
    }

    async fn step<T>(&self, step: impl Future<Output = RedisResult<T>> + Send) -> Result<T, StoreError> {
        let mut unfinished = Unfinished {
            connection: self,
            has_answer: false,
        };
        let made = self.in_time(step).await;
        unfinished.has_answer = made.is_ok();
        made
    }

    async fn in_time<T>(&self, step: impl Future<Output = RedisResult<T>> + Send) -> Result<T, StoreError> {
        match timeout(STEP_LIMIT, step).await {
            Ok(made) => made.map_err(|error| self.describe(&error)),
            Err(_) => Err(StoreError(format!("the store has not answered within {STEP_LIMIT:?}"))),
        }
    }

    /// Some servers answer a command that they do not know with its arguments: `AUTH` has the password.
    fn describe(&self, error: &RedisError) -> StoreError {
        if let Some((node, _)) = error.redirect_node() {
            return StoreError(format!(
                "the store is a cluster, and this service is in another node of it; name `{node}` in the URL"
            ));
        }
        let text = format!("the store could not be asked: {error}");
        match self.client.get_connection_info().redis_settings().password() {
            Some(password) if !password.is_empty() => StoreError(text.replace(password, "***")),
            _ => StoreError(text),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Option<MultiplexedConnection>> {
        // Nothing panics while it is locked.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A step that has no answer yet. If it gets none, also because it was dropped, the connection is given up: whatever is wrong with it, and
/// with a server that a new one may find replaced.
struct Unfinished<'a> {
    connection: &'a Connection,
    has_answer: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.has_answer {
            *self.connection.kept() = None;
        }
    }
}

impl fmt::Debug for Connection {
    /// Without the server: a URL may have its password anywhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("is_connected", &self.kept().is_some())
            .finish_non_exhaustive()
    }
}

/// A receiver that has not read the last message yet learns no more by another one.
async fn forward(mut messages: PubSubStream, sender: mpsc::Sender<()>) {
    loop {
        tokio::select! {
            message = messages.next() => {
                if message.is_none() || matches!(sender.try_send(()), Err(TrySendError::Closed(()))) {
                    return;
                }
            }
            () = sender.closed() => return,
        }
    }
}

/// Without a provider for the process rustls would panic if the program's crates have enabled two of them. The program's own choice
/// comes first.
#[cfg(feature = "tls")]
fn provide_ciphers() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that another thread has been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

#[cfg(not(feature = "tls"))]
fn provide_ciphers() {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use redis::ErrorKind;

    use super::*;

    #[test]
    fn errors_show_no_password() {
        let answer = "unknown command 'AUTH', with args beginning with: 'correct horse'".to_owned();
        let error = RedisError::from((ErrorKind::UnexpectedReturnType, "an error", answer));
        assert!(error.to_string().contains("correct horse"), "it would be shown");
        let connection = Connection::new("redis://:correct%20horse@127.0.0.1").unwrap();
        let text = connection.describe(&error).to_string();
        assert!(text.contains("'***'") && !text.contains("correct horse"), "{text}");
        let connection = Connection::new("redis://:@127.0.0.1").unwrap();
        let text = connection.describe(&error).to_string();
        assert!(!text.contains("***"), "no password takes nothing out: {text}");
    }
}
