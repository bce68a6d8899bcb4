//! [`Called`]: what a call is made of, and what stands for that.

use crate::breaker::CircuitBreaker;
use crate::observe::ObservedTool;
use crate::registry::ToolHandle;
use crate::site::SiteRef;
use crate::testing::{Isolation, StandIn};

/// What a call was made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Called<'a> {
    pub(crate) name: &'static str,
    pub(crate) site: Option<SiteRef>,
    pub(crate) breaker: &'a CircuitBreaker,
}

impl Called<'_> {
    /// What stands for its site and its breaker in an isolation.
    pub(super) fn stand_in(self, isolation: &Isolation) -> StandIn {
        isolation.stand_in(self.site, self.breaker)
    }

    /// The tool that observers know.
    pub(super) fn tool(self, stand_in: Option<StandIn>) -> ObservedTool {
        let site = stand_in.map_or(self.site, |stand_in| stand_in.site);
        ObservedTool::new(self.name, site.map(ToolHandle::from))
    }
}
