//! What the tools of the workspace take, answer and fail with. None of the parameters is `Clone`.

#![expect(dead_code, reason = "the compiler does not count what only `Debug` reads")]

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use rmcp::ErrorData;
use rmcp::handler::server::tool::IntoCallToolResult;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock};
use sandbox_runtime::{ErrorVerdict, Failure, FromFailure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::support::World;

/// The store behind all tools. It keeps what it was asked, and answers with that.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    world: World,
    journal: Arc<Mutex<Vec<String>>>,
}

impl Store {
    pub(crate) fn on(world: World) -> Store {
        Store {
            world,
            journal: Arc::default(),
        }
    }

    pub(crate) async fn ask(&self, request: String) -> io::Result<String> {
        self.journal.lock().unwrap().push(request.clone());
        self.world.request().await?;
        Ok(request)
    }

    /// All requests until now, the failed ones too.
    pub(crate) fn journal(&self) -> Vec<String> {
        self.journal.lock().unwrap().clone()
    }
}

/// A part of a list: what is looked for stands beside the page, not within.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Paged<Q> {
    #[serde(flatten)]
    pub(crate) query: Q,
    /// Counted from one.
    #[serde(default = "first_page")]
    page: u32,
    #[serde(default)]
    per_page: Option<u8>,
}

fn first_page() -> u32 {
    1
}

impl<Q> Paged<Q> {
    pub(crate) fn page(&self) -> String {
        format!("page {} by {:?}", self.page, self.per_page)
    }

    pub(crate) fn listing(&self, item: String) -> Listing {
        Listing {
            items: vec![item],
            next_page: Some(self.page + 1),
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Listing {
    items: Vec<String>,
    next_page: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Saved {
    /// Where it is now.
    pub(crate) id: String,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct FilePath {
    /// From the root of the workspace.
    pub(crate) path: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewFile {
    pub(crate) path: String,
    #[serde(alias = "text")]
    pub(crate) content: String,
    #[serde(default)]
    pub(crate) mode: WriteMode,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WriteMode {
    #[default]
    Create,
    Overwrite,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Edits {
    pub(crate) path: String,
    pub(crate) edits: Vec<Edit>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Edit {
    Insert { line: u32, text: String },
    Replace { old: String, new: String },
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Move {
    pub(crate) from: String,
    pub(crate) to: String,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Note {
    pub(crate) title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Tags {
    pub(crate) title: String,
    #[serde(flatten)]
    pub(crate) change: TagChange,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum TagChange {
    AddTags(Vec<String>),
    RemoveTags(Vec<String>),
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct IssueFilter {
    #[serde(default)]
    pub(crate) state: Option<State>,
    #[serde(default)]
    pub(crate) having: Vec<Having>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum State {
    Open,
    Closed,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "value", rename_all = "kebab-case")]
pub(crate) enum Having {
    Label(String),
    AssignedTo(String),
}

/// Of an issue or a pull request.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Number {
    pub(crate) number: u64,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct NewIssue {
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) labels: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct IssueUpdate {
    pub(crate) number: u64,
    #[serde(default)]
    pub(crate) title: Option<String>,
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Comment {
    pub(crate) number: u64,
    pub(crate) body: String,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Review {
    pub(crate) number: u64,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Outcome {
    Approve,
    RequestChanges { reason: String },
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Reviewers {
    pub(crate) number: u64,
    pub(crate) reviewers: Vec<Party>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Party {
    Team { team: String },
    Person(String),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Span {
    pub(crate) starts_at: String,
    pub(crate) ends_at: String,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct NewEvent {
    pub(crate) title: String,
    #[serde(flatten)]
    pub(crate) span: Span,
    #[serde(default)]
    pub(crate) guests: Vec<Party>,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Mail {
    pub(crate) to: Party,
    #[serde(rename = "re")]
    pub(crate) subject: String,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Text {
    pub(crate) text: String,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) value: f64,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Aggregation {
    pub(crate) name: String,
    pub(crate) by: Aggregate,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) enum Aggregate {
    Mean,
    Percentile(u8),
}

/// An error type of the server's own, with one variant for each cause.
#[derive(Debug, thiserror::Error, ErrorVerdict)]
pub(crate) enum WorkspaceError {
    #[error("the store: {0}")]
    Store(#[from] io::Error),
    #[error("{}", .0.for_model())]
    Sandbox(Failure),
}

impl FromFailure for WorkspaceError {
    fn from_failure(failure: Failure) -> Self {
        WorkspaceError::Sandbox(failure)
    }
}

impl IntoCallToolResult for WorkspaceError {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        self.to_string().into_call_tool_result()
    }
}

/// Any error, in a type that rmcp can be told about.
#[derive(Debug)]
pub(crate) struct AppError(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for AppError {
    fn from(error: E) -> Self {
        AppError(error.into())
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl IntoCallToolResult for AppError {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        CallToolResult::error(vec![ContentBlock::text(self.to_string())]).into_call_tool_result()
    }
}

pub(crate) fn success(text: String) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

pub(crate) fn internal(error: io::Error) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

pub(crate) fn text(error: io::Error) -> String {
    error.to_string()
}
