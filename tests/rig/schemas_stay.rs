//! A model sees a tool as it would without `#[sandboxed]`: the name, the description, and the schema of the arguments with
//! its descriptions.

use rig_core::completion::ToolDefinition;
use rig_core::tool::tool_definition;

macro_rules! tools {
    ($module:ident: $(#[$above:meta])* rig_tool $(#[$below:meta])*) => {
        mod $module {
            #![allow(unused_imports)]
            use rig_core::rig_tool;
            use rig_core::tool::{ToolContext, ToolExecutionError};
            use sandbox_runtime::sandboxed;

            /// The weather of the next days.
            ///
            /// For cities only.
            $(#[$above])*
            #[rig_tool]
            $(#[$below])*
            async fn described(
                /// As its people write it.
                city: String,
                days: Option<u8>,
                #[rig(context)] context: &mut ToolContext,
            ) -> Result<Vec<String>, ToolExecutionError> {
                context.clear_dispatch_result();
                Ok(vec![city; usize::from(days.unwrap_or(1))])
            }

            $(#[$above])*
            #[rig_tool(
                name = "weather-of",
                description = "The weather of today.",
                params(city = "Or a village."),
                required(city)
            )]
            $(#[$below])*
            async fn named(city: String, mut days: u8) -> Result<String, ToolExecutionError> {
                days += 1;
                Ok(city.repeat(days.into()))
            }

            pub(super) fn definitions() -> [super::ToolDefinition; 2] {
                [super::tool_definition(&Described), super::tool_definition(&Named)]
            }
        }
    };
}

tools!(plain: rig_tool);
tools!(above: #[sandboxed(timeout_ms = 1_000)] rig_tool);
tools!(below: rig_tool #[sandboxed(timeout_ms = 1_000)]);

#[test]
fn above_and_below() {
    let [described, named] = plain::definitions();
    assert_eq!(
        described.description,
        "The weather of the next days.\n\nFor cities only."
    );
    assert_eq!(named.parameters["properties"]["city"]["description"], "Or a village.");
    assert_eq!(above::definitions(), plain::definitions());
    assert_eq!(below::definitions(), plain::definitions());
}
