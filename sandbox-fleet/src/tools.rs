//! Which tools take part, and by what replicas know them.

use sandbox_runtime::{CircuitBreaker, ToolHandle, fleet};

/// A tool with its path and its breaker.
pub(crate) type Member = (String, ToolHandle, &'static CircuitBreaker);

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

/// The same of those whose breaker takes part: one of their own.
pub(crate) fn members() -> Vec<Member> {
    let member = |tool: ToolHandle| Some((path(tool), tool, tool.breaker()?));
    let mut members: Vec<_> = fleet::tools().into_iter().filter_map(member).collect();
    members.dedup_by(|(path, ..), (before, ..)| path == before);
    members
}
