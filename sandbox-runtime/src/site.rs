//! [`ToolSite`]: the static of an annotated function: what it is called, where it stands, and its breaker.

use std::panic::Location;

use crate::breaker::{CircuitBreaker, LastOrigin};
use crate::observe::Interest;
use crate::policy::Policy;
use crate::record::Record;
use crate::steering::Steering;

/// An annotated function, for as long as the program runs. There is one for every function, whatever its breaker.
#[derive(Debug)]
pub struct ToolSite {
    /// The breaker of the function's own; disabled where the attribute names another, or none.
    // First: its words are the ones that calls read and write.
    pub breaker: CircuitBreaker,
    pub(crate) interest: Interest,
    pub(crate) breaker_map: LastOrigin,
    pub(crate) record: Record,
    pub(crate) steering: Steering,
    pub(crate) info: ToolInfo,
}

/// What is known of a function when it is compiled.
#[derive(Debug, Clone, Copy)]
pub struct ToolInfo {
    /// The name that failures have for the tool.
    pub name: &'static str,
    /// The path of the module that the function stands in.
    pub module: &'static str,
    /// Where the attribute stands.
    pub location: &'static Location<'static>,
    /// The policy as it was compiled.
    pub policy: Policy,
    /// Whether each call has a policy of its own, so that this one is not the one in force.
    pub is_policy_given: bool,
    /// Whether it is, or may be, the tool of a server, which clients may know by another name.
    pub is_served: bool,
}

impl ToolSite {
    /// The site of the function whose attribute calls this.
    #[track_caller]
    pub const fn new(name: &'static str, module: &'static str, policy: Policy, breaker: CircuitBreaker) -> Self {
        // Constants within are evaluated once, and copied for each tool.
        ToolSite {
            breaker,
            interest: Interest::unknown(),
            breaker_map: LastOrigin::none(),
            record: const { Record::new() },
            steering: const { Steering::new() },
            info: ToolInfo {
                name,
                module,
                location: Location::caller(),
                policy,
                is_policy_given: false,
                is_served: false,
            },
        }
    }

    /// The site of a function whose calls have policies of their own.
    pub const fn with_given_policies(mut self) -> Self {
        self.info.is_policy_given = true;
        self
    }

    /// The site of a function that is, or may be, the tool of a server.
    pub const fn served(mut self) -> Self {
        self.info.is_served = true;
        self
    }

    /// Another site of the same function, to which nothing has happened.
    pub(crate) fn another(&self) -> ToolSite {
        ToolSite {
            breaker: self.breaker.another(),
            interest: Interest::unknown(),
            breaker_map: LastOrigin::none(),
            record: Record::new(),
            steering: Steering::new(),
            info: self.info,
        }
    }

    /// Forgets all that has happened to the function, of which no call may be under way.
    pub(crate) fn forget(&self) {
        self.breaker.forget();
        self.breaker_map.forget();
        self.record.forget();
        self.steering.forget();
    }
}

/// What is constant about an annotated function.
#[derive(Debug, Clone, Copy)]
pub struct Compiled {
    /// The policy of its calls, unless each has one of its own.
    pub policy: Policy,
    /// Its site.
    pub site: SiteRef,
}

/// A site by reference. Its type has no lifetime: with one, even `'static`, the compiler could not tell whether the future of
/// a call is `Send`.
#[derive(Debug, Clone, Copy)]
pub struct SiteRef(pub &'static ToolSite);

impl SiteRef {
    /// Tells whether a call of this function may be that of a client, which may know it by another name.
    #[cfg(feature = "rmcp")]
    pub(crate) fn is_served(self) -> bool {
        self.0.info.is_served
    }
}
