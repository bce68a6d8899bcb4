//! What the results of a tool mean, and what is returned for it: what follows from the return type, then what the user says.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ExprClosure, Pat, Type, parse_quote};

use super::{Expansion, mixed_site_at};
use crate::args::{Key, is_word};
use crate::item::Shape;
use crate::types::known;

impl Expansion<'_> {
    /// The handler of the return type. What there is to know of a type, the runtime knows; the function knows whether it is a
    /// tool of a server, which can report what the type cannot hold, and whether a function makes what is returned.
    pub(super) fn handler(&self) -> TokenStream {
        let private = self.private(self.return_span);
        let tool = self.may_be_served().then(|| quote!(tool));
        let on_failure = self.args.value(Key::OnFailure).map(|_| quote!(; on_failure));
        let returned = self.known();
        let handler = quote!(#private::handler!([#tool #on_failure] #returned));
        match self.args.value(Key::IsError) {
            Some(word) if is_word(word, "retry") => {
                quote_spanned!(self.return_span=> #private::RetriedIsError::retried(#handler))
            }
            _ => handler,
        }
    }

    /// Whether the function is, or may be, the tool of a server: a boxed future may be what `#[tool]` has made of it.
    pub(super) fn may_be_served(&self) -> bool {
        self.item.has_attribute("tool") || matches!(self.shape, Shape::Boxed(_))
    }

    /// The return type, of which the compiler is asked what it can do. A part that is opaque could be anything, and so could be
    /// taken for all that is asked for: in its place, and in that of a trait object that borrows, stands one of which nothing
    /// is known.
    fn known(&self) -> Type {
        let private = self.private(self.return_span);
        known(self.returned, &parse_quote!(#private::Opaque))
    }

    /// What a call keeps of an outcome during a delay: nothing that cannot be sent to another thread.
    pub(super) fn keep(&self) -> TokenStream {
        let private = self.private(self.return_span);
        if self.is_single_attempt() {
            return quote!(#private::KeepNothing);
        }
        let known = self.known();
        quote!(#private::KeepProbe::<#known>::NEW.__sandboxed_keep())
    }

    /// The tool with the settings about its results, in an order in which later ones replace what earlier ones say.
    pub(super) fn with_results(&self, tool: &TokenStream) -> TokenStream {
        let private = self.private(self.return_span);
        let value = |name| self.args.value(name).map(called);
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

/// A function by its path, or a closure that states its parameters, within a closure: of one that does not fit the compiler says
/// which types it takes, and nothing of what the runtime requires of functions.
fn called(function: &Expr) -> TokenStream {
    let is_typed = |closure: &ExprClosure| closure.inputs.iter().all(|input| matches!(input, Pat::Type(_)));
    let span = mixed_site_at(function.span());
    match function {
        Expr::Path(_) => quote_spanned!(span=> |argument| #function(argument)),
        Expr::Closure(closure) if is_typed(closure) => quote_spanned!(span=> |argument| (#function)(argument)),
        other => other.to_token_stream(),
    }
}
