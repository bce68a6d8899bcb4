//! [`WatchedTransport`]: the connection to a client, with an eye on what the tools of a request send over it by themselves.

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};

use rmcp::RoleServer;
use rmcp::model::{
    ClientResult, ElicitationAction, GetExtensions, JsonRpcMessage, RequestId, ServerNotification, ServerRequest,
};
use rmcp::service::{OriginatingRequestId, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio_util::sync::CancellationToken;

use super::observer::locked;
use super::request::Request;

/// The requests of a client that are being answered, and the questions that the server asks in them.
#[derive(Debug, Clone, Default)]
pub(super) struct Connection {
    under_way: Arc<Mutex<UnderWay>>,
    /// Cancelled when the client sends nothing more.
    is_over: CancellationToken,
}

#[derive(Debug, Default)]
struct UnderWay {
    requests: HashMap<RequestId, Arc<Request>>,
    questions: HashMap<RequestId, Arc<Request>>,
}

/// Lasts as long as a request is being answered.
#[derive(Debug)]
#[must_use = "the request has ended when this is dropped"]
pub(super) struct Answering {
    connection: Connection,
    id: RequestId,
}

impl Connection {
    pub(super) fn begin(&self, id: RequestId, request: Arc<Request>) -> Answering {
        locked(&self.under_way).requests.insert(id.clone(), request);
        Answering {
            connection: self.clone(),
            id,
        }
    }

    pub(super) fn is_over(&self) -> CancellationToken {
        self.is_over.clone()
    }

    fn outgoing(&self, message: &mut TxJsonRpcMessage<RoleServer>) {
        match message {
            JsonRpcMessage::Request(question) => self.asking(&question.id, &question.request),
            JsonRpcMessage::Notification(notification) => {
                if let ServerNotification::ProgressNotification(progress) = &mut notification.notification {
                    let under_way = locked(&self.under_way);
                    let token = &progress.params.progress_token;
                    let mut requests = under_way.requests.values();
                    if let Some(request) = requests.find(|request| request.has_progress_token(token)) {
                        request.progress_told(&mut progress.params);
                    }
                }
            }
            _ => {}
        }
    }

    fn asking(&self, id: &RequestId, question: &ServerRequest) {
        let mut under_way = locked(&self.under_way);
        let origin = question.extensions().get::<OriginatingRequestId>();
        if let Some(request) = origin.and_then(|origin| under_way.requests.get(&origin.0)) {
            let request = Arc::clone(request);
            request.asked(id.clone());
            under_way.questions.insert(id.clone(), request);
        }
    }

    fn incoming(&self, message: &mut RxJsonRpcMessage<RoleServer>) {
        match message {
            // By this, the server finds the connection again.
            JsonRpcMessage::Request(request) => {
                request.request.extensions_mut().insert(self.clone());
            }
            JsonRpcMessage::Response(answer) => {
                let is_declined = matches!(
                    &answer.result,
                    ClientResult::ElicitResult(answer) if answer.action != ElicitationAction::Accept
                );
                self.answered(&answer.id, is_declined);
            }
            // What the client could not ask its user, or what that user did not want to be asked.
            JsonRpcMessage::Error(error) => {
                if let Some(id) = &error.id {
                    self.answered(id, true);
                }
            }
            JsonRpcMessage::Notification(_) => {}
        }
    }

    fn answered(&self, question: &RequestId, is_declined: bool) {
        if let Some(request) = locked(&self.under_way).questions.remove(question) {
            request.answered(question, is_declined);
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut under_way = locked(&self.connection.under_way);
        if let Some(ended) = under_way.requests.remove(&self.id) {
            under_way.questions.retain(|_, request| !Arc::ptr_eq(request, &ended));
        }
    }
}

/// A transport on which a [`Sandboxed`](super::Sandboxed) server sees what its tools send by themselves.
/// [`Sandboxed::serve`](super::Sandboxed::serve) makes one; by hand it is for rmcp's other ways to start a server:
///
/// ```no_run
/// # async fn f(token: tokio_util::sync::CancellationToken) -> Result<(), Box<dyn std::error::Error>> {
/// # struct Weather;
/// # impl rmcp::ServerHandler for Weather {}
/// use rmcp::ServiceExt;
/// use rmcp::transport::{IntoTransport, stdio};
/// use sandbox_runtime::mcp::{Sandboxed, WatchedTransport};
///
/// let transport = WatchedTransport::new(stdio().into_transport());
/// Sandboxed::new(Weather).serve_with_ct(transport, token).await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct WatchedTransport<T> {
    transport: T,
    connection: Connection,
}

impl<T> WatchedTransport<T> {
    /// Watches `transport`.
    pub fn new(transport: T) -> Self {
        WatchedTransport {
            transport,
            connection: Connection::default(),
        }
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for WatchedTransport<T> {
    type Error = T::Error;

    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn send(
        &mut self,
        mut message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.connection.outgoing(&mut message);
        self.transport.send(message)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        let mut message = self.transport.receive().await;
        match &mut message {
            Some(message) => self.connection.incoming(message),
            None => self.connection.is_over.cancel(),
        }
        message
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.transport.close()
    }
}
