//! What stands for the world outside, and a client of MCP servers in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use rmcp::model::CallToolRequestParams;
use rmcp::service::RunningService;
use rmcp::{RoleClient, ServerHandler, ServiceExt};
use serde_json::Value;

/// What the next requests come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Weather {
    Fine,
    Failing,
    Hanging,
}

/// A dependency: requests follow a script, and are fine when that is over.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    script: Arc<Mutex<VecDeque<Weather>>>,
    requests: Arc<Mutex<u32>>,
}

impl World {
    pub(crate) fn with(script: &[Weather]) -> World {
        World {
            script: Arc::new(Mutex::new(script.iter().copied().collect())),
            requests: Arc::default(),
        }
    }

    /// How many requests there have been.
    pub(crate) fn requests(&self) -> u32 {
        *self.requests.lock().unwrap()
    }

    pub(crate) async fn request(&self) -> Result<(), std::io::Error> {
        tokio::task::yield_now().await;
        *self.requests.lock().unwrap() += 1;
        let weather = self.script.lock().unwrap().pop_front();
        match weather.unwrap_or(Weather::Fine) {
            Weather::Fine => Ok(()),
            Weather::Failing => Err(std::io::Error::other("connection reset")),
            Weather::Hanging => std::future::pending().await,
        }
    }
}

pub(crate) const FAILS_TWICE: &[Weather] = &[Weather::Failing, Weather::Failing];
pub(crate) const HANGS: &[Weather] = &[Weather::Hanging; 9];

pub(crate) struct Client(RunningService<RoleClient, ()>);

impl Client {
    pub(crate) async fn of(server: impl ServerHandler) -> Client {
        let (near, far) = tokio::io::duplex(4_096);
        tokio::spawn(async { server.serve(far).await.unwrap().waiting().await });
        Client(().serve(near).await.unwrap())
    }

    /// The text of an answer, and whether it is marked as a failure.
    pub(crate) async fn call(&self, tool: &'static str, arguments: Value) -> (String, bool) {
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        let answer = serde_json::to_value(self.0.call_tool(params).await.unwrap()).unwrap();
        let text = answer["content"][0]["text"].as_str().unwrap_or_default();
        (text.to_owned(), answer["isError"] == true)
    }

    pub(crate) async fn tools(&self) -> Vec<String> {
        let tools = self.0.list_all_tools().await.unwrap();
        tools.into_iter().map(|tool| tool.name.into_owned()).collect()
    }
}
