//! What tools ask the client: by requests of their own, and by answers that are questions.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use rmcp::handler::server::common::FromContextPart;
use rmcp::handler::server::tool::ToolCallContext;
use rmcp::model::{
    CallToolResponse, CallToolResult, ContentBlock, ElicitRequestParams, GetPromptResponse, InputRequests,
    InputRequiredResult, InputResponses, JsonObject,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

use crate::catalogue::{self, parsed};
use crate::tools::internal;

/// Makes a question.
pub(crate) type Question = fn() -> Value;

pub(crate) const NAME: Question = || elicitation("What is your name?", "name", "string");
pub(crate) const COLOR: Question = || elicitation("What is your favorite color?", "color", "string");
pub(crate) const CONFIRM: Question = || elicitation("Please confirm", "ok", "boolean");
pub(crate) const CONTEXT: Question = || elicitation("What context should the prompt use?", "context", "string");
pub(crate) const CAPITAL: Question = || of_model("What is the capital of France?", 100);
pub(crate) const GREETING: Question = || of_model("Generate a greeting", 50);
pub(crate) const ROOTS: Question = || json!({ "method": "roots/list", "params": {} });

fn elicitation(message: &str, name: &str, kind: &str) -> Value {
    let schema = json!({ "type": "object", "properties": { name: { "type": kind } }, "required": [name] });
    let params = json!({ "mode": "form", "message": message, "requestedSchema": schema });
    json!({ "method": "elicitation/create", "params": params })
}

fn of_model(prompt: &str, max_tokens: u32) -> Value {
    json!({ "method": "sampling/createMessage", "params": sampling(prompt, max_tokens) })
}

pub(crate) fn sampling(prompt: &str, max_tokens: u32) -> Value {
    let content = json!({ "type": "text", "text": prompt });
    json!({ "messages": [{ "role": "user", "content": content }], "maxTokens": max_tokens })
}

/// Asks the user in a request to the client.
pub(crate) async fn ask(
    context: &RequestContext<RoleServer>,
    message: &str,
    properties: Value,
) -> Result<String, ErrorData> {
    let params = ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: message.to_owned(),
        requested_schema: parsed(json!({ "type": "object", "properties": properties }))?,
    };
    let answer = context.peer.create_elicitation(params).await.map_err(internal)?;
    Ok(format!("User response: {}", json!(answer)))
}

pub(crate) fn contact() -> Value {
    json!({
        "username": { "type": "string", "description": "User's response" },
        "email": { "type": "string", "description": "User's email address" },
    })
}

pub(crate) fn defaults() -> Value {
    json!({
        "name": { "type": "string", "default": "John Doe" },
        "age": { "type": "integer", "default": 30 },
        "score": { "type": "number", "default": 95.5 },
        "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
        "verified": { "type": "boolean", "default": true },
    })
}

/// Each way in which the protocol lets a user choose.
pub(crate) fn choices() -> Value {
    let options = ["option1", "option2", "option3"];
    let titled = json!([
        { "const": "value1", "title": "First" },
        { "const": "value2", "title": "Second" },
        { "const": "value3", "title": "Third" },
    ]);
    json!({
        "untitledSingle": { "type": "string", "enum": options },
        "titledSingle": { "type": "string", "oneOf": titled },
        "legacyEnum": { "type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"] },
        "untitledMulti": { "type": "array", "items": { "type": "string", "enum": options } },
        "titledMulti": { "type": "array", "items": { "anyOf": titled } },
    })
}

/// A schema with words of JSON Schema 2020-12 that servers must not lose.
pub(crate) fn contact_schema() -> Arc<JsonObject> {
    let text = json!({ "type": "string" });
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": { "$anchor": "addressDef", "type": "object", "properties": { "street": text, "city": text } },
        },
        "properties": {
            "name": text,
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": text,
            "email": text,
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    });
    Arc::new(rmcp::model::object(schema))
}

/// What a client answers to the questions of an earlier answer, with the state of that, and the round of questions
/// that this is.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    given: InputResponses,
    state: Option<String>,
    round: Option<&'static str>,
}

impl<S> FromContextPart<ToolCallContext<'_, S>> for Answers {
    fn from_context_part(context: &mut ToolCallContext<'_, S>) -> Result<Self, ErrorData> {
        let (given, state) = (context.input_responses.take(), context.request_state.take());
        Ok(Answers::new(given, state))
    }
}

impl Display for Answers {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        json!(self.given).fmt(f)
    }
}

impl Answers {
    pub(crate) fn new(given: Option<InputResponses>, state: Option<String>) -> Self {
        Answers {
            given: given.unwrap_or_default(),
            state,
            round: None,
        }
    }

    /// Tells whether the client's user or model, or the client itself, has answered this.
    pub(crate) fn has(&self, question: &str) -> bool {
        let given = self.given.get(question).unwrap_or(&Value::Null);
        ["content", "roots"].iter().any(|part| !given[part].is_null())
    }

    /// Begins a round. Its name is the state: it carries no data, and so needs no signature.
    pub(crate) fn begin(mut self, round: &'static str) -> Self {
        self.round = Some(round);
        self
    }

    /// Begins a round, or continues it; fails in another.
    pub(crate) fn in_round(self, round: &'static str) -> Result<Self, ErrorData> {
        match self.state.as_deref() {
            Some(other) if other != round => Err(ErrorData::invalid_params("this is no state of the server's", None)),
            _ => Ok(self.begin(round)),
        }
    }

    /// Tells whether this continues a round.
    pub(crate) fn continues(&self, round: &str) -> bool {
        self.state.as_deref() == Some(round)
    }

    /// The questions, if one of them has no answer.
    pub(crate) fn open(&self, questions: &[(&str, Question)]) -> Result<Option<InputRequiredResult>, ErrorData> {
        if questions.iter().all(|(question, _)| self.has(question)) {
            return Ok(None);
        }
        let requests = questions.iter().map(|(name, question)| {
            let question = parsed(question())?;
            Ok(((*name).to_owned(), question))
        });
        let requests: InputRequests = requests.collect::<Result<_, ErrorData>>()?;
        let state = self.round.map(str::to_owned);
        Ok(Some(InputRequiredResult::new(Some(requests), state)))
    }

    /// Answers the call of a tool that has these questions.
    pub(crate) fn of_tool(&self, questions: &[(&str, Question)]) -> Result<CallToolResponse, ErrorData> {
        if let Some(open) = self.open(questions)? {
            return Ok(open.into());
        }
        let text = format!("state-ok, with {self}");
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }

    /// Answers with a prompt that has this question.
    pub(crate) fn of_prompt(&self, question: (&str, Question)) -> Result<GetPromptResponse, ErrorData> {
        match self.open(&[question])? {
            Some(open) => Ok(open.into()),
            None => catalogue::messages(json!([{ "type": "text", "text": self.to_string() }])),
        }
    }
}
