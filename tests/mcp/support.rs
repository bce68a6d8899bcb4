//! Servers in both orders of the attributes, and a client in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rmcp::model::CallToolRequestParams;
use rmcp::service::{RunningService, ServiceError};
use rmcp::{ErrorData, RoleClient, ServerHandler, ServiceExt};
use sandbox_runtime::CircuitBreaker;
use sandbox_runtime::mcp::Sandboxed;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};
use tokio::sync::Notify;

/// What a test sees of the server that its client talks to.
pub(crate) struct State {
    pub(crate) attempts: AtomicU32,
    pub(crate) breaker: CircuitBreaker,
    /// Notified when an attempt ends, by the tools that do so.
    pub(crate) ended: Notify,
}

impl State {
    pub(crate) fn new() -> Arc<State> {
        Arc::new(State {
            attempts: AtomicU32::new(0),
            breaker: CircuitBreaker::new(3),
            ended: Notify::new(),
        })
    }

    /// The number of the attempt that has now begun.
    pub(crate) fn attempt(&self) -> u32 {
        self.attempts.fetch_add(1, Relaxed) + 1
    }
}

pub(crate) struct Client {
    service: RunningService<RoleClient, ()>,
    pub(crate) server: Arc<State>,
}

impl Client {
    pub(crate) async fn of<S: ServerHandler>(server: fn(Arc<State>) -> S) -> Client {
        let state = State::new();
        let server = server(Arc::clone(&state));
        let (near, far) = tokio::io::duplex(4_096);
        tokio::spawn(async { server.serve(far).await.unwrap().waiting().await });
        Client {
            service: ().serve(near).await.unwrap(),
            server: state,
        }
    }

    /// The result of a call, as it was sent.
    pub(crate) async fn call(&self, tool: &'static str, arguments: Value) -> Result<Value, ErrorData> {
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        match self.service.call_tool(params).await {
            Ok(result) => Ok(serde_json::to_value(result).unwrap()),
            Err(ServiceError::McpError(error)) => Err(error),
            Err(error) => panic!("{error}"),
        }
    }

    /// The tools that the server lists.
    pub(crate) async fn tools(&self) -> Vec<Value> {
        let tools = self.service.list_all_tools().await.unwrap();
        tools
            .into_iter()
            .map(|tool| serde_json::to_value(tool).unwrap())
            .collect()
    }
}

/// A result that is this text.
pub(crate) fn text(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": false })
}

/// The same, marked as a failure.
pub(crate) fn error(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": true })
}

/// Servers with the given tools: `Above` has them with `#[sandboxed]` above `#[tool]`, `Below` the other way round.
macro_rules! servers {
    ($({ #[sandboxed $(($($setting:tt)*))?] #[tool $(($($about:tt)*))?] $($function:tt)* })*) => {
        struct Above(std::sync::Arc<$crate::support::State>);

        #[rmcp::tool_router(server_handler)]
        impl Above {
            $(
                #[sandbox_runtime::sandboxed $(($($setting)*))?]
                #[rmcp::tool $(($($about)*))?]
                $($function)*
            )*
        }

        struct Below(std::sync::Arc<$crate::support::State>);

        #[rmcp::tool_router(server_handler)]
        impl Below {
            $(
                #[rmcp::tool $(($($about)*))?]
                #[sandbox_runtime::sandboxed $(($($setting)*))?]
                $($function)*
            )*
        }

        async fn clients() -> [$crate::support::Client; 2] {
            [
                $crate::support::Client::of(Above).await,
                $crate::support::Client::of(Below).await,
            ]
        }
    };
}

/// A client that sends and reads lines of JSON.
pub(crate) struct RawClient {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    output: WriteHalf<DuplexStream>,
    pub(crate) server: Arc<State>,
}

impl RawClient {
    /// A client that can ask its user.
    pub(crate) async fn of<S: ServerHandler>(server: fn(Arc<State>) -> Sandboxed<S>) -> RawClient {
        let state = State::new();
        let server = server(Arc::clone(&state));
        let (near, far) = tokio::io::duplex(65_536);
        tokio::spawn(async { server.serve(far).await.unwrap().waiting().await });
        let (input, output) = tokio::io::split(near);
        let mut client = RawClient {
            lines: BufReader::new(input).lines(),
            output,
            server: state,
        };
        let about = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": { "elicitation": {}, "sampling": {} },
            "clientInfo": { "name": "raw", "version": "0" },
        });
        client
            .send(json!({ "id": 0, "method": "initialize", "params": about }))
            .await;
        client.read().await;
        client.send(json!({ "method": "notifications/initialized" })).await;
        client
    }

    pub(crate) async fn send(&mut self, mut message: Value) {
        message["jsonrpc"] = "2.0".into();
        self.output.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    /// Calls a tool; its progress has the token `"token"`.
    pub(crate) async fn call(&mut self, id: u32, tool: &str, arguments: Value) {
        let params = json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": "token" } });
        self.send(json!({ "id": id, "method": "tools/call", "params": params }))
            .await;
    }

    /// The next message of the server.
    pub(crate) async fn read(&mut self) -> Value {
        let line = self.lines.next_line().await.unwrap().expect("the server is there");
        serde_json::from_str(&line).unwrap()
    }

    /// All messages until the answer to this call, and that.
    pub(crate) async fn read_until(&mut self, id: u32) -> (Vec<Value>, Value) {
        let mut before = Vec::new();
        loop {
            match self.read().await {
                answer if answer["id"] == id && answer["method"].is_null() => {
                    return (before, answer["result"].clone());
                }
                other => before.push(other),
            }
        }
    }
}
