//! With the hook of `docs/agents.md`, the model of a rig agent reads once what its run has used up, beside the errors of its tools.

use rig::agent::{AgentBuilder, AgentHook, DispatchAction, DispatchEvent, HookContext};
use rig::effect::EffectKind;
use rig_core::completion::CompletionRequest;
use rig_core::message::Message;
use rig_core::rig_tool;
use rig_core::test_utils::{MockCompletionModel, MockTurn};
use rig_core::tool::ToolExecutionError;
use sandbox_runtime::{Budget, sandboxed};
use serde_json::json;

struct TellOfTheRun;

impl AgentHook for TellOfTheRun {
    async fn on_dispatch(&self, _: &HookContext, event: DispatchEvent<'_>) -> DispatchAction {
        let EffectKind::Completion { request, stream } = event.kind else {
            return DispatchAction::Proceed;
        };
        let (mut request, stream) = (request.clone(), *stream);
        request.chat_history.extend(Budget::notice().map(Message::user));
        DispatchAction::Patch(EffectKind::Completion { request, stream })
    }
}

#[test]
fn the_document_has_the_line_word_for_word() {
    let line = "request.chat_history.extend(Budget::notice().map(Message::user))";
    assert!(
        include_str!("../../docs/agents.md").contains(line),
        "not in docs/agents.md: {line}"
    );
    assert!(include_str!("runs_are_told_that_they_are_over.rs").contains(&format!("        {line};\n")));
}

/// Looks something up.
#[sandboxed(max_retries = 1, backoff_base_ms = 1)]
#[rig_tool]
async fn look_up() -> Result<String, ToolExecutionError> {
    Err(ToolExecutionError::network("no line to the library"))
}

#[tokio::test(start_paused = true)]
async fn the_model_reads_it_once() {
    let call = || MockTurn::tool_call("look_up", "look_up", json!({}));
    let model = MockCompletionModel::from_turns([call(), call(), call(), MockTurn::text("done")]);
    let agent = AgentBuilder::new(model.clone())
        .add_hook(TellOfTheRun)
        .tool(LookUp)
        .build();
    let run = async { agent.prompt("go").max_turns(5).await };
    assert_eq!(Budget::new().retries(1).scope(run).await.unwrap().output(), "done");
    // As the text of whichever message: rig unites those that follow each other.
    let told = "No call that fails will be tried again in this run. Go on without it.";
    let is_told = |request: &CompletionRequest| serde_json::to_string(&request.chat_history).unwrap().contains(told);
    let requests: Vec<_> = model.requests().iter().map(is_told).collect();
    assert_eq!(
        requests,
        [false, false, true, false],
        "after the second call, which had no retry, and once"
    );
}
