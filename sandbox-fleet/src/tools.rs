//! By what do replicas know a tool?

use sandbox_runtime::{ToolHandle, fleet};

/// By what replicas know a tool.
pub(crate) fn path(tool: ToolHandle) -> String {
    format!("{}::{}", tool.module(), tool.name())
}

/// Every tool by its path, in order. Of several with one path, which are methods of one name, it is the first.
pub(crate) fn tools() -> Vec<(String, ToolHandle)> {
    let mut tools: Vec<_> = fleet::tools().into_iter().map(|tool| (path(tool), tool)).collect();
    tools.dedup_by(|(path, _), (before, _)| path == before);
    tools
}
