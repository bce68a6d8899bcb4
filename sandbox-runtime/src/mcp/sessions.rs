//! [`SandboxedSessions`]: the same watch over connections that are sessions over HTTP.

use std::future::Future;
use std::sync::Arc;

use futures_core::Stream;
use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::common::server_side_http::{ServerSseMessage, SessionId};
use rmcp::transport::streamable_http_server::session::{EventStore, RestoreOutcome, SessionManager};

use super::connection::WatchedTransport;

/// Wraps the session manager of a server over HTTP, so that what tools send by themselves is watched there, too: their progress,
/// and their questions to the user. [`Sandboxed::serve`](super::Sandboxed::serve) does that for other transports. Feature
/// `rmcp-http`.
///
/// ```
/// use std::sync::Arc;
/// use rmcp::transport::StreamableHttpService;
/// use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
/// use sandbox_runtime::mcp::{Sandboxed, SandboxedSessions};
/// # #[derive(Clone)] struct Weather;
/// # impl rmcp::ServerHandler for Weather {}
///
/// let sessions = SandboxedSessions::new(LocalSessionManager::default());
/// let service = StreamableHttpService::new(|| Ok(Sandboxed::new(Weather)), Arc::new(sessions), Default::default());
/// # drop(service);
/// ```
#[derive(Debug, Clone, Default)]
pub struct SandboxedSessions<M>(M);

impl<M> SandboxedSessions<M> {
    /// Wraps `sessions`.
    #[must_use]
    pub const fn new(sessions: M) -> Self {
        SandboxedSessions(sessions)
    }

    /// The session manager inside.
    #[must_use]
    pub fn into_inner(self) -> M {
        self.0
    }
}

impl<M: SessionManager> SessionManager for SandboxedSessions<M>
where
    M::Transport: Transport<RoleServer>,
{
    type Error = M::Error;
    type Transport = WatchedTransport<M::Transport>;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let (id, transport) = self.0.create_session().await?;
        Ok((id, WatchedTransport::new(transport)))
    }

    fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> impl Future<Output = Result<ServerJsonRpcMessage, Self::Error>> + Send {
        self.0.initialize_session(id, message)
    }

    fn has_session(&self, id: &SessionId) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        self.0.has_session(id)
    }

    fn close_session(&self, id: &SessionId) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.0.close_session(id)
    }

    fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> impl Future<Output = Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error>> + Send
    {
        self.0.create_stream(id, message)
    }

    fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.0.accept_message(id, message)
    }

    fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> impl Future<Output = Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error>> + Send
    {
        self.0.create_standalone_stream(id)
    }

    fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> impl Future<Output = Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error>> + Send
    {
        self.0.resume(id, last_event_id)
    }

    async fn restore_session(&self, id: SessionId) -> Result<RestoreOutcome<Self::Transport>, Self::Error> {
        Ok(match self.0.restore_session(id).await? {
            RestoreOutcome::Restored(transport) => RestoreOutcome::Restored(WatchedTransport::new(transport)),
            RestoreOutcome::AlreadyPresent => RestoreOutcome::AlreadyPresent,
            // Also what a later rmcp may add: nobody could use a session that is not watched.
            _ => RestoreOutcome::NotSupported,
        })
    }

    fn event_store(&self) -> Option<Arc<dyn EventStore>> {
        self.0.event_store()
    }
}
