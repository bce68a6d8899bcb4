//! What surrounds the attempts of a call: its policy, its breaker, its token, and what the tool is called.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ExprClosure};

use super::{Begin, Expansion, mixed_site_at};
use crate::args::{Breaker, Key, is_of_type, is_part_of};
use crate::item::{Receiving, mentions, with_name_for_self};

/// A clone of `self` that has the breaker.
const OWNER: &str = "__sandboxed_owner";

impl Expansion<'_> {
    /// Statements that evaluate what the user names by expressions, once for each call and before the arguments are taken from
    /// the caller. Whatever is locked to find it is free again afterwards.
    pub(super) fn given(&self) -> TokenStream {
        let policy = self.args.value(Key::Policy).map(|policy| {
            let (variable, span) = (self.policy_variable(), mixed_site_at(policy.span()));
            let private = self.private(span);
            quote_spanned!(span=> let #variable = #private::GivenPolicy::given(#policy);)
        });
        let breaker = match self.args.breaker() {
            Breaker::Given(breaker) => Some(self.given_breaker(breaker)),
            Breaker::Own | Breaker::Off => None,
        };
        let token = self.args.value(Key::Cancel).map(|token| {
            let (variable, span) = (self.token_variable(), mixed_site_at(token.span()));
            let private = self.private(span);
            // A method, which finds the token behind references.
            quote_spanned! {span=>
                let #variable = {
                    use #private::Clone as _;
                    #token.clone()
                };
            }
        });
        quote!(#policy #breaker #token)
    }

    /// The breaker, which may be a part of a `self` that attempts own: then it is that of a clone, which stays with the call.
    fn given_breaker(&self, breaker: &Expr) -> TokenStream {
        let (variable, span) = (self.breaker_variable(), mixed_site_at(breaker.span()));
        let private = self.private(span);
        let this = self.item.self_token();
        match this {
            Some(this) if self.receiving == Receiving::Owned && is_part_of(breaker, "self") => {
                let owner = Ident::new(OWNER, this.span);
                let breaker = with_name_for_self(breaker.to_token_stream(), OWNER);
                quote_spanned! {span=>
                    let #owner = #private::Clone::clone(&#this);
                    let #variable = #private::GivenBreaker::given(#breaker);
                }
            }
            // Lent for writing, `self` cannot be borrowed for the breaker as well.
            _ if self.is_lent_as_a_whole() && is_part_of(breaker, "self") => {
                quote_spanned!(span=> let #variable = #private::SharedBreaker::given(#breaker);)
            }
            _ => quote_spanned!(span=> let #variable = #private::GivenBreaker::given(#breaker);),
        }
    }

    /// Tells whether the breaker is a field of a `self` of which attempts borrow others.
    pub(super) fn has_breaker_beside_fields(&self) -> bool {
        let is_of_self = matches!(self.args.breaker(), Breaker::Given(breaker) if is_part_of(breaker, "self"));
        is_of_self && !self.is_lent_as_a_whole()
    }

    fn is_lent_as_a_whole(&self) -> bool {
        match self.receiving {
            Receiving::Borrowed => self.item.uses_whole_self(),
            Receiving::Renamed => true,
            Receiving::Shared | Receiving::Owned => false,
        }
    }

    /// Tells whether an argument stays with the call, so that attempts get clones only: the breaker may be a part of it, or a
    /// function that reads results may name it.
    pub(super) fn stays(&self, argument: &Ident) -> bool {
        let has_breaker =
            matches!(self.args.breaker(), Breaker::Given(breaker) if is_part_of(breaker, &argument.to_string()));
        let is_named = |key| self.args.value(key).is_some_and(|function| names(function, argument));
        has_breaker
            || [Key::RetryIf, Key::IgnoreIf, Key::Classify, Key::OnFailure]
                .into_iter()
                .any(is_named)
    }

    fn policy_variable(&self) -> Ident {
        Ident::new("__sandboxed_policy", Span::mixed_site())
    }

    fn breaker_variable(&self) -> Ident {
        Ident::new("__sandboxed_breaker", Span::mixed_site())
    }

    fn token_variable(&self) -> Ident {
        Ident::new("__sandboxed_token", Span::mixed_site())
    }

    /// Two of the three arguments of a call: policy and breaker.
    pub(super) fn controls(&self) -> TokenStream {
        let private = self.private(self.return_span);
        let policy = match self.args.value(Key::Policy) {
            Some(_) => self.policy_variable().to_token_stream(),
            None => {
                let compiled = &self.compiled;
                quote_spanned!(self.return_span=> #private::CompiledPolicy(#compiled))
            }
        };
        let breaker = match self.args.breaker() {
            Breaker::Own | Breaker::Off => {
                let site = &self.site;
                quote!(&#site.breaker)
            }
            Breaker::Given(_) => {
                let breaker = self.breaker_variable();
                quote!(&*#breaker)
            }
        };
        quote_spanned!(self.return_span=> #policy, #breaker)
    }

    /// The third: the function, what its results mean, and what cancels it.
    pub(super) fn tool(&self, begin: &Begin) -> TokenStream {
        let tool = self.tool_of_any_attempt(begin);
        if self.is_single_attempt() || self.read_parameters().next().is_none() {
            return tool;
        }
        let (private, repeatable) = (self.private(self.return_span), self.repeatable_variable());
        quote_spanned!(self.return_span=> #private::repeated_if(#tool, #repeatable))
    }

    fn tool_of_any_attempt(&self, begin: &Begin) -> TokenStream {
        let private = self.private(self.return_span);
        let (label, handler) = (self.label(), self.handler());
        if !self.has_settings() {
            // One call in place of three, of which each takes the compiler as long as all arguments.
            return match begin {
                Begin::Often(begin) => {
                    let keep = self.keep();
                    quote_spanned!(self.return_span=> #private::Returning::often(#handler, #label, #begin, #keep))
                }
                Begin::Once(begin) => {
                    quote_spanned!(self.return_span=> #private::Returning::once(#handler, #label, #begin))
                }
                Begin::ByCaller => self.set_tool(&label, &handler, begin),
            };
        }
        self.set_tool(&label, &handler, begin)
    }

    /// The tool with the settings about its results, and with what cancels it.
    fn set_tool(&self, label: &TokenStream, handler: &TokenStream, begin: &Begin) -> TokenStream {
        let private = self.private(self.return_span);
        let returned = self.returned;
        let begin = match begin {
            Begin::Often(begin) => quote_spanned!(self.return_span=> #private::attempts(#begin)),
            Begin::Once(begin) => quote_spanned!(self.return_span=> #private::one_attempt(#begin)),
            Begin::ByCaller => quote_spanned!(self.return_span=> #private::attempts_by_caller::<#returned>()),
        };
        let tool = quote_spanned!(self.return_span=> #private::tool(#label, #begin, #handler));
        let tool = self.with_results(&tool);
        let cancel = self.args.value(Key::Cancel).map(|token| {
            let variable = self.token_variable();
            quote_spanned!(mixed_site_at(token.span())=> .cancelled_by(#variable.cancelled()))
        });
        let keep = self.keep();
        quote_spanned!(self.return_span=> #private::Returning::keep(#tool #cancel, #keep))
    }

    fn has_settings(&self) -> bool {
        let keys = [Key::RetryIf, Key::IgnoreIf, Key::Classify, Key::OnFailure, Key::Cancel];
        keys.into_iter().any(|key| self.args.value(key).is_some())
    }

    /// What the tool is called: by its site, or by a constant that a static cannot name.
    fn label(&self) -> TokenStream {
        let private = self.private(self.return_span);
        let compiled = &self.compiled;
        let label = match self.args.breaker() {
            Breaker::Own | Breaker::Off => quote!(SiteLabel),
            Breaker::Given(_) => quote!(SiteLabelBesideBreaker),
        };
        let label = quote_spanned!(self.return_span=> #private::#label(#compiled));
        match self.name_of_type() {
            Some(name) => {
                quote_spanned!(mixed_site_at(name.span())=> #private::NamedLabel(#label, || #private::NameRef(#name)))
            }
            None => label,
        }
    }

    /// A name that is a constant of the type that the method belongs to.
    pub(super) fn name_of_type(&self) -> Option<&Expr> {
        self.args.value(Key::Name).filter(|name| is_of_type(name))
    }
}

/// Tells whether a function names a variable that is none of its own parameters.
fn names(function: &Expr, variable: &Ident) -> bool {
    let is_parameter = |closure: &ExprClosure| {
        closure
            .inputs
            .iter()
            .any(|input| mentions(input.to_token_stream(), variable))
    };
    match function {
        Expr::Closure(closure) if is_parameter(closure) => false,
        other => mentions(other.to_token_stream(), variable),
    }
}
