//! What the results of a tool mean, and what is returned for it: what follows from the return type, then what the user says.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Type, parse_quote};

use super::Expansion;
use crate::args::Key;
use crate::item::Shape;
use crate::types::known;

impl Expansion<'_> {
    /// The handler of the return type. What there is to know of a type, the runtime knows; the function knows whether it is a
    /// tool of a server, which can report what the type cannot hold, and whether a function makes what is returned.
    pub(super) fn handler(&self) -> TokenStream {
        let private = self.private(self.return_span);
        // A boxed future may be what `#[tool]` has made of the function.
        let may_be_served = self.item.has_attribute("tool") || matches!(self.shape, Shape::Boxed(_));
        let tool = may_be_served.then(|| quote!(tool));
        let on_failure = self.args.value(Key::OnFailure).map(|_| quote!(; on_failure));
        let returned = self.known();
        quote!(#private::handler!([#tool #on_failure] #returned))
    }

    /// The return type, of which the compiler is asked what it can do. A part that is opaque could be anything, and so could be
    /// taken for all that is asked for: in its place, and in that of a trait object that borrows, stands one of which nothing
    /// is known.
    fn known(&self) -> Type {
        let private = self.private(self.return_span);
        known(self.returned, &parse_quote!(#private::Opaque))
    }

    /// The tool as a call that may have to wait for a retry runs it: what cannot be sent to another thread is not kept.
    pub(super) fn kept(&self, tool: &TokenStream) -> TokenStream {
        let private = self.private(self.return_span);
        if self.is_single_attempt() {
            return quote!(#private::keep_nothing(#tool));
        }
        let returned = self.known();
        quote!(#private::KeepProbe::<#returned>::NEW.__sandboxed_keep(#tool))
    }

    /// The tool with the settings about its results, in an order in which later ones replace what earlier ones say.
    pub(super) fn with_results(&self, tool: &TokenStream) -> TokenStream {
        let private = self.private(self.return_span);
        let value = |name| self.args.value(name);
        let retried = value(Key::RetryIf).map(|is_retryable| quote!(.retry_if(#is_retryable)));
        let ignored = value(Key::IgnoreIf).map(|is_callers_fault| quote!(.ignore_if(#is_callers_fault)));
        let read = match value(Key::Classify) {
            Some(verdict) => quote!(#private::classify(#tool, #verdict)),
            None => quote!(#tool #retried #ignored),
        };
        let returned = value(Key::OnFailure).map(|make| quote!(.on_failure(#make)));
        quote!(#read #returned)
    }
}
