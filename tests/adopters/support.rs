//! What stands for the world outside, and a client of MCP servers in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use rmcp::model::CallToolRequestParams;
use rmcp::service::{RunningService, ServiceError};
use rmcp::{RoleClient, ServerHandler, ServiceExt};
use sandbox_runtime::mcp::Sandboxed;
use serde_json::Value;

/// What the next requests come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Weather {
    Fine,
    Failing,
    Hanging,
    Panicking,
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
            Weather::Panicking => panic!("the store is on fire"),
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

    /// A client of a server that is started as the documentation has it.
    pub(crate) async fn of_reporting(server: impl ServerHandler) -> Client {
        let (near, far) = tokio::io::duplex(4_096);
        tokio::spawn(async { Sandboxed::new(server).serve(far).await.unwrap().waiting().await });
        Client(().serve(near).await.unwrap())
    }

    /// The text of an answer, and whether it is marked as a failure.
    pub(crate) async fn call(&self, tool: &'static str, arguments: Value) -> (String, bool) {
        let answer = self.answer(tool, arguments).await;
        assert!(answer["content"].is_array(), "`{tool}` has no result: {answer}");
        let text = answer["content"][0]["text"].as_str().unwrap_or_default();
        (text.to_owned(), answer["isError"] == true)
    }

    /// The answer as it was sent: a result, or an error of the protocol.
    pub(crate) async fn answer(&self, tool: &'static str, arguments: Value) -> Value {
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        match self.0.call_tool(params).await {
            Ok(result) => serde_json::to_value(result).unwrap(),
            Err(ServiceError::McpError(error)) => serde_json::to_value(error).unwrap(),
            Err(error) => panic!("`{tool}` has no answer: {error}"),
        }
    }

    /// The tools as they are listed.
    pub(crate) async fn list(&self) -> Vec<Value> {
        let tools = self.0.list_all_tools().await.unwrap();
        let tools = tools.into_iter().map(|tool| serde_json::to_value(tool).unwrap());
        tools.collect()
    }

    pub(crate) async fn tools(&self) -> Vec<String> {
        let tools = self.0.list_all_tools().await.unwrap();
        tools.into_iter().map(|tool| tool.name.into_owned()).collect()
    }
}
