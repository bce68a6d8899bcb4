//! How attempts get their arguments, and what they do with them.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Signature;

use super::{Expansion, mixed_site_at};
use crate::item::{Argument, Passing, Receiving, Shape};
use crate::types::nameable;

/// The name of a `self` that may be moved. The compiler's messages show it.
const RENAMED_SELF: &str = "__self";

impl Expansion<'_> {
    /// The arguments that attempts own: with one attempt, all of them; otherwise what the body mentions. A future that the function
    /// returns has nothing else either.
    pub(super) fn passed(&self) -> impl Iterator<Item = &Argument> {
        let all = self.is_single_attempt() && matches!(self.shape, Shape::Async);
        self.arguments
            .iter()
            .filter(move |argument| all || argument.is_mentioned)
    }

    pub(super) fn signature(&self) -> Signature {
        let passed: Vec<_> = self.passed().collect();
        let is_receiver_assigned = self.receiving == Receiving::Owned && !self.is_single_attempt();
        self.item.outer_signature(&passed, is_receiver_assigned)
    }

    fn kept_receiver() -> Ident {
        Ident::new("__sandboxed_kept", Span::mixed_site())
    }

    /// The type of the runtime that knows how attempts can own an argument.
    fn attempts(&self, is_generic: bool, span: Span) -> TokenStream {
        let private = self.private(span);
        match self.args.allows_retries() {
            Some(true) if is_generic => quote_spanned!(span=> #private::RetriedAttempts),
            Some(retried) => quote_spanned!(span=> #private::Attempts<#retried>),
            // The compiler has to find out whether there are retries.
            None => {
                let retried = &self.retried;
                quote_spanned!(span=> #private::Attempts<#retried>)
            }
        }
    }

    /// Whether the expansion has to ask the policy for retries.
    pub(super) fn needs_retried(&self) -> bool {
        let is_cloned = |argument: &Argument| argument.passing == Passing::Cloned;
        self.args.allows_retries().is_none() && (self.receiving == Receiving::Owned || self.passed().any(is_cloned))
    }

    /// The arguments that the function keeps in variables of its own: those of which attempts need clones. Behind one of them also
    /// those that the body does not mention, so that all are dropped in their order; but of a name without `_`, the compiler is
    /// to say that it is not used.
    fn kept_arguments(&self) -> impl DoubleEndedIterator<Item = &Argument> {
        let is_async = matches!(self.shape, Shape::Async);
        let is_cloned = |argument: &&Argument| argument.passing == Passing::Cloned;
        let arguments = self.arguments.iter().filter(is_cloned);
        arguments
            .skip_while(|argument| !argument.is_mentioned)
            .filter(|argument| argument.is_mentioned || is_async && argument.name.to_string().starts_with('_'))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Statements with which the function keeps its arguments.
    pub(super) fn fill_slots(&self) -> TokenStream {
        let private = self.private(Span::mixed_site());
        let keep = self.kept_arguments().map(|argument| {
            let Argument { name, conditions, .. } = argument;
            let slot = slot(argument);
            match argument.is_mentioned {
                true if self.stays(name) => {
                    quote!(#(#conditions)* let mut #slot = #private::Some(#private::Clone::clone(&#name));)
                }
                true if argument.parameters.is_some() => {
                    // Of a request, only the tool that the client has called may read the arguments.
                    let tool = match self.may_be_served() {
                        true => {
                            let name = self.name_in_failures();
                            quote!(#private::Some(#name))
                        }
                        false => quote!(#private::None),
                    };
                    let found = self.found_parameter(argument, &tool);
                    // The pattern stands there a second time.
                    quote!(#(#conditions)* #[allow(unused_variables, unused_mut)] let mut #slot = #found;)
                }
                true => quote!(#(#conditions)* let mut #slot = #private::Some(#name);),
                false => quote!(#(#conditions)* #[allow(clippy::used_underscore_binding)] let #slot = #name;),
            }
        });
        let receiver = (self.receiving == Receiving::Owned).then(|| {
            let kept = Self::kept_receiver();
            quote!(let mut #kept = #private::None;)
        });
        let repeatable = self.repeatable();
        quote!(#receiver #(#keep)* #repeatable)
    }

    /// What attempts get a variable of a parameter from: the variable itself, or what its pattern finds in the whole once more.
    fn found_parameter(&self, argument: &Argument, tool: &TokenStream) -> TokenStream {
        let span = mixed_site_at(argument.span);
        let (private, name) = (self.private(span), &argument.name);
        let whole = argument.parameters.as_ref().map(|parameter| {
            let (pattern, ty) = (&parameter.pat, nameable(&parameter.ty));
            (pattern, ty)
        });
        let Some((pattern, ty)) = whole else {
            return TokenStream::new();
        };
        quote_spanned! {span=>
            #private::parameter::<#ty, _>(&#name).__sandboxed_parameter(
                #tool,
                #name,
                |#pattern| #name,
            )
        }
    }

    /// The parameters that attempts may have to read again.
    pub(super) fn read_parameters(&self) -> impl Iterator<Item = &Argument> {
        self.kept_arguments()
            .filter(|argument| argument.is_mentioned && argument.parameters.is_some() && !self.stays(&argument.name))
    }

    /// Whether a second attempt can have them, known before the first one takes them.
    fn repeatable(&self) -> TokenStream {
        let repeatable = self.repeatable_variable();
        let all = self.read_parameters().map(|argument| {
            let (conditions, slot) = (&argument.conditions, slot(argument));
            quote!(#(#conditions)* let #repeatable = #repeatable && #slot.can_repeat();)
        });
        let all: TokenStream = all.collect();
        match all.is_empty() {
            true => all,
            false => quote!(let #repeatable = true; #all),
        }
    }

    pub(super) fn repeatable_variable(&self) -> Ident {
        Ident::new("__sandboxed_repeatable", Span::mixed_site())
    }

    /// Statements with which a function keeps what its only attempt cannot have: it stays with the call.
    pub(super) fn clone_owners(&self) -> TokenStream {
        let private = self.private(Span::mixed_site());
        let owners = self
            .passed()
            .filter(|argument| argument.is_mentioned && self.stays(&argument.name));
        let clones = owners.map(|argument| {
            let Argument { name, conditions, .. } = argument;
            let slot = slot(argument);
            quote!(#(#conditions)* let #slot = #private::Clone::clone(&#name);)
        });
        clones.collect()
    }

    /// Statements in front of those in a closure that owns what the function keeps: it drops that in the order in which it first
    /// mentions it, and a function its arguments in the reverse order.
    pub(super) fn mention_in_reverse(&self) -> TokenStream {
        if self.kept_arguments().count() < 2 {
            return TokenStream::new();
        }
        let mentions = self.kept_arguments().rev().map(|argument| {
            let Argument { conditions, .. } = argument;
            let slot = slot(argument);
            quote!(#(#conditions)* let _ = &#slot;)
        });
        mentions.collect()
    }

    /// Statements with which an attempt takes its arguments.
    pub(super) fn take(&self) -> TokenStream {
        let take = self.passed().map(|argument| {
            let Argument { name, conditions, .. } = argument;
            let slot = slot(argument);
            match argument.passing {
                Passing::Cloned => {
                    let value = self.taken(&slot, argument);
                    quote!(#(#conditions)* let #slot = #value;)
                }
                Passing::Borrowed => quote!(#(#conditions)* let #slot = &mut *#name;),
                Passing::Copied => TokenStream::new(),
            }
        });
        let receiver = self.take_receiver();
        quote!(#receiver #(#take)*)
    }

    /// At the argument's type: a missing `Clone` concerns that.
    fn taken(&self, slot: &Ident, argument: &Argument) -> TokenStream {
        let span = mixed_site_at(argument.span);
        let mut slot = slot.clone();
        slot.set_span(span);
        let (private, retry_possible) = (self.private(span), &self.retry_possible);
        let value = if argument.parameters.is_some() && !self.stays(&argument.name) {
            let attempts = self.attempts(false, span);
            quote_spanned!(span=> <#attempts as #private::TakeParameter<_, _, _>>::take(&mut #slot, #retry_possible))
        } else {
            let attempts = self.attempts(argument.is_generic, span);
            quote_spanned!(span=> <#attempts as #private::CanOwn<_>>::take_or_clone(&mut #slot, #retry_possible))
        };
        // A block that does not move what it captures owns a value that is `Copy` only by this.
        match self.receiving {
            Receiving::Borrowed => quote_spanned!(span=> #private::Moved(#value)),
            _ => value,
        }
    }

    /// How an attempt gets a `self` of its own.
    fn take_receiver(&self) -> TokenStream {
        let span = mixed_site_at(self.item.receiver_span());
        match self.receiving {
            Receiving::Shared | Receiving::Borrowed => TokenStream::new(),
            Receiving::Owned => {
                let (private, retry_possible) = (self.private(span), &self.retry_possible);
                let attempts = self.attempts(false, span);
                let (this, kept) = (self.item.self_token(), Self::kept_receiver());
                quote_spanned! {span=>
                    <#attempts as #private::CanOwn<_>>::keep(&mut #this, &mut #kept, #retry_possible);
                }
            }
            Receiving::Renamed => {
                let this = self.item.self_token();
                // Where the `self` of the signature stands, so that it is seen wherever that is.
                let name = this.map(|this| Ident::new(RENAMED_SELF, this.span));
                quote!(let #name = &mut *#this;)
            }
        }
    }

    /// The statement that makes `self` that of the next attempt.
    pub(super) fn next_receiver(&self) -> Option<TokenStream> {
        (self.receiving == Receiving::Owned).then(|| {
            let private = self.private(Span::mixed_site());
            let (this, kept) = (self.item.self_token(), Self::kept_receiver());
            quote!(#this = #private::kept_receiver(&mut #kept);)
        })
    }

    /// Statements within the attempt that make the variables its own, as an `async fn` does with its arguments: a block that
    /// only mentions a part of one, or none, would leave the rest behind and drop it too early.
    fn bind(&self) -> TokenStream {
        let is_single = self.is_single_attempt();
        let bind = self.passed().map(|argument| {
            let Argument {
                name,
                mutability,
                conditions,
                lints,
                ..
            } = argument;
            let slot = slot(argument);
            if !argument.is_mentioned && (self.args.mention(name) || self.item.attributes_mention(name)) {
                // It is used, though not here.
                return quote!(#(#conditions)* let #slot = #name;);
            }
            let (value, shadows) = match argument.passing {
                _ if is_single && self.stays(name) => (slot.to_token_stream(), quote!(shadow_unrelated)),
                _ if is_single => (name.to_token_stream(), quote!(shadow_same)),
                Passing::Copied => (name.to_token_stream(), quote!(shadow_same)),
                Passing::Borrowed => (slot.to_token_stream(), quote!(shadow_unrelated)),
                Passing::Cloned if self.receiving == Receiving::Borrowed => {
                    (quote!(#slot.out()), quote!(shadow_unrelated))
                }
                Passing::Cloned => (slot.to_token_stream(), quote!(shadow_unrelated)),
            };
            let underscore = name
                .to_string()
                .starts_with('_')
                .then(|| quote!(, clippy::used_underscore_binding, clippy::no_effect_underscore_binding));
            quote!(#(#conditions)* #(#lints)* #[allow(clippy::#shadows #underscore)] let #mutability #name = #value;)
        });
        let this = self.item.self_token();
        let receiver = match self.receiving {
            // Mentioned as a whole, it is captured as a whole.
            Receiving::Owned => quote!(let _ = &#this;),
            // And as what it is: of a field that is only read, a block would have a shared reference, which another thread
            // could use at the same time.
            Receiving::Borrowed if !is_single && !self.has_breaker_beside_fields() => quote!(let _ = &mut *#this;),
            _ => TokenStream::new(),
        };
        quote!(#receiver #(#bind)*)
    }

    /// The future of one attempt.
    pub(super) fn attempt(&self) -> TokenStream {
        let private = self.private(self.return_span);
        let returned = self.returned;
        let bind = self.bind();
        let is_renamed = self.receiving == Receiving::Renamed && !self.is_single_attempt();
        let body = match is_renamed {
            true => self.item.body_with_name_for_self(RENAMED_SELF),
            // As it was written: a syntax error in it is then reported once.
            false => self.item.body.clone(),
        };
        // Attempts borrow `self` one after the other, where it stands.
        let is_borrowed = self.receiving == Receiving::Borrowed && !self.is_single_attempt();
        let moves = (!is_borrowed).then(|| quote!(move));
        // An arm drops the temporaries of its last expression before the variables that stand around it.
        let body = quote_spanned!(self.return_span=> #bind match () { () => #body });
        match self.shape {
            Shape::Async => quote_spanned! {self.return_span=>
                async #moves {
                    if false {
                        return #private::returned::<#returned>();
                    }
                    #body
                }
            },
            // A `return` in the body leaves this closure.
            Shape::Boxed(future) => {
                quote_spanned!(self.return_span=> #private::boxed(#moves || -> #future { #body }))
            }
            Shape::Opaque => {
                quote_spanned!(self.return_span=> #private::opaque::<#returned, _, _>(#moves || { #body }))
            }
        }
    }
}

/// The variable that holds an argument between the function and an attempt.
fn slot(argument: &Argument) -> Ident {
    format_ident!("__sandboxed_argument_{}", argument.index, span = Span::mixed_site())
}
