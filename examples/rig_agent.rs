//! A rig agent that recovers from a tool that is down, because the text of a failure states what its model can do next.
//!
//! The user asks the agent for the weather. The agent has two sandboxed tools: `forecast` asks a station that hangs, `almanac`
//! knows averages. The example itself starts the station, and also the model: a small service on this machine with the API of
//! OpenAI. The model follows a script, but its next step depends on the text of the tool result that it receives.
//!
//! ```text
//! cargo run -p sandbox-examples --features rig --example rig_agent
//! cargo run -p sandbox-examples --features rig --example rig_agent -- http://127.0.0.1:11434 qwen3    # your own Ollama
//! ```
//!
//! Watch the time on the left, and what the model reads. In the call of `forecast`, two attempts time out, which opens the
//! breaker. The text states that the tool is switched off now, and leads the model to the other tool. The exit code is 1 if the
//! scripted model did not reach its answer this way.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Instant;

use rig::agent::{AgentHook, DispatchAction, DispatchEvent, HookContext, OutcomeAction, OutcomeEvent};
use rig::providers::ollama::OllamaConfig;
use rig::tool::{PortableTool, ToolExecutionError};
use rig::{AgentBuilder, rig_tool};
use sandbox_runtime::sandboxed;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

// ---- The tools ------------------------------------------------------------------------------------------------------

/// A tool without `#[rig_tool]`, because it has a field: the address of the station.
struct Forecast {
    station: SocketAddr,
}

impl PortableTool for Forecast {
    const NAME: &'static str = "forecast";
    type Args = Value;
    type Output = String;
    type Error = ToolExecutionError;

    fn description(&self) -> String {
        "The weather of the next days in a city.".to_owned()
    }

    fn parameters(&self) -> Value {
        json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] })
    }

    #[sandboxed(
        timeout_ms = 300,
        max_retries = 1,
        backoff_base_ms = 50,
        breaker(threshold = 2),
        name = "forecast"
    )]
    async fn call(&self, arguments: Value) -> Result<String, ToolExecutionError> {
        let Some(city) = arguments["city"].as_str() else {
            // The model's own mistake: returned to it at once, and not counted by the breaker.
            return Err(ToolExecutionError::invalid_args("`city` is missing"));
        };
        ask(self.station, city)
            .await
            .map_err(|error| ToolExecutionError::network(error.to_string()))
    }
}

async fn ask(station: SocketAddr, city: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(station).await?;
    connection.write_all(city.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The usual weather of a city at this time of the year.
#[sandboxed(timeout_ms = 300)]
#[rig_tool]
async fn almanac(city: String) -> Result<String, ToolExecutionError> {
    Ok(format!("In {city} it has on average 17 °C at this time of the year."))
}

// ---- The agent ------------------------------------------------------------------------------------------------------

const QUESTION: &str = "How warm will it be in Lisbon this week?";

/// Prints what the model and the tools send to each other, and when.
struct Transcript {
    started: Instant,
}

impl Transcript {
    fn line(&self, who: &str, what: &str) {
        println!("{:>6} ms  {who:<14} {what}", self.started.elapsed().as_millis());
    }
}

impl AgentHook for Transcript {
    async fn on_dispatch(&self, _: &HookContext, event: DispatchEvent<'_>) -> DispatchAction {
        if let (Some(tool), Some(arguments)) = (event.tool_name(), event.tool_args()) {
            self.line("model calls", &format!("{tool} {arguments}"));
        }
        DispatchAction::Proceed
    }

    async fn on_outcome(&self, _: &HookContext, event: OutcomeEvent<'_>) -> OutcomeAction {
        if let (Some(tool), Some(result)) = (event.tool_name(), event.tool_result()) {
            let text = result.output().as_text().unwrap_or("no text");
            self.line(&format!("{tool}:"), text);
        }
        if let Some(response) = event.completion().filter(|response| !response.text().is_empty()) {
            self.line("model answers", &response.text());
        }
        OutcomeAction::Proceed
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (scripted, address, model) = match arguments.as_slice() {
        [address, model] => (false, address.clone(), model.as_str()),
        _ => (true, model::start().await?, "script"),
    };
    let agent = AgentBuilder::new(OllamaConfig::new().with_base_url(address).client().completion(model))
        .preamble("Answer in one sentence. Use only what your tools return.")
        .tool(Forecast {
            station: station::start().await?,
        })
        .tool(Almanac)
        .build();

    let transcript = Transcript {
        started: Instant::now(),
    };
    transcript.line("user asks", QUESTION);
    let response = agent.prompt(QUESTION).max_turns(8).add_hook(transcript).await?;

    let (answer, turns, requests) = (response.output(), response.requests(), station::requests());
    println!("\nThe model was asked {turns} times, the station {requests} times.");
    let as_scripted = answer.contains("17 °C") && turns == 3 && requests == 2;
    if scripted && !as_scripted {
        eprintln!("NOT AS SCRIPTED, expected: an answer with 17 °C, 3 questions to the model, 2 to the station");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

// ---- The station, which hangs ---------------------------------------------------------------------------------------

mod station {
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use tokio::net::TcpListener;

    static REQUESTS: AtomicU32 = AtomicU32::new(0);

    pub(super) fn requests() -> u32 {
        REQUESTS.load(Relaxed)
    }

    pub(super) async fn start() -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            let mut connections = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                REQUESTS.fetch_add(1, Relaxed);
                // Kept open, and never answered.
                connections.push(connection);
            }
        });
        Ok(address)
    }
}

// ---- The model, by script -------------------------------------------------------------------------------------------

mod model {
    use axum::{Router, routing::post};
    use serde_json::{Value, json};
    use tokio::net::TcpListener;

    pub(super) async fn start() -> std::io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let routes = Router::new().route("/v1/chat/completions", post(complete));
        tokio::spawn(async { axum::serve(listener, routes).await });
        Ok(address)
    }

    enum Step {
        Call(&'static str),
        Answer(String),
    }

    /// Everything that this model understands.
    fn next_step(result: Option<&str>) -> Step {
        match result {
            None => Step::Call("forecast"),
            Some(text) if text.contains("on average") => Step::Answer(format!("No forecast today, but: {text}")),
            Some(text) if text.contains("is switched off") => Step::Call("almanac"),
            Some(text) => Step::Answer(format!("I do not know what to make of this: {text}")),
        }
    }

    async fn complete(request: String) -> String {
        let request: Value = serde_json::from_str(&request).unwrap_or_default();
        let messages = request["messages"].as_array().map_or(&[][..], Vec::as_slice);
        let result = messages.last().filter(|last| last["role"] == "tool");
        let step = next_step(result.and_then(|result| result["content"].as_str()));
        let (message, reason) = match step {
            Step::Answer(text) => (json!({ "role": "assistant", "content": text }), "stop"),
            Step::Call(tool) => {
                let function = json!({ "name": tool, "arguments": r#"{"city":"Lisbon"}"# });
                let call =
                    json!({ "id": format!("call-{}", messages.len()), "type": "function", "function": function });
                let message = json!({ "role": "assistant", "content": null, "tool_calls": [call] });
                (message, "tool_calls")
            }
        };
        json!({
            "id": "completion",
            "object": "chat.completion",
            "created": 0,
            "model": request["model"],
            "choices": [{ "index": 0, "message": message, "finish_reason": reason }],
            "usage": { "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0 },
        })
        .to_string()
    }
}
