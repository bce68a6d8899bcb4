//! An MCP server for notes: state behind a lock, a router in a field's place, parameters destructured in the signature, answers
//! as text, errors of the protocol, a helper that is no tool, a tool that is not async.

use std::collections::BTreeMap;
use std::sync::Arc;

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, ContentBlock};
use rmcp::{ErrorData, schemars, tool, tool_router};
use sandbox_runtime::sandboxed;
use serde_json::json;
use tokio::sync::RwLock;

use crate::support::{Client, FAILS_TWICE, HANGS, World};

#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
struct NewNote {
    /// Where to find it again.
    title: String,
    #[serde(default)]
    body: Option<String>,
}

#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
struct Title {
    title: String,
}

#[derive(Clone)]
struct NoteServer {
    notes: Arc<RwLock<BTreeMap<String, String>>>,
    disk: World,
}

impl NoteServer {
    fn on(disk: World) -> Self {
        NoteServer {
            notes: Arc::default(),
            disk,
        }
    }
}

#[sandboxed(timeout_ms = 1_000, backoff_base_ms = 10)]
#[tool_router(server_handler)]
impl NoteServer {
    /// Writes a note down.
    #[tool]
    async fn add_note(
        &self,
        Parameters(NewNote { title, body }): Parameters<NewNote>,
    ) -> Result<CallToolResult, ErrorData> {
        self.sync().await?;
        let length = body.as_ref().map_or(0, String::len);
        self.notes.write().await.insert(title.clone(), body.unwrap_or_default());
        Ok(CallToolResult::success(vec![ContentBlock::text(format!(
            "{title}: {length} characters"
        ))]))
    }

    /// Reads a note.
    #[tool(name = "read_note", annotations(read_only_hint = true))]
    async fn read(&self, Parameters(Title { title }): Parameters<Title>) -> Result<String, String> {
        let notes = self.notes.read().await;
        notes
            .get(&title)
            .cloned()
            .ok_or(format!("there is no note called {title:?}"))
    }

    #[tool(description = "How many notes there are")]
    fn count(&self) -> String {
        self.notes
            .try_read()
            .map_or_else(|_| "many".into(), |notes| notes.len().to_string())
    }

    async fn sync(&self) -> Result<(), ErrorData> {
        let synced = self.disk.request().await;
        synced.map_err(|error| ErrorData::internal_error(error.to_string(), None))
    }
}

#[tokio::test(start_paused = true)]
async fn notes_are_written_at_the_third_attempt() {
    let disk = World::with(FAILS_TWICE);
    let client = Client::of(NoteServer::on(disk.clone())).await;
    assert_eq!(client.tools().await, ["add_note", "count", "read_note"]);
    let answer = client.call("add_note", json!({ "title": "milk", "body": "two" })).await;
    assert_eq!(answer, ("milk: 3 characters".into(), false));
    assert_eq!(disk.requests(), 3);
    assert_eq!(client.call("count", json!({})).await, ("1".into(), false));
    assert_eq!(
        client.call("read_note", json!({ "title": "milk" })).await,
        ("two".into(), false)
    );
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_is_reported_in_time() {
    let client = Client::of(NoteServer::on(World::with(HANGS))).await;
    let (text, is_error) = client.call("add_note", json!({ "title": "milk" })).await;
    assert!(is_error);
    assert!(
        text.starts_with("`add_note` timed out after 1 s, in the last of 3 attempts."),
        "{text}"
    );
}
