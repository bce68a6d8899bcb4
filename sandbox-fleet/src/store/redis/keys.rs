//! What are the keys of a service called?

use super::StoreError;

/// The names of a service's keys: all begin with its prefix.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(service: &str) -> Result<Self, StoreError> {
        // A cluster places a key by what is between its first `{` and the next `}`, if there is something.
        if service.is_empty() || service.contains(['{', '}']) {
            let message =
                format!("`{service}` cannot be the name of a service; give one that is not empty and has no braces");
            return Err(StoreError(message));
        }
        Ok(Keys {
            prefix: format!("sandboxed:1:{{{service}}}:"),
        })
    }

    /// A key that the service has once.
    pub(super) fn one(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A key that each tool has.
    pub(super) fn of(&self, name: &str, tool: &str) -> String {
        format!("{}{name}:{tool}", self.prefix)
    }
}
