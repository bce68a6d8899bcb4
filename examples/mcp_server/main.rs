//! An MCP server whose tools are made safe by one line, and by another each where a tool needs something else.
//!
//! It uses MCP over its standard input and output, or over HTTP. Its tools use real sockets and real files: it starts an HTTP
//! service on a free port of this machine, which fails by script, and keeps its files in a folder that it removes at the end.
//!
//! - `weather`: the service answers 503 twice to every call, then works. The call is retried and succeeds. All its attempts send
//!   one key, by which the service knows them, and their parameters are read again from the request.
//! - `visitors`: the service hangs. The call times out, and the breaker opens at once. Further calls are refused without a
//!   request, and the text states for how long. Two seconds later a probe succeeds, and the breaker closes.
//! - `send`: writes a message, and then waits for a receipt that never comes. It is not run again, and the text states that it
//!   may have taken effect.
//! - `read_line`: reads a line of the note `todo`. For a note that does not exist the model gets an error, which the breaker does
//!   not count. The tool has a bug: it panics if the line does not exist. The client still gets an answer.
//! - `ring`: rings a bell that hangs. It returns `()`, and the client still gets the failure: from the server, which is started
//!   in `Sandboxed`.
//! - `archive`: takes 20 seconds, unless its client cancels it. The tool has no part in that.
//! - `delete_archive`: asks the user first. A "no" ends the call and leaves no mark on the breaker. A question that nobody answers
//!   in time is withdrawn, and asked once more. Its limit is too short for people: raise it to answer by hand.
//! - `sign`: has another name in the program. An empty name is the tool's own error, in its answer. The service hangs for a guest
//!   called Ada; as the tool's hints do not say that signing twice does no harm, it is not run again.
//! - `status`: reports how the other tools are, and what they have done.
//!
//! ```text
//! cargo build -p sandbox-examples --example mcp_server --features rmcp
//! npx @modelcontextprotocol/inspector target/debug/examples/mcp_server    # a page in the browser to call the tools by hand
//! ```
//!
//! Its options, of which each may be left out:
//!
//! - `--withdraw-unavailable`: `visitors` is missing from the list while its breaker is open, and clients are told.
//! - `--refuse-repeated-failures`: a call that has failed three times in a row is not made again with the same arguments. Ask
//!   `read_line` for a note that does not exist.
//! - `--http`: serves on a free port until its standard input ends. It prints its address to standard error.
//!
//! Watch the texts of the failures, on which a model acts, and the same as data in `_meta`. The page `docs/mcp.md` has the
//! configuration that starts this server from an agent. Without `#[sandboxed]`, clients would never get an answer from `visitors`,
//! `send` and `ring`, or from `read_line` when it panics.

mod error;
mod serve;
mod service;

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

use http_body_util::{BodyExt, Empty};
use hyper::{Request, body::Bytes};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::{CallToolResult, ContentBlock, ServerCapabilities, ServerConfig};
use rmcp::service::{ElicitationError, Peer};
use rmcp::{RoleServer, ServerHandler, elicit_safe, tool, tool_handler, tool_router};
use sandbox_runtime::{Attempt, sandboxed, tools};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;

use error::ToolError;
use serve::Options;

#[derive(Clone)]
struct Server {
    client: Client<HttpConnector, Empty<Bytes>>,
    service: SocketAddr,
    folder: PathBuf,
}

#[derive(Deserialize, JsonSchema)]
struct City {
    city: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Weather {
    city: String,
    celsius: i32,
}

#[derive(Deserialize, JsonSchema)]
struct Month {
    /// Its name, in lower case.
    month: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Visitors {
    month: String,
    visitors: u64,
}

#[derive(Deserialize, JsonSchema)]
struct Message {
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Line {
    note: String,
    /// Counted from 0.
    number: usize,
}

#[derive(Deserialize, JsonSchema)]
struct Guest {
    name: String,
}

#[derive(Deserialize, JsonSchema)]
struct Consent {
    /// What is deleted has to be copied again.
    delete: bool,
}

elicit_safe!(Consent);

#[derive(Serialize, JsonSchema)]
struct Status {
    tools: BTreeMap<&'static str, ToolState>,
    messages_sent: usize,
    bytes_archived: usize,
}

#[derive(Serialize, JsonSchema)]
struct ToolState {
    breaker: String,
    /// How often it has been run since the server was first asked, retries included.
    attempts: u64,
}

// For every tool; those that need something else say so.
#[sandboxed(timeout_ms = 2_000, backoff_base_ms = 50)]
#[tool_router]
impl Server {
    /// The weather in a city.
    #[tool]
    async fn weather(&self, Parameters(place): Parameters<City>) -> Result<Json<Weather>, ToolError> {
        let answer = self.get(&format!("/weather/{}", place.city)).await?;
        Ok(Json(serde_json::from_slice(&answer)?))
    }

    /// How many visitors the site had in a month.
    #[sandboxed(timeout_ms = 300, max_retries = 1, breaker(threshold = 2, cooldown_ms = 2_000))]
    #[tool]
    async fn visitors(&self, Parameters(Month { month }): Parameters<Month>) -> Result<Json<Visitors>, ToolError> {
        let answer = self.get(&format!("/visitors/{month}")).await?;
        Ok(Json(serde_json::from_slice(&answer)?))
    }

    /// Sends a message.
    #[sandboxed(timeout_ms = 300, idempotent = false)]
    #[tool]
    async fn send(&self, Parameters(Message { text }): Parameters<Message>) -> Result<String, ToolError> {
        let mut outbox = File::options()
            .append(true)
            .create(true)
            .open(self.folder.join("outbox"))
            .await?;
        outbox.write_all(format!("{text}\n").as_bytes()).await?;
        outbox.flush().await?;
        let receipt = self.get("/receipt").await?;
        Ok(String::from_utf8_lossy(&receipt).into_owned())
    }

    /// One line of a note.
    #[tool]
    async fn read_line(&self, Parameters(Line { note, number }): Parameters<Line>) -> Result<String, ToolError> {
        if note != "todo" {
            return Err(ToolError::NoNote(note));
        }
        let text = fs::read_to_string(self.folder.join(note)).await?;
        let lines: Vec<_> = text.lines().collect();
        Ok(lines[number].to_owned())
    }

    /// Rings the bell at the door.
    #[sandboxed(timeout_ms = 300, max_retries = 0)]
    #[tool]
    async fn ring(&self) {
        // The answer does not matter: the tool returns nothing.
        let _ = self.get("/bell").await;
    }

    /// Copies the service's archive, part by part.
    #[sandboxed(timeout_ms = 60_000, max_retries = 0)]
    #[tool]
    async fn archive(&self) -> Result<String, ToolError> {
        let mut file = File::create(self.folder.join("archive")).await?;
        for part in 0..1_000 {
            let bytes = self.get(&format!("/archive/{part}")).await?;
            file.write_all(&bytes).await?;
            file.flush().await?;
        }
        Ok("1,000 parts".to_owned())
    }

    /// Deletes the copy of the archive, if the user agrees.
    #[sandboxed(timeout_ms = 800, max_retries = 1)]
    #[tool]
    async fn delete_archive(&self, peer: Peer<RoleServer>) -> Result<String, ToolError> {
        let archive = self.folder.join("archive");
        let bytes = fs::metadata(&archive).await?.len();
        let question = format!("Delete the copy of the archive ({bytes} bytes)?");
        let consent = peer.elicit::<Consent>(question).await?;
        if !consent.is_some_and(|consent| consent.delete) {
            // An unchecked box is a "no", too.
            return Err(ElicitationError::UserDeclined.into());
        }
        fs::remove_file(archive).await?;
        Ok(format!("deleted {bytes} bytes"))
    }

    /// Signs the guest book.
    // The hints say that to sign twice is more than to sign once: it is not run again.
    #[sandboxed(timeout_ms = 300)]
    #[tool(name = "sign", annotations(destructive_hint = false))]
    async fn sign_guest_book(
        &self,
        Parameters(Guest { name }): Parameters<Guest>,
    ) -> Result<CallToolResult, ToolError> {
        if name.trim().is_empty() {
            // The tool's last word: nothing is wrong with it.
            return Ok(CallToolResult::error(vec![ContentBlock::text("a guest needs a name")]));
        }
        self.get(&format!("/guests/{name}")).await?;
        Ok(CallToolResult::success(vec![ContentBlock::text(format!(
            "{name} has signed"
        ))]))
    }

    /// How the other tools are, and what they have done.
    #[tool]
    async fn status(&self) -> Result<Json<Status>, ToolError> {
        // A file that does not exist yet counts as empty.
        let outbox = fs::read_to_string(self.folder.join("outbox")).await.unwrap_or_default();
        let archive = fs::read(self.folder.join("archive")).await.unwrap_or_default();
        Ok(Json(Status {
            tools: tool_states(),
            messages_sent: outbox.lines().count(),
            bytes_archived: archive.len(),
        }))
    }
}

#[tool_handler]
impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        // Without the second, clients are not told that a tool is withdrawn.
        let capabilities = ServerCapabilities::builder().enable_tools().enable_tool_list_changed();
        ServerConfig::new(capabilities.build())
    }
}

fn tool_states() -> BTreeMap<&'static str, ToolState> {
    let states = tools().into_iter().filter_map(|tool| {
        let state = ToolState {
            breaker: tool.breaker()?.state().to_string(),
            attempts: tool.status().counters.attempts,
        };
        Some((tool.name(), state))
    });
    states.collect()
}

impl Server {
    async fn start() -> Result<Self, Box<dyn Error>> {
        let folder = std::env::temp_dir().join(format!("mcp_server-{}", std::process::id()));
        fs::create_dir(&folder).await?;
        fs::write(folder.join("todo"), "water the plants\ncall the bank\n").await?;
        Ok(Server {
            client: Client::builder(TokioExecutor::new()).build_http(),
            service: service::start().await?,
            folder,
        })
    }

    async fn get(&self, path: &str) -> Result<Bytes, ToolError> {
        let mut request = Request::get(format!("http://{}{path}", self.service));
        if let Some(attempt) = Attempt::current() {
            request = request.header(service::KEY, attempt.call_id().to_string());
        }
        let response = self.client.request(request.body(Empty::new())?).await?;
        if !response.status().is_success() {
            return Err(ToolError::Status(response.status()));
        }
        Ok(response.into_body().collect().await?.to_bytes())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::read(std::env::args().skip(1))?;
    let server = Server::start().await?;
    let folder = server.folder.clone();
    // Standard output belongs to the protocol.
    eprintln!("service at {}, files in {}", server.service, folder.display());
    options.serve(server).await?;
    fs::remove_dir_all(folder).await?;
    Ok(())
}
