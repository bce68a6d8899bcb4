//! With the hook of `docs/agents.md`, a rig agent shows its model no tool that cannot be had, and a call of it is refused all the
//! same.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use rig::agent::{Agent, AgentBuilder, AgentHook, DispatchAction, DispatchEvent, HookContext};
use rig::effect::EffectKind;
use rig_core::message::{Message, ToolResultContent, UserContent};
use rig_core::rig_tool;
use rig_core::test_utils::{MockCompletionModel, MockTurn};
use rig_core::tool::{PortableTool, ToolExecutionError};
use sandbox_runtime::{sandboxed, tool};
use serde_json::{Value, json};
use tokio::time::advance;

/// Shows the model only the tools that can be had now.
struct WithdrawUnavailable;

impl AgentHook for WithdrawUnavailable {
    async fn on_dispatch(&self, _: &HookContext, event: DispatchEvent<'_>) -> DispatchAction {
        let EffectKind::Completion { request, stream } = event.kind else {
            return DispatchAction::Proceed;
        };
        let (mut request, stream) = (request.clone(), *stream);
        let is_available = |name: &str| sandbox_runtime::tool(name).is_none_or(|tool| tool.is_available());
        request.tools.retain(|tool| is_available(tool.name.as_str()));
        DispatchAction::Patch(EffectKind::Completion { request, stream })
    }
}

#[test]
fn the_documents_have_the_hook_word_for_word() {
    let page = include_str!("../../docs/agents.md").to_owned();
    let module = include_str!("../../sandbox-runtime/src/rig.rs")
        .replace("//! ", "")
        .replace("//!", "");
    for document in [page, module] {
        let mut snippets = document.split("```").filter(|text| text.contains("impl AgentHook"));
        let (_, hook) = snippets.next().unwrap().split_once("\n\n").unwrap();
        assert!(
            include_str!("tools_come_and_go.rs").contains(hook),
            "not in this file:\n{hook}"
        );
        assert_eq!(snippets.next(), None, "one hook a document");
    }
}

static FORECASTS: AtomicU32 = AtomicU32::new(0);

/// The weather of the next days.
#[sandboxed(max_retries = 0, breaker(threshold = 1, cooldown_ms = 30_000))]
#[rig_tool]
async fn forecast() -> Result<String, ToolExecutionError> {
    match FORECASTS.fetch_add(1, Relaxed) {
        0 => Err(ToolExecutionError::network("no line to the station")),
        _ => Ok("rain".to_owned()),
    }
}

/// The usual weather at this time of the year.
#[sandboxed]
#[rig_tool]
async fn almanac() -> Result<String, ToolExecutionError> {
    Ok("17 °C on average".to_owned())
}

fn weather_agent(model: &MockCompletionModel) -> Agent {
    let agent = AgentBuilder::new(model.clone()).add_hook(WithdrawUnavailable);
    agent.tool(Forecast).tool(Almanac).build()
}

fn call(tool: &str) -> MockTurn {
    MockTurn::tool_call(tool, tool, json!({}))
}

async fn run(agent: &Agent) -> String {
    agent
        .prompt("Will it rain?")
        .max_turns(8)
        .await
        .unwrap()
        .output()
        .clone()
}

/// The names that each request of the model had, in the order of the alphabet.
fn shown(model: &MockCompletionModel) -> Vec<Vec<String>> {
    let mut shown = Vec::new();
    for request in model.requests() {
        let mut names: Vec<_> = request.tools.iter().map(|tool| tool.name.to_string()).collect();
        names.sort();
        shown.push(names);
    }
    shown
}

/// The result of a tool that the model read last.
fn last_result(model: &MockCompletionModel) -> String {
    let request = model.requests().pop().unwrap();
    let contents = request.chat_history.iter().flat_map(|message| match message {
        Message::User { content } => content.as_slice(),
        _ => &[],
    });
    let mut results = contents.filter_map(|content| match content {
        UserContent::ToolResult(result) => result.content.first(),
        _ => None,
    });
    match results.next_back() {
        Some(ToolResultContent::Text(text)) => text.text.clone(),
        other => panic!("the model has read no text of a tool: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn while_its_breaker_is_open_a_tool_is_gone() {
    let model = MockCompletionModel::from_turns([
        call("forecast"),
        // Insists on what it does not see any more.
        call("forecast"),
        MockTurn::text("no forecast today"),
        call("forecast"),
        MockTurn::text("rain"),
    ]);
    let agent = weather_agent(&model);
    assert_eq!(run(&agent).await, "no forecast today");
    let both = vec!["almanac".to_owned(), "forecast".to_owned()];
    let one = vec!["almanac".to_owned()];
    assert_eq!(
        shown(&model),
        [both.clone(), one.clone(), one.clone()],
        "its breaker opened in the first turn"
    );
    assert_eq!(
        last_result(&model),
        "`forecast` is unavailable after repeated failures (circuit breaker open) and was not called. Do not call it again \
         for 30 s; go on without it."
    );
    assert_eq!(FORECASTS.load(Relaxed), 1, "a refused call is not made");

    advance(Duration::from_secs(30)).await;
    assert_eq!(run(&agent).await, "rain");
    assert_eq!(
        shown(&model)[3..],
        [both.clone(), both],
        "it may be tried, and is well again"
    );
    assert_eq!((last_result(&model).as_str(), FORECASTS.load(Relaxed)), ("rain", 2));
}

/// When trains leave.
#[sandboxed]
#[rig_tool]
async fn timetable() -> Result<String, ToolExecutionError> {
    Ok("12:00".to_owned())
}

#[tokio::test]
async fn while_an_operator_has_switched_it_off_a_tool_is_gone() {
    let model = MockCompletionModel::from_turns([call("timetable"), MockTurn::text("none"), MockTurn::text("noon")]);
    let agent = AgentBuilder::new(model.clone()).add_hook(WithdrawUnavailable);
    let agent = agent.tool(Timetable).tool(Plain).build();
    tool("timetable").unwrap().disable("the trains are on strike", None);
    assert_eq!(run(&agent).await, "none");
    assert_eq!(
        last_result(&model),
        "`timetable` has been switched off by its operator and was not called: the trains are on strike. Do not call it again; go \
         on without it."
    );
    tool("timetable").unwrap().enable();
    assert_eq!(run(&agent).await, "noon");
    let one = vec!["plain".to_owned()];
    assert_eq!(
        shown(&model),
        [one.clone(), one, vec!["plain".to_owned(), "timetable".to_owned()]]
    );
}

/// Not under the attribute.
#[rig_tool]
async fn plain() -> Result<String, ToolExecutionError> {
    Ok(String::new())
}

/// One of two functions of its name.
#[sandboxed]
#[rig_tool]
async fn ambiguous() -> Result<String, ToolExecutionError> {
    Ok(String::new())
}

mod elsewhere {
    #[sandbox_runtime::sandboxed(name = "ambiguous")]
    pub(super) async fn another() -> Result<String, super::ToolExecutionError> {
        Ok(String::new())
    }
}

/// The attribute does not see its name, because it is a constant.
struct Nameless;

impl PortableTool for Nameless {
    const NAME: &'static str = "nameless";
    type Args = Value;
    type Output = String;
    type Error = ToolExecutionError;

    fn description(&self) -> String {
        String::new()
    }

    fn parameters(&self) -> Value {
        json!({ "type": "object", "properties": {} })
    }

    #[sandboxed(name = Self::NAME)]
    async fn call(&self, _arguments: Value) -> Result<String, ToolExecutionError> {
        Ok(String::new())
    }
}

#[tokio::test]
async fn what_nobody_knows_by_its_name_stays() {
    let model = MockCompletionModel::text("done");
    let agent = AgentBuilder::new(model.clone()).add_hook(WithdrawUnavailable);
    let agent = agent.tool(Plain).tool(Ambiguous).tool(Nameless).build();
    let here = sandbox_runtime::tools();
    let off = here.iter().filter(|tool| ["ambiguous", "call"].contains(&tool.name()));
    off.for_each(|tool| tool.disable("to be missed", None));
    assert!(elsewhere::another().await.is_err(), "they are off");
    assert_eq!(run(&agent).await, "done");
    assert_eq!(shown(&model), [["ambiguous", "nameless", "plain"]]);
}
