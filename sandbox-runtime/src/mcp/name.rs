//! [`Names`]: what the client calls the tool that it has called, where the function has another name.

use std::borrow::Cow;

use crate::site::SiteRef;

/// The names of a request's tool.
pub(super) struct Names<'a> {
    /// By which the client has called it.
    pub(super) called: &'a str,
    /// Tells whether the server has a tool of that name.
    pub(super) is_tool: &'a (dyn Fn(&str) -> bool + Sync),
}

impl Names<'_> {
    /// Tells whether a function of that name is the tool that the client has called: by its own name, or because the server
    /// knows a function that it serves by no other. The attribute cannot see every name that a server gives: not that of a
    /// `#[tool]` above it, which is gone by then, and none that a router gives when the program runs. A server that does not
    /// tell its tools is asked nothing.
    pub(super) fn is_called(&self, function: &str, site: Option<SiteRef>) -> bool {
        let is_served_by_another_name = || (self.is_tool)(self.called) && !(self.is_tool)(function);
        self.called == function || site.is_some_and(SiteRef::is_served) && is_served_by_another_name()
    }

    /// A text about the function, in which it has the client's name.
    pub(super) fn in_text<'t>(&self, function: &str, text: &'t str) -> Cow<'t, str> {
        if self.called == function {
            return Cow::Borrowed(text);
        }
        Cow::Owned(text.replace(&format!("`{function}`"), &format!("`{}`", self.called)))
    }
}
