//! [`tools`]: every annotated function of the program, and what can be known of it.

#[cfg(feature = "rmcp")]
pub(crate) mod availability;
mod handle;
#[cfg(feature = "keyed")]
mod keyed;
mod status;

use std::fmt::{self, Write};
use std::ops::Deref;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::breaker::CircuitBreaker;
use crate::record::begin_to_record;
use crate::site::SiteRef;
use crate::surroundings::isolation_around;
use crate::testing;

pub use handle::ToolHandle;
#[cfg(feature = "keyed")]
pub use keyed::{KeyedStatus, keyed_breakers};
#[cfg(feature = "keyed")]
pub(crate) use keyed::{ListedMap, list_map};
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
    // A program that asks where it begins has the warning there.
    #[cfg(feature = "faults")]
    crate::faults::of_process();
    begin_to_record();
    Tools(tools_in_order())
}

pub(crate) fn tools_in_order() -> Vec<ToolHandle> {
    let isolation = isolation_around();
    let mut tools: Vec<_> = all_tools().map(|tool| tool.within(isolation.as_deref())).collect();
    tools.sort_by_key(|tool| {
        let place = tool.location();
        (tool.module(), tool.name(), place.file(), place.line(), place.column())
    });
    tools
}

/// The tools of the program: a list, a table for a terminal when displayed, and the [status](ToolHandle::status) of each as data.
#[derive(Debug, Clone)]
pub struct Tools(Vec<ToolHandle>);

impl Tools {
    /// Those of a module and the modules in it, such as `"shop::index"`. There are none if no module has that path.
    #[must_use]
    pub fn within(&self, module: &str) -> Tools {
        Tools(self.0.iter().filter(|tool| tool.is_within(module)).copied().collect())
    }

    /// Switches all of them off, and returns how many they are: see [`ToolHandle::disable`].
    pub fn disable(&self, reason: &str, lasts: Option<Duration>) -> usize {
        self.iter().for_each(|tool| tool.disable(reason, lasts));
        self.len()
    }

    /// Switches all of them on, and returns how many were off.
    pub fn enable(&self) -> usize {
        self.iter().filter(|tool| tool.enable()).count()
    }

    /// Opens the breakers of those that have one of their own, and returns how many they are: see [`ToolHandle::force_open`]. Calls of
    /// the others go on; [`disable`](Self::disable) stops all.
    pub fn force_open(&self) -> usize {
        self.iter().filter(|tool| tool.force_open()).count()
    }

    /// Closes the breakers of those that have one of their own, and returns how many they are: see [`ToolHandle::reset`].
    pub fn reset(&self) -> usize {
        self.iter().filter(|tool| tool.reset()).count()
    }

    /// Lets the breakers of all of them refuse nothing, or refuse again, and returns for how many that is new: see
    /// [`ToolHandle::shadow`].
    pub fn shadow(&self, is_shadow: bool) -> usize {
        self.iter().filter(|tool| tool.shadow(is_shadow)).count()
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
    match named(name) {
        Named::One(tool) => Some(tool),
        Named::Several(_) | Named::Nobody => None,
    }
}

/// What a name is that of.
pub(crate) enum Named {
    One(ToolHandle),
    Several(Vec<ToolHandle>),
    Nobody,
}

/// The function of this name, or of this path.
pub(crate) fn named(name: &str) -> Named {
    let found: Vec<_> = all_tools().filter(|tool| tool.is_named(name)).collect();
    match *found.as_slice() {
        [] => Named::Nobody,
        [only] => Named::One(only.within(isolation_around().as_deref())),
        [..] => Named::Several(found),
    }
}

/// Every function of the program, in no order, also where another site stands for it.
pub(crate) fn all_tools() -> impl Iterator<Item = ToolHandle> {
    inventory::iter::<SiteRef>().map(|site| ToolHandle::from(*site))
}

/// The function that has this breaker for its own, in an isolated scope or outside.
pub(crate) fn tool_of_breaker(breaker: &CircuitBreaker) -> Option<ToolHandle> {
    let has_it = |site: &SiteRef| std::ptr::eq(&site.0.breaker, breaker);
    let site = site_of_breaker(breaker).or_else(|| testing::stand_ins().into_iter().find(has_it))?;
    Some(site.into())
}

/// The site of the function that has this breaker for its own.
pub(crate) fn site_of_breaker(breaker: &CircuitBreaker) -> Option<SiteRef> {
    let mut sites = inventory::iter::<SiteRef>().copied();
    sites.find(|site| std::ptr::eq(&site.0.breaker, breaker))
}
