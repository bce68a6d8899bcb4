//! [`ToolHandle`]: an annotated function: what is known of it, and what an operator may do to it.

use std::fmt;
use std::panic::Location;
#[cfg(feature = "fleet")]
use std::sync::Arc;
use std::time::Duration;

use super::status::{BreakerStatus, Disabled, ToolStatus};
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
use crate::breaker::BreakerPhase;
use crate::breaker::{BreakerState, CircuitBreaker};
#[cfg(feature = "fleet")]
use crate::limits::Limits;
use crate::observe::{Action, operator_acted};
use crate::overrides::Override;
use crate::policy::Policy;
use crate::record::{Record, begin_to_record};
use crate::site::{SiteRef, ToolSite};
use crate::testing::Isolation;
use crate::text::sanitized;

impl From<SiteRef> for ToolHandle {
    fn from(site: SiteRef) -> Self {
        ToolHandle(site.0)
    }
}

/// A function under `#[sandboxed]`.
#[derive(Clone, Copy)]
pub struct ToolHandle(&'static ToolSite);

impl PartialEq for ToolHandle {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for ToolHandle {}

impl ToolHandle {
    /// The name that failures have for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.0.info.name
    }

    /// The path of the module that it stands in.
    #[must_use]
    pub const fn module(&self) -> &'static str {
        self.0.info.module
    }

    /// Where its attribute stands.
    #[must_use]
    pub const fn location(&self) -> &'static Location<'static> {
        self.0.info.location
    }

    /// Its settings as the attribute has them. Of a function with `policy = ..` they are the defaults: what the expression gives is
    /// known in its calls only.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        self.0.info.policy
    }

    pub(crate) fn policy_in_force(&self) -> Option<Policy> {
        if self.is_policy_given() {
            return self.record().last_given_policy();
        }
        let overridden = self.0.steering.policy();
        Some(
            overridden
                .as_ref()
                .map_or(self.policy(), |overridden| overridden.policy),
        )
    }

    /// The limits of its calls.
    #[cfg(feature = "fleet")]
    pub(crate) fn limits(&self) -> &'static Arc<Limits> {
        self.0.breaker.limits()
    }

    /// Tells whether each call brings a policy of its own.
    pub(crate) const fn is_policy_given(&self) -> bool {
        self.0.info.is_policy_given
    }

    /// Its module and its name.
    pub(crate) fn path(&self) -> String {
        format!("{}::{}", self.module(), self.name())
    }

    /// Tells whether it stands in this module, or in one in it.
    pub(crate) fn is_within(&self, module: &str) -> bool {
        let rest = self.module().strip_prefix(module);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }

    /// Tells whether this is its name, or its path.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let module = || name.strip_suffix(self.name())?.strip_suffix("::");
        name == self.name() || module() == Some(self.module())
    }

    /// What stands for it in an isolated scope, if it is asked for in one.
    pub(super) fn within(self, isolation: Option<&Isolation>) -> ToolHandle {
        isolation.map_or(self, |isolation| isolation.site(SiteRef(self.0)).into())
    }

    /// The breaker that the attribute has made for it; `None` with `breaker = off`, and where the attribute names another one, which
    /// its owner has.
    #[must_use]
    pub const fn breaker(&self) -> Option<&'static CircuitBreaker> {
        if self.0.breaker.is_disabled() {
            None
        } else {
            Some(&self.0.breaker)
        }
    }

    /// Switches the tool off: no attempt begins from when this has returned, on any thread, and what runs, runs on. An attempt begins
    /// when it is admitted: one that has been, in the same moment on another thread, takes its first step after it. Calls end with
    /// [`SandboxError::Disabled`](crate::SandboxError::Disabled), and models read `reason`; a call that waits for its next attempt ends
    /// when its delay is over. The breaker learns nothing of it.
    ///
    /// It is over when `lasts` is over, by tokio's clock, or when somebody calls [`enable`](Self::enable); without a time, only then.
    /// No event tells that its time is over. A tool that is off gets the new reason and time.
    ///
    /// ```
    /// # use sandbox_runtime::{sandboxed, tool};
    /// # use std::time::Duration;
    /// #[sandboxed]
    /// async fn search_archive(query: &str) -> Result<String, String> {
    ///     Ok(format!("pages about {query}"))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// tool("search_archive").unwrap().disable("the archive is being moved", Some(Duration::from_secs(600)));
    /// assert_eq!(
    ///     search_archive("cats").await.unwrap_err(),
    ///     "`search_archive` has been switched off by its operator and was not called: the archive is being moved. \
    ///      Do not call it again for 600 s; go on without it.",
    /// );
    /// # }
    /// ```
    pub fn disable(&self, reason: &str, lasts: Option<Duration>) {
        let reason = match reason.trim() {
            "" => "no reason was given",
            reason => reason,
        };
        self.0.steering.switch_off(&sanitized(reason), lasts);
        self.0.breaker.wake_those_who_wait();
        operator_acted(*self, Action::Disabled, Some(reason));
    }

    /// Switches the tool on; `false` if it was.
    pub fn enable(&self) -> bool {
        let was_off = self.0.steering.switch_on();
        if was_off {
            operator_acted(*self, Action::Enabled, None);
        }
        was_off
    }

    /// Opens its breaker until somebody [resets](Self::reset) it: see [`CircuitBreaker::force_open`]. `false` if it has none
    /// of its own.
    pub fn force_open(&self) -> bool {
        self.act_on_breaker(Action::ForcedOpen, CircuitBreaker::force_open)
    }

    /// Closes its breaker and clears its counts: see [`CircuitBreaker::reset`]. `false` if it has none of its own.
    pub fn reset(&self) -> bool {
        self.act_on_breaker(Action::Reset, CircuitBreaker::reset)
    }

    fn act_on_breaker(&self, action: Action, act: fn(&CircuitBreaker)) -> bool {
        let breaker = self.breaker();
        if let Some(breaker) = breaker {
            act(breaker);
            operator_acted(*self, action, None);
        }
        breaker.is_some()
    }

    /// Lets its breaker refuse nothing, or refuse again: to see what settings would do before they do it. In shadow, a breaker counts
    /// and changes its states as ever, observers are told, and [`Counters::overlooked`](crate::Counters::overlooked) counts what it would
    /// have refused.
    ///
    /// The results of attempts that it would have refused do not count. It is so for whatever breaker the calls have that begin an
    /// attempt in this function. `false` if nothing has changed.
    pub fn shadow(&self, is_shadow: bool) -> bool {
        let is_changed = self.0.steering.set_shadow(is_shadow);
        if is_changed {
            let action = if is_shadow {
                Action::Shadowed
            } else {
                Action::Unshadowed
            };
            operator_acted(*self, action, None);
        }
        is_changed
    }

    /// Returns whether the tool can be had now: `false` while an operator has switched it off, or while its [own
    /// breaker](Self::breaker) is open or forced open. It is for agents that show a model only what the model can use; servers of MCP
    /// have `mcp::Sandboxed::withdraw_unavailable` for it.
    ///
    /// A breaker whose cooldown is over lets a few calls try whether the tool is well again. Somebody has to make them, so the tool
    /// is available then. In [shadow](Self::shadow) a breaker refuses nothing. Asking changes nothing and takes no probe slot.
    ///
    /// A call of an available tool may be refused all the same: by a breaker that the attribute names, by that of a key, by the
    /// tool's own while others try it, because too many calls run, because a
    /// dependency has asked to wait, or because the [`Budget`](crate::Budget) of the run is spent.
    ///
    /// ```
    /// # use sandbox_runtime::{sandboxed, tool};
    /// # use std::time::Duration;
    /// #[sandboxed(max_retries = 0, breaker(threshold = 1, cooldown_ms = 30_000))]
    /// async fn search_library(query: &str) -> Result<String, String> {
    ///     Err(format!("no line to the library for {query}"))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// let search = tool("search_library").unwrap();
    /// assert!(search.is_available());
    ///
    /// search_library("cats").await.unwrap_err(); // opens the breaker
    /// assert!(!search.is_available());
    ///
    /// tokio::time::sleep(Duration::from_secs(30)).await;
    /// assert!(search.is_available(), "the next call tries whether it is well again");
    /// # }
    /// ```
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.refusals().next().is_none()
    }

    /// For how long its calls are refused, for each reason that there is; `None` in it until somebody changes that.
    pub(super) fn refusals(&self) -> impl Iterator<Item = Option<Duration>> {
        let steering = &self.0.steering;
        let off = steering.off().map(|off| off.left_ms().map(Duration::from_millis));
        let breaker = self.breaker();
        let refused = match breaker.map(CircuitBreaker::state) {
            Some(BreakerState::Open { retry_after }) => {
                // Whoever leaves out what is not to be had makes no call that would be refused.
                #[cfg(feature = "fleet")]
                breaker.inspect(|breaker| breaker.note_refusal());
                Some(Some(retry_after))
            }
            Some(BreakerState::ForcedOpen) => Some(None),
            Some(BreakerState::Closed | BreakerState::HalfOpen) | None => None,
        };
        off.into_iter().chain(refused.filter(|_| !steering.is_shadow()))
    }

    /// Puts the settings of an operator in force, or those of the attribute again. Tells whether that changes anything.
    pub(crate) fn set_policy(&self, policy: Option<Override>) -> bool {
        let other = policy.as_ref().map_or(self.policy(), |set| set.policy);
        let is_changed = self.0.steering.set_policy(policy);
        // With a policy that each call brings, the next one says how many.
        if let Some(calls) = other.max_concurrent.filter(|_| is_changed && !self.is_policy_given()) {
            self.0.breaker.resize(calls);
        }
        is_changed
    }

    pub(crate) const fn is_served(&self) -> bool {
        self.0.info.is_served
    }

    /// Tells it from all others: several may have one name, and methods of two types one path.
    #[cfg(feature = "metrics")]
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self.0).addr()
    }

    pub(crate) fn record(&self) -> &'static Record {
        &self.0.record
    }

    /// How long its breaker has been in each state, if it has one of its own.
    #[cfg(any(feature = "metrics", feature = "opentelemetry"))]
    pub(crate) fn breaker_times(&self) -> Option<[(BreakerPhase, Duration); 4]> {
        let times = self.record().breaker_times(self.breaker()?.state().into());
        let in_phase = |phase, millis| (phase, Duration::from_millis(millis));
        Some([
            in_phase(BreakerPhase::Closed, times.closed_ms),
            in_phase(BreakerPhase::Open, times.open_ms),
            in_phase(BreakerPhase::HalfOpen, times.half_open_ms),
            in_phase(BreakerPhase::ForcedOpen, times.forced_open_ms),
        ])
    }

    /// How it is now, as data and as a line. Begins to record, as [`tools`](crate::tools) does: an observer has handles without asking for them.
    #[must_use]
    pub fn status(&self) -> ToolStatus {
        begin_to_record();
        let location = self.location();
        ToolStatus {
            name: self.name(),
            module: self.module(),
            file: location.file(),
            line: location.line(),
            policy: self.policy(),
            policy_in_force: self.policy_in_force(),
            breaker: self.breaker().map(|breaker| BreakerStatus::of(breaker, self.record())),
            breaker_map: self.0.breaker_map.get().name(),
            counters: self.record().counters(),
            last_failure: self.record().last_failure(),
            disabled: self.0.steering.off().map(|off| Disabled::of(&off)),
            shadow: self.0.steering.is_shadow(),
            #[cfg(feature = "fleet")]
            fleet: crate::fleet::of(*self),
        }
    }
}

impl fmt::Debug for ToolHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolHandle")
            .field("name", &self.name())
            .field("module", &self.module())
            .finish_non_exhaustive()
    }
}
