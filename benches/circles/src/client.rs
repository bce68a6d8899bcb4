//! [`Client`]: what does the agent see of the server?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest, ServerResult};
use rmcp::service::{NotificationContext, PeerRequestOptions, RunningService};
use rmcp::{ClientHandler, RoleClient, ServiceError, ServiceExt};

use crate::dependency::Dependency;
use crate::server::Setup;

/// After so much time most clients give a request up: the default of the ones in Python and TypeScript.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the model reads then.
const GIVEN_UP: &str = "the request timed out";

/// Hears that the list of tools has changed.
#[derive(Debug)]
struct Ear(Arc<AtomicBool>);

impl ClientHandler for Ear {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.store(true, Relaxed);
    }
}

#[derive(Debug)]
pub(crate) struct Client {
    service: RunningService<RoleClient, Ear>,
    is_changed: Arc<AtomicBool>,
    /// The one that fits the agent's job, and whether the server lists it.
    tool: &'static str,
    is_listed: bool,
}

impl Client {
    /// One that has begun its session with a server.
    pub(crate) async fn of(setup: Setup, dependency: Arc<Dependency>) -> Client {
        let (near, far) = tokio::io::duplex(65_536);
        setup.serve(dependency, far);
        // Not asked yet.
        let is_changed = Arc::new(AtomicBool::new(true));
        let service = Ear(Arc::clone(&is_changed)).serve(near).await;
        Client {
            service: service.expect("its server is there"),
            is_changed,
            tool: setup.tool(),
            is_listed: false,
        }
    }

    /// Tells whether the tool is in the list, which is asked for at first and after each change.
    pub(crate) async fn is_offered(&mut self) -> bool {
        if self.is_changed.swap(false, Relaxed) {
            let tools = self.service.list_all_tools().await.expect("its server is there");
            self.is_listed = tools.iter().any(|tool| tool.name == self.tool);
        }
        self.is_listed
    }

    /// Calls the tool.
    ///
    /// # Errors
    ///
    /// What the model reads if that brings nothing.
    pub(crate) async fn call(&self, question: String) -> Result<(), String> {
        let arguments = [("question".to_owned(), question.into())].into_iter().collect();
        let params = CallToolRequestParams::new(self.tool).with_arguments(arguments);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let options = PeerRequestOptions::with_timeout(PATIENCE);
        let sent = self.service.send_request_with_option(request, options).await;
        match sent.expect("its server is there").await_response().await {
            Ok(ServerResult::CallToolResult(result)) if result.is_error != Some(true) => Ok(()),
            Ok(ServerResult::CallToolResult(result)) => {
                let texts = result.content.iter().filter_map(|content| content.as_text());
                Err(texts.map(|text| &*text.text).collect())
            }
            Ok(_) => Err("the server has sent something else".to_owned()),
            Err(ServiceError::Timeout { .. }) => Err(GIVEN_UP.to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}
