//! [`Repeats`]: calls that have failed again and again with the same arguments.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Mutex;
use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, JsonObject, MetaObject};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::FAILURE;
use super::observer::locked;
use crate::failure::{millis, wait};

/// For how long failures are remembered. Without an end, a tool without arguments could never be called again.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// The most tools of which they are: a client may call what does not exist, by any name.
const MOST_TOOLS: usize = 1_024;

/// The failing calls of one connection.
#[derive(Debug)]
pub(super) struct Repeats {
    /// After so many failures a call is not made again.
    most: u32,
    /// The last call of each tool, if it has failed. Of its arguments, nothing is kept but a hash by a key of this process.
    failed: Mutex<HashMap<String, Failed>>,
    key: RandomState,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    arguments: u64,
    times: u32,
    last: Instant,
}

/// A call among those before it.
#[derive(Debug)]
pub(super) struct Repeated<'a> {
    repeats: &'a Repeats,
    tool: String,
    arguments: u64,
    has_arguments: bool,
}

impl Repeats {
    pub(super) fn new(most: u32) -> Repeats {
        Repeats {
            most: most.max(1),
            failed: Mutex::default(),
            key: RandomState::new(),
        }
    }

    /// Others, for another connection.
    pub(super) fn another(&self) -> Repeats {
        Repeats::new(self.most)
    }

    /// Looks at a call that is about to be made.
    pub(super) fn look_at(&self, call: &CallToolRequestParams) -> Repeated<'_> {
        let mut hasher = self.key.build_hasher();
        // None at all, and an object without any, are the same to a tool.
        let arguments = call.arguments.as_ref().filter(|arguments| !arguments.is_empty());
        if let Some(arguments) = arguments {
            hash_object(arguments, &mut hasher);
        }
        Repeated {
            repeats: self,
            tool: call.name.clone().into_owned(),
            arguments: hasher.finish(),
            has_arguments: arguments.is_some(),
        }
    }
}

impl Repeated<'_> {
    /// The answer to a call that has failed too often to be made again.
    pub(super) fn answer(&self) -> Option<CallToolResponse> {
        let failed = *locked(&self.repeats.failed).get(&self.tool)?;
        let is_too_often = failed.is_of(self.arguments) && failed.times >= self.repeats.most;
        is_too_often.then(|| self.refusal(failed).into())
    }

    fn refusal(&self, failed: Failed) -> CallToolResult {
        let left = millis(REMEMBERED.saturating_sub(failed.last.elapsed()));
        let mut result = CallToolResult::error(vec![ContentBlock::text(self.text(failed, left))]);
        let mut meta = MetaObject::new();
        let data = json!({
            "kind": "repeated_failure",
            "tool": self.tool,
            "attempts": 0,
            "consecutive_failures": failed.times,
            "retry_after_ms": left,
            "may_have_executed": false,
        });
        meta.0.insert(FAILURE.to_owned(), data);
        result.meta = Some(meta);
        result
    }

    fn text(&self, failed: Failed, left: u64) -> String {
        let tool = &self.tool;
        let times = match failed.times {
            1 => String::new(),
            times => format!(" {times} times in a row"),
        };
        if self.has_arguments {
            format!(
                "`{tool}` has failed{times} with exactly these arguments, and was not called again. Change them, or go on without it."
            )
        } else {
            // There is nothing to change, and so only time can help.
            let left = wait(left);
            format!(
                "`{tool}` has failed{times} without arguments, and was not called again. Do not call it like that for {left}; \
                 go on without it."
            )
        }
    }

    /// Remembers how a call that was made has ended, of a tool that `is_read_only` if it says so.
    pub(super) fn ended(self, answer: &Result<CallToolResponse, ErrorData>, is_read_only: bool) {
        let mut all = locked(&self.repeats.failed);
        match outcome(answer) {
            Outcome::Success => {
                all.remove(&self.tool);
                if !is_read_only {
                    let once_more = self.repeats.most - 1;
                    all.values_mut()
                        .for_each(|failed| failed.times = failed.times.min(once_more));
                }
            }
            Outcome::NotMade => {}
            Outcome::Failure => {
                let now = Instant::now();
                let before = all.get(&self.tool).filter(|failed| failed.is_of(self.arguments));
                let times = before.map_or(1, |failed| failed.times.saturating_add(1));
                if all.len() >= MOST_TOOLS && !all.contains_key(&self.tool) {
                    let oldest = all.iter().min_by_key(|(_, failed)| failed.last);
                    let oldest = oldest.map(|(tool, _)| tool.clone());
                    oldest.map(|oldest| all.remove(&oldest));
                }
                let failed = Failed {
                    arguments: self.arguments,
                    times,
                    last: now,
                };
                all.insert(self.tool, failed);
            }
        }
    }
}

impl Failed {
    /// Tells whether these failures are those of a call with these arguments, and are remembered.
    fn is_of(&self, arguments: u64) -> bool {
        self.arguments == arguments && self.last.elapsed() < REMEMBERED
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
    /// The tool has not run, or its client did not want an answer: that says nothing about the arguments.
    NotMade,
}

fn outcome(answer: &Result<CallToolResponse, ErrorData>) -> Outcome {
    match answer {
        Ok(CallToolResponse::Complete(result)) if result.is_error == Some(true) => {
            let failure = result.meta.as_ref().and_then(|meta| meta.0.get(FAILURE));
            let says = |key: &str, value: Value| failure.and_then(|failure| failure.get(key)) == Some(&value);
            match says("attempts", 0.into()) || says("kind", "cancelled".into()) {
                true => Outcome::NotMade,
                false => Outcome::Failure,
            }
        }
        // A task, or a question to the user, that has begun.
        Ok(_) => Outcome::Success,
        Err(_) => Outcome::Failure,
    }
}

/// Hashes a value without the order of its keys.
fn hash_value(value: &Value, hasher: &mut impl Hasher) {
    match value {
        Value::Array(items) => {
            (1_u8, items.len()).hash(hasher);
            items.iter().for_each(|item| hash_value(item, hasher));
        }
        Value::Object(fields) => hash_object(fields, hasher),
        scalar => (3_u8, scalar).hash(hasher),
    }
}

fn hash_object(fields: &JsonObject, hasher: &mut impl Hasher) {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_unstable_by_key(|(key, _)| *key);
    (2_u8, fields.len()).hash(hasher);
    for (key, value) in fields {
        key.hash(hasher);
        hash_value(value, hasher);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(tool: &str, arguments: Value) -> CallToolRequestParams {
        let Value::Object(arguments) = arguments else {
            panic!("arguments are an object");
        };
        CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments)
    }

    fn failure() -> Result<CallToolResponse, ErrorData> {
        Err(ErrorData::internal_error("down", None))
    }

    fn make(repeats: &Repeats, call: &CallToolRequestParams, answer: &Result<CallToolResponse, ErrorData>) -> bool {
        let repeated = repeats.look_at(call);
        let is_made = repeated.answer().is_none();
        if is_made {
            repeated.ended(answer, false);
        }
        is_made
    }

    #[tokio::test(start_paused = true)]
    async fn the_order_of_keys_is_of_no_matter_and_everything_else_is() {
        let repeats = Repeats::new(1);
        let first: Value = serde_json::from_str(r#"{ "a": { "x": 1, "y": [1, 2] }, "b": "2" }"#).unwrap();
        let same: Value = serde_json::from_str(r#"{ "b": "2", "a": { "y": [1, 2], "x": 1 } }"#).unwrap();
        assert!(make(&repeats, &call("t", first.clone()), &failure()));
        assert!(!make(&repeats, &call("t", same), &failure()));
        assert!(make(&repeats, &call("other", first.clone()), &failure()));
        for other in [
            json!({ "a": { "x": 1, "y": [2, 1] }, "b": "2" }),
            json!({ "a": { "x": 1, "y": [1, 2] }, "b": 2 }),
            json!({ "a": { "x": 1, "y": [1, 2] } }),
            json!({ "a": { "x": 1, "y": [1, 2], "b": "2" } }),
            json!({}),
        ] {
            assert!(make(&repeats, &call("t", other.clone()), &failure()), "{other}");
            assert!(
                make(&repeats, &call("t", first.clone()), &failure()),
                "{other} begins a new count"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_forgotten_after_a_success_and_in_time() {
        let repeats = Repeats::new(2);
        let call = call("t", json!({}));
        let success = Ok(CallToolResult::success(Vec::new()).into());
        assert!(make(&repeats, &call, &failure()));
        assert!(make(&repeats, &call, &success));
        assert!(make(&repeats, &call, &failure()));
        assert!(make(&repeats, &call, &failure()));
        assert!(!make(&repeats, &call, &success), "twice in a row");
        tokio::time::advance(REMEMBERED).await;
        assert!(make(&repeats, &call, &failure()));
        assert!(make(&repeats, &call, &failure()), "it counts from one again");
        assert!(!make(&repeats, &call, &failure()));
    }

    /// It may have mended what the others failed at, such as a file that was not there.
    #[tokio::test(start_paused = true)]
    async fn after_a_success_of_another_tool_a_call_is_made_once_more() {
        let repeats = Repeats::new(2);
        let (read, create) = (call("read", json!({})), call("create", json!({})));
        let success = Ok(CallToolResult::success(Vec::new()).into());
        assert!(make(&repeats, &read, &failure()));
        assert!(make(&repeats, &read, &failure()));
        assert!(!make(&repeats, &read, &failure()));
        repeats.look_at(&create).ended(&success, true);
        assert!(!make(&repeats, &read, &failure()), "the other one changes nothing");
        repeats.look_at(&create).ended(&success, false);
        assert!(make(&repeats, &read, &failure()), "once more");
        assert!(!make(&repeats, &read, &success), "and not twice");
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_tools_are_remembered_and_no_more() {
        let repeats = Repeats::new(1);
        for number in 0..3 * MOST_TOOLS {
            assert!(make(&repeats, &call(&number.to_string(), json!({})), &failure()));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(locked(&repeats.failed).len(), MOST_TOOLS);
        let latest = (3 * MOST_TOOLS - 1).to_string();
        assert!(!make(&repeats, &call(&latest, json!({})), &failure()));
    }
}
