//! [`tools`]: every annotated function of the program, and what can be known of it.

mod status;

use std::fmt::{self, Write};
use std::ops::Deref;
use std::panic::Location;
use std::time::Duration;

use serde::{Serialize, Serializer};

#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
use crate::breaker::BreakerPhase;
use crate::breaker::CircuitBreaker;
use crate::observe::{Action, operator_acted};
use crate::policy::Policy;
use crate::record::{Record, begin_to_record};
use crate::site::{SiteRef, ToolSite};
use crate::text::sanitized;

pub use status::{BreakerStatus, Disabled, ToolStatus};

inventory::collect!(SiteRef);

/// Every function of the program under `#[sandboxed]`, also before its first call: in the order of their paths.
///
/// From the first call of this or of [`tool`] on, the program records what happens to its tools: see [`ToolStatus`]. What was before
/// is not known: a program that wants to know all calls this where it begins.
///
/// Each is there once, whatever its type parameters. A function of a dependency is there if the linker has kept it: one of a
/// library that nothing in the program refers to may not be. Naming anything of that library keeps all of it.
///
/// ```
/// # use sandbox_runtime::{sandboxed, tools};
/// #[sandboxed(timeout_ms = 2_000)]
/// async fn search_pages(query: String) -> Result<Vec<String>, String> {
///     Ok(vec![query])
/// }
///
/// # fn main() {
/// for tool in tools() {
///     println!("{}", tool.status());
/// }
/// assert_eq!(sandbox_runtime::tool("search_pages").unwrap().name(), "search_pages");
/// # }
/// ```
#[must_use]
pub fn tools() -> Tools {
    begin_to_record();
    let mut tools: Vec<_> = inventory::iter::<SiteRef>().map(|site| ToolHandle(site.0)).collect();
    tools.sort_by_key(|tool| {
        let place = tool.location();
        (tool.module(), tool.name(), place.file(), place.line(), place.column())
    });
    Tools(tools)
}

/// The tools of the program: a list, a table for a terminal when displayed, and the [status](ToolHandle::status) of each as data.
#[derive(Debug, Clone)]
pub struct Tools(Vec<ToolHandle>);

impl Tools {
    /// Those of a module and the modules in it, such as `"shop::index"`.
    #[must_use]
    pub fn within(&self, module: &str) -> Tools {
        let is_within = |tool: &&ToolHandle| {
            let rest = tool.module().strip_prefix(module);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        Tools(self.0.iter().filter(is_within).copied().collect())
    }

    /// Switches all of them off: see [`ToolHandle::disable`].
    pub fn disable(&self, reason: &str, lasts: Option<Duration>) {
        self.iter().for_each(|tool| tool.disable(reason, lasts));
    }

    /// Switches all of them on.
    pub fn enable(&self) {
        for tool in self {
            tool.enable();
        }
    }
}

impl Deref for Tools {
    type Target = [ToolHandle];

    fn deref(&self) -> &[ToolHandle] {
        &self.0
    }
}

impl IntoIterator for Tools {
    type Item = ToolHandle;
    type IntoIter = std::vec::IntoIter<ToolHandle>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Tools {
    type Item = &'a ToolHandle;
    type IntoIter = std::slice::Iter<'a, ToolHandle>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl Serialize for Tools {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ToolHandle::status))
    }
}

impl fmt::Display for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self.0.iter().map(|tool| tool.status().cells()).collect();
        let header = ToolStatus::COLUMNS.map(str::to_owned);
        let rows = || std::iter::once(&header).chain(&rows);
        let width = |column: usize| rows().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<_> = (0..header.len()).map(width).collect();
        let spaces = " ".repeat(widths.iter().max().unwrap_or(&0) + 2);
        for row in rows() {
            let last = row.iter().rposition(|cell| !cell.is_empty()).unwrap_or_default();
            for (cell, width) in row.iter().zip(&widths).take(last) {
                // By hand: a table of a thousand tools takes half as long as with a width in the format.
                f.write_str(cell)?;
                f.write_str(&spaces[..width + 2 - cell.chars().count()])?;
            }
            f.write_str(&row[last])?;
            f.write_char('\n')?;
        }
        Ok(())
    }
}

/// The function of this name, or of this path: `"search"`, or `"shop::index::search"` if several modules have a function of that
/// name. `None` if there is none, or if the name is that of several.
///
/// The name is the one that failures have for the tool; of a name that is a constant of a type, such as `Self::NAME`, only the
/// function's own name is known.
#[must_use]
pub fn tool(name: &str) -> Option<ToolHandle> {
    begin_to_record();
    let is_path_of = |tool: &ToolHandle| {
        let module = name.strip_suffix(tool.name()).and_then(|path| path.strip_suffix("::"));
        module == Some(tool.module())
    };
    let is_meant = |tool: &ToolHandle| tool.name() == name || is_path_of(tool);
    let mut found = inventory::iter::<SiteRef>()
        .map(|site| ToolHandle(site.0))
        .filter(is_meant);
    match (found.next(), found.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// The function that has this breaker for its own.
pub(crate) fn tool_of_breaker(address: usize) -> Option<ToolHandle> {
    let mut sites = inventory::iter::<SiteRef>();
    let site = sites.find(|site| std::ptr::from_ref(&site.0.breaker).addr() == address)?;
    Some(ToolHandle(site.0))
}

impl From<SiteRef> for ToolHandle {
    fn from(site: SiteRef) -> Self {
        ToolHandle(site.0)
    }
}

/// A function under `#[sandboxed]`.
#[derive(Clone, Copy)]
pub struct ToolHandle(&'static ToolSite);

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

    fn policy_in_force(&self) -> Option<Policy> {
        if self.0.info.is_policy_given {
            self.record().last_given_policy()
        } else {
            Some(self.policy())
        }
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

    /// Switches the tool off: no attempt begins from when this has returned, on any thread, and what runs, runs on. Calls end with
    /// [`SandboxError::Disabled`](crate::SandboxError::Disabled), and models read `reason`. The breaker learns nothing of it.
    ///
    /// It is over when `lasts` is over, by tokio's clock, or when somebody calls [`enable`](Self::enable); without a time, only then.
    /// A tool that is off gets the new reason and time.
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
        self.0.switch.off(&sanitized(reason), lasts);
        operator_acted(*self, Action::Disabled, Some(reason));
    }

    /// Switches the tool on; `false` if it was.
    pub fn enable(&self) -> bool {
        let was_off = self.0.switch.on();
        if was_off {
            operator_acted(*self, Action::Enabled, None);
        }
        was_off
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

    /// How it is now, as data and as a line. Begins to record, as [`tools`] does: an observer has handles without asking for them.
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
            counters: self.record().counters(),
            last_failure: self.record().last_failure(),
            disabled: self.0.switch.current().map(|off| Disabled::of(&off)),
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
