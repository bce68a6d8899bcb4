//! Which site and which breaker a call has: mostly those that it was given; in an isolated scope, what stands for them.

use super::{CallState, Controls};
use crate::breaker::CircuitBreaker;
use crate::site::SiteRef;
use crate::testing::StandIn;

impl<S: Controls> CallState<S> {
    /// The annotated function, or what stands for it in an isolated scope.
    #[inline(always)]
    pub(crate) fn site(&self) -> Option<SiteRef> {
        match self.stand_in() {
            None => self.controls.site(),
            Some(stand_in) => stand_in.site,
        }
    }

    /// What admits the attempts: the breaker of the call, or what stands for it.
    #[inline(always)]
    pub(crate) fn breaker(&self) -> &CircuitBreaker {
        match self.stand_in() {
            None => self.controls.breaker(),
            Some(stand_in) => stand_in.breaker,
        }
    }

    #[inline(always)]
    pub(super) fn stand_in(&self) -> Option<&StandIn> {
        self.surroundings()?.stand_in()
    }
}
