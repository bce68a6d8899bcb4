//! [`Observation`]: completes the answer to a request with the failures of the sandboxed calls in it, and redacts it if it is an
//! error.

use rmcp::ErrorData;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, MetaObject};
use serde_json::Value;

use super::name::Names;
use super::{FAILURE, data};
use crate::failure::{Failure, SandboxError};
use crate::text::redacted;

/// What was observed during a request.
#[derive(Debug)]
pub(super) struct Observation {
    /// The failure of the tool that the client called.
    pub(super) own: Option<Failure>,
    /// The latest failures, in the order in which the calls ended.
    pub(super) failures: Vec<Failure>,
    /// A failure that its function could not return.
    pub(super) unreported: Option<Failure>,
}

impl Observation {
    /// The answer as the client gets it.
    pub(super) fn complete(
        &self,
        answer: Result<CallToolResponse, ErrorData>,
        names: Option<&Names<'_>>,
    ) -> Result<CallToolResponse, ErrorData> {
        let mut answer = self.completed(answer, names);
        match &mut answer {
            Ok(CallToolResponse::Complete(result)) if is_error(result) => {
                for content in &mut result.content {
                    if let ContentBlock::Text(content) = content {
                        redact_text(&mut content.text);
                    }
                }
                result.structured_content.iter_mut().for_each(redact_data);
            }
            Err(error) => {
                redact_text(error.message.to_mut());
                error.data.iter_mut().for_each(redact_data);
            }
            Ok(_) => {}
        }
        answer
    }

    /// Completes the answer, if it reports a failure or should.
    fn completed(
        &self,
        answer: Result<CallToolResponse, ErrorData>,
        names: Option<&Names<'_>>,
    ) -> Result<CallToolResponse, ErrorData> {
        if self.failures.is_empty() && self.unreported.is_none() {
            return answer;
        }
        let mut result = match &answer {
            Ok(CallToolResponse::Complete(result)) => result.clone(),
            Err(error) => CallToolResult::error(vec![ContentBlock::text(error.message.clone())]),
            // A task, or a question to the user.
            Ok(_) => return answer,
        };
        let own = self.own.as_ref().filter(|_| is_error(&result));
        if let Some(quoted) = self.quoted_by(&result).filter(|_| own.is_none()) {
            mark(&mut result, quoted);
        }
        for failure in own.into_iter().chain(&self.unreported) {
            add_text(&mut result, failure);
            mark(&mut result, failure);
        }
        if !is_marked(&result) {
            return answer;
        }
        if let (Some(own), Some(names)) = (&self.own, names) {
            rename(&mut result, own, names);
        }
        Ok(result.into())
    }

    /// The failure that a result reports; the last one if there are several.
    fn quoted_by(&self, result: &CallToolResult) -> Option<&Failure> {
        let quoted = |failure: &&Failure| is_only(result, failure) || (is_error(result) && quotes(result, failure));
        self.failures.iter().rfind(quoted)
    }
}

/// Gives the tool that the client has called the client's name.
fn rename(result: &mut CallToolResult, own: &Failure, names: &Names<'_>) {
    for content in &mut result.content {
        if let ContentBlock::Text(content) = content {
            content.text = names.in_text(own.tool, &content.text).into_owned();
        }
    }
    let failure = result.meta.as_mut().and_then(|meta| meta.0.get_mut(FAILURE));
    let tool = failure.and_then(|failure| failure.get_mut("tool"));
    if let Some(tool) = tool.filter(|tool| *tool == own.tool) {
        *tool = names.called.into();
    }
}

fn redact_text(text: &mut String) {
    if let Some(redacted) = redacted(text) {
        *text = redacted;
    }
}

/// Of an object, the values: a client knows its keys.
fn redact_data(data: &mut Value) {
    match data {
        Value::String(text) => redact_text(text),
        Value::Array(items) => items.iter_mut().for_each(redact_data),
        Value::Object(fields) => fields.values_mut().for_each(redact_data),
        _ => {}
    }
}

fn is_error(result: &CallToolResult) -> bool {
    result.is_error == Some(true)
}

fn texts(result: &CallToolResult) -> impl Iterator<Item = &str> {
    let texts = result.content.iter().filter_map(ContentBlock::as_text);
    texts.map(|content| content.text.as_str())
}

/// Tells whether a result is the text for the model and nothing else.
fn is_only(result: &CallToolResult, failure: &Failure) -> bool {
    result.content.len() == 1 && texts(result).eq([failure.for_model()])
}

/// Tells whether the texts of a result contain the failure, in any of its wordings.
fn quotes(result: &CallToolResult, failure: &Failure) -> bool {
    let error = match SandboxError::from(failure.clone()) {
        // Other errors may have the same text.
        SandboxError::Cancelled => None,
        SandboxError::Panicked { message } if message.is_empty() => None,
        error => Some(error.to_string()),
    };
    let ways = [Some(failure.for_model()), Some(failure.to_string()), error];
    ways.iter()
        .flatten()
        .any(|way| texts(result).any(|text| text.contains(way)))
}

/// Adds the text for the model, unless it is there already.
fn add_text(result: &mut CallToolResult, failure: &Failure) {
    let for_model = failure.for_model();
    if !texts(result).any(|text| text.contains(&for_model)) {
        result.content.push(ContentBlock::text(for_model));
    }
}

fn mark(result: &mut CallToolResult, failure: &Failure) {
    result.is_error = Some(true);
    let meta = result.meta.get_or_insert_with(MetaObject::new);
    meta.0.entry(FAILURE).or_insert_with(|| data(failure));
}

fn is_marked(result: &CallToolResult) -> bool {
    result.meta.as_ref().is_some_and(|meta| meta.0.contains_key(FAILURE))
}
