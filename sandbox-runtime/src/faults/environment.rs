//! The faults that the environment has for all calls of a process.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::plan::Plan;
use super::text::FaultsError;
use crate::gate;

const VARIABLE: &str = "SANDBOXED_FAULTS";

/// The plan of the process; `None` if the environment has none. The gate is open for it from the beginning, and is closed when it turns
/// out that there is nothing behind it.
pub(crate) fn of_process() -> Option<&'static Plan> {
    static READ: OnceLock<Result<Option<Plan>, FaultsError>> = OnceLock::new();
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    if !gate::is_open_for(gate::FAULTS) {
        return None;
    }
    let read = READ.get_or_init(|| read(env::var_os(VARIABLE)));
    // Told once, and after it has been read: who is told may make calls. Relaxed: it orders nothing else.
    if !IS_TOLD.swap(true, Ordering::Relaxed) {
        tell(read);
    }
    match read {
        Ok(Some(plan)) => Some(plan),
        Ok(None) | Err(_) => {
            gate::close(gate::FAULTS);
            None
        }
    }
}

/// A variable that is empty is as good as none.
fn read(variable: Option<OsString>) -> Result<Option<Plan>, FaultsError> {
    match variable.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => text.to_string_lossy().parse().map(|faults| Some(Plan::new(faults))),
    }
}

fn tell(read: &Result<Option<Plan>, FaultsError>) {
    let warning = match read {
        Ok(None) => return,
        Ok(Some(_)) => {
            let text = env::var_os(VARIABLE).unwrap_or_default();
            let text = text.to_string_lossy();
            format!("faults are injected into sandboxed calls, as {VARIABLE} says (`{text}`); unset it to stop that")
        }
        Err(error) => format!("{VARIABLE} is ignored, and no fault is injected: {error}"),
    };
    warn(&warning);
    for (name, near) in read.iter().flatten().flat_map(Plan::unknown_tools) {
        let remedy = near.map_or_else(
            || "the rule concerns tools that are made by hand, or none".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        warn(&format!(
            "in {VARIABLE}: no annotated function is called `{name}`; {remedy}"
        ));
    }
}

/// Tells of names in the plan of a scope that look misspelt. Others may be those of tools that are made by hand.
pub(super) fn tell_misspelt(plan: &Plan) {
    for (name, near) in plan.unknown_tools() {
        if let Some(near) = near {
            warn(&format!(
                "in `Faults`: no annotated function is called `{name}`; did you mean `{near}`?"
            ));
        }
    }
}

/// A program whose stderr is closed goes on without the warning.
fn warn(warning: &str) {
    let _ = writeln!(io::stderr(), "warning: {warning}");
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "sandbox_runtime", "{warning}");
}
