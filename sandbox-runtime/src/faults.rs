//! [`Faults`]: faults injected into sandboxed calls, by a plan that tells the same story each time. Feature `faults`, for tests.
//!
//! What does an agent do when its search hangs, when every twentieth answer comes late, when a payment is made and its answer is lost?
//! A plan in a scope finds out, without a change to the tools:
//!
//! ```
//! use sandbox_runtime::faults::{Fault, Faults};
//! use sandbox_runtime::sandboxed;
//! use std::time::Duration;
//!
//! #[sandboxed(timeout_ms = 2_000, max_retries = 2)]
//! async fn search(query: &str) -> Result<String, String> {
//!     Ok(format!("results for {query}"))
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! let faults = Faults::seeded(7)
//!     .on("search", Fault::Hang.first(2))
//!     .everywhere(Fault::Late(Duration::from_millis(500)).share(0.05));
//! let answer = faults.scope(search("rust")).await;
//! assert_eq!(answer.unwrap(), "results for rust", "the third attempt comes through");
//! # }
//! ```
//!
//! # Faults
//!
//! Each is injected into one attempt, and is treated as the real one: by retries, the breaker, records and observers.
//!
//! | | in the environment | what happens |
//! |---|---|---|
//! | [`Fail`](Fault::Fail) | `fail` | The attempt fails with an error that is worth a retry; the tool does not run. |
//! | [`Hang`](Fault::Hang) | `hang` | The attempt reaches its time limit; the tool does not run. |
//! | [`Panic`](Fault::Panic) | `panic` | The attempt ends as if the tool had panicked; the tool does not run. |
//! | [`Late`](Fault::Late) | `late 500ms` | The tool begins after this delay, within the time limit of the attempt. |
//! | [`Refuse`](Fault::Refuse) | `refuse` | The attempt is refused, as by an open breaker; the breaker is not asked. |
//! | [`LoseAnswer`](Fault::LoseAnswer) | `lose_answer` | The tool runs, its answer is dropped, and the attempt reaches its time limit. |
//!
//! A tool that is not [idempotent](crate::Policy::idempotent) is run again after `Fail`, which has certainly done nothing, and not
//! after `Hang`, `Late` or `LoseAnswer`. A call whose last attempt ends with `Fail` has no error of the tool's own: its caller gets
//! [`SandboxError::ExecutionFailed`](crate::SandboxError::ExecutionFailed) with the reason `injected by faults`, and a closure that
//! answers with JSON a result without success.
//!
//! # Rules
//!
//! The first rule that matches an attempt decides. A rule names a tool, by the name that failures have for it or by its path
//! (`shop::index::search`), or concerns all; and it concerns all attempts, a [share](Fault::share) of them, or those at certain
//! [positions](Fault::nth). The shares of several rules add up: after a rule with 20 %, one with another 20 % gets as many.
//!
//! Attempts are counted for each tool and for each scope from 1, in the order in which they are about to begin. One that the breaker
//! refuses by itself is not counted. Whether an attempt is among a share depends on nothing but the seed, the name of the tool and this
//! position: so the same seed tells the same story, whatever other tools do meanwhile.
//!
//! # Scopes
//!
//! A plan concerns the calls inside its scope, which belongs to its task as that of a [`Budget`](crate::Budget) does;
//! [`Budget::inherit`](crate::Budget::inherit) keeps it for a task of its own. Parallel scopes do not see each other. Scopes nest: every
//! plan counts the attempt, and the closest one that has a fault for it decides.
//!
//! # A whole program
//!
//! A program that is built with the feature reads the variable `SANDBOXED_FAULTS` at its first sandboxed call, or when it asks for its
//! [`tools`](crate::tools) before: so a program can be tested that knows nothing of faults.
//!
//! ```text
//! SANDBOXED_FAULTS="seed=7; search: hang 20%; fetch: panic #3; health: none; *: late 500ms 5%"
//! ```
//!
//! The rules are separated by semicolons, and each has a tool or `*`, a colon, a fault or `none`, and, unless it concerns every attempt,
//! a share (`20%`), a position (`#3`) or positions (`#1-2`). Without `seed=`, the seed is 0. [`Faults`] is parsed from the same text. A
//! warning on stderr states that faults are injected; with the feature `tracing`, there is an event at WARN as well. A mistake in the
//! variable is reported in the same way, and then no fault is injected.

mod environment;
mod plan;
mod text;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::surroundings::InScope;

pub(crate) use environment::of_process;
pub use text::FaultsError;

/// What every injected error and panic says.
pub(crate) const REASON: &str = "injected by faults";

/// A plan of faults for the calls in a scope. See [the module](self).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    seed: u64,
    rules: Vec<Rule>,
}

/// What happens to an attempt. See [the table](self#faults).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Fails with an error that is worth a retry.
    Fail,
    /// Reaches its time limit, without a run of the tool.
    Hang,
    /// Ends as if the tool had panicked.
    Panic,
    /// Begins its tool after this delay.
    Late(Duration),
    /// Is refused, as by an open breaker.
    Refuse,
    /// Runs the tool, loses the answer, and reaches its time limit.
    LoseAnswer,
}

/// A fault, and the attempts that it is injected into: all of them, if it is made of a [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injection {
    fault: Fault,
    when: When,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// `None` for all.
    tool: Option<Box<str>>,
    /// `None` for a tool that is spared.
    fault: Option<Fault>,
    when: When,
}

/// The attempts that a rule concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// So many of [`When::ALL`].
    Share(u64),
    /// Those at these positions, both included.
    At(u64, u64),
}

impl Faults {
    /// A plan without rules: nothing is injected. The seed decides which attempts are among a [share](Fault::share).
    #[must_use]
    pub const fn seeded(seed: u64) -> Faults {
        Faults {
            seed,
            rules: Vec::new(),
        }
    }

    /// Injects a fault into attempts of the tool of this name, or of this path, that no rule before this one concerns.
    #[must_use]
    pub fn on(self, tool: &str, fault: impl Into<Injection>) -> Faults {
        let Injection { fault, when } = fault.into();
        self.with(Some(tool), Some(fault), when)
    }

    /// Injects a fault into attempts of all tools that no rule before this one concerns.
    #[must_use]
    pub fn everywhere(self, fault: impl Into<Injection>) -> Faults {
        let Injection { fault, when } = fault.into();
        self.with(None, Some(fault), when)
    }

    /// Spares the tool of this name, or of this path, from all later rules.
    #[must_use]
    pub fn spare(self, tool: &str) -> Faults {
        self.with(Some(tool), None, When::Always)
    }

    fn with(mut self, tool: Option<&str>, fault: Option<Fault>, when: When) -> Faults {
        let tool = tool.map(Box::from);
        self.rules.push(Rule { tool, fault, when });
        self
    }

    /// Runs `run` with these faults in its calls, counted from 1 for each scope. The future is `Send` when `run` is.
    ///
    /// A name in it that no annotated function has, and that is nearly that of one, is told on the standard error output.
    pub fn scope<F: Future>(self, run: F) -> impl Future<Output = F::Output> {
        let plan = plan::Plan::new(self);
        environment::tell_misspelt(&plan);
        InScope::new(move || vec![Arc::new(plan) as _], run)
    }
}

impl Fault {
    /// Injects the fault into this share of the attempts, from 0 to 1: the seed decides which ones. What is less than 0 or no number
    /// counts as 0, and what is more than 1 as 1.
    #[must_use]
    pub fn share(self, share: f64) -> Injection {
        self.when(When::share(share))
    }

    /// Injects the fault into the attempt of the tool at this position in the scope, counted from 1.
    #[must_use]
    pub const fn nth(self, position: u64) -> Injection {
        self.when(When::At(position, position))
    }

    /// Injects the fault into so many attempts of the tool, from the first on.
    #[must_use]
    pub const fn first(self, attempts: u64) -> Injection {
        self.when(When::At(1, attempts))
    }

    const fn when(self, when: When) -> Injection {
        Injection { fault: self, when }
    }
}

impl From<Fault> for Injection {
    fn from(fault: Fault) -> Injection {
        fault.when(When::Always)
    }
}

impl When {
    /// Every attempt, in units of a share: as many as a float counts one by one.
    const ALL: u64 = 1 << f64::MANTISSA_DIGITS;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "from 0 to `ALL`, which a float holds exactly; what is not a number becomes 0"
    )]
    fn share(share: f64) -> When {
        When::Share((share.clamp(0.0, 1.0) * Self::ALL as f64) as u64)
    }
}
