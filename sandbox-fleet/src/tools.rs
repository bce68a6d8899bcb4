//! Which tools take part, and by what replicas know them.

use sandbox_runtime::{CircuitBreaker, ToolHandle, fleet};

/// A tool with its path and its breaker.
pub(crate) type Member = (String, ToolHandle, &'static CircuitBreaker);

/// By what replicas know a tool.
pub(crate) fn path(tool: ToolHandle) -> String {
    format!("{}::{}", tool.module(), tool.name())
}

/// The tools that take part, by their paths: those with a breaker of their own. Of several with one path, which are methods of one name,
/// it is the first.
pub(crate) fn members() -> Vec<Member> {
    let mut members: Vec<Member> = Vec::new();
    for tool in fleet::tools() {
        let path = path(tool);
        // They are in order.
        let is_another = members.last().is_none_or(|(last, ..)| *last != path);
        members.extend(
            tool.breaker()
                .filter(|_| is_another)
                .map(|breaker| (path, tool, breaker)),
        );
    }
    members
}
