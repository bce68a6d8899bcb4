//! In a server that reports failures, the texts of errors are redacted before they go to the client, whoever has written them.

use rmcp::handler::server::wrapper::Json;
use rmcp::model::{CallToolResult, ContentBlock, ErrorCode};
use rmcp::{ErrorData, tool, tool_router};
use sandbox_runtime::mcp::Sandboxed;
use sandbox_runtime::{sandboxed, text};
use serde_json::json;

use crate::support::{RawClient, error, text as answer};

/// Nobody else's tests have it in a text.
const SECRET: &str = "sk-of-texts-are-redacted";

struct Server;

#[sandboxed(max_retries = 1, backoff_base_ms = 10)]
#[tool_router(server_handler)]
impl Server {
    #[tool]
    async fn answers(&self) -> Result<String, String> {
        Ok(format!("it is {SECRET}"))
    }

    #[tool]
    async fn fails(&self) -> Result<String, String> {
        Err(format!("not with {SECRET}"))
    }

    #[tool]
    async fn marked(&self) -> CallToolResult {
        let mut result = CallToolResult::error(vec![ContentBlock::text(format!("not with {SECRET}"))]);
        result.structured_content = Some(json!({ "keys": [SECRET] }));
        result
    }

    #[tool]
    async fn by_the_protocol(&self) -> Result<Json<u32>, ErrorData> {
        let data = json!({ "with": { "key": SECRET } });
        Err(ErrorData::new(
            ErrorCode::INVALID_PARAMS,
            format!("not with {SECRET}"),
            Some(data),
        ))
    }

    /// Neither sandboxed, because it is not async, nor without secrets.
    #[tool]
    fn at_once(&self) -> Result<String, String> {
        Err(format!("not with {SECRET}"))
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_a_tool_returns() {
    text::redact(|text| text.replace(SECRET, "[key]"));
    let mut client = RawClient::of(|_| Sandboxed::new(Server)).await;
    let mut marked = error("not with [key]");
    marked["structuredContent"] = json!({ "keys": ["[key]"] });
    for (tool, expected) in [
        ("answers", answer(&format!("it is {SECRET}"))),
        ("fails", error("not with [key]")),
        ("marked", marked),
        ("at_once", error("not with [key]")),
    ] {
        client.call(1, tool, json!({})).await;
        let (progress, result) = client.read_until(1).await;
        assert_eq!(result, expected, "{tool}");
        let told = json!(progress).to_string();
        assert!(!told.contains(SECRET), "{tool}: {told}");
        assert_eq!(
            told.contains("failed: not with [key]; the next begins"),
            tool == "fails",
            "{told}"
        );
    }
    client.call(2, "by_the_protocol", json!({})).await;
    let answer = client.read().await;
    assert_eq!(answer["error"]["message"], "not with [key]", "{answer}");
    assert_eq!(answer["error"]["data"], json!({ "with": { "key": "[key]" } }));
}
