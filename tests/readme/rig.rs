//! The tool of a rig agent in `docs/rig.md`, as a whole program.

use rig::rig_tool;
use rig::tool::{PortableTool, ToolExecutionError};
use sandbox_runtime::sandboxed;

/// The weather of the next days in a city.
#[sandboxed(timeout_ms = 2_000)]
#[rig_tool]
async fn forecast(city: String) -> Result<String, ToolExecutionError> {
    Err(ToolExecutionError::network(format!("no line to the station in {city}")))
}

fn main() {
    println!("{}: {}", Forecast::NAME, Forecast.description());
}
