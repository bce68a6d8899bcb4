//! Arguments and function to tokens: one call of `execute_with_controls` in place of the body.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, Type};

use crate::args::{Args, Breaker};
use crate::errors::Errors;
use crate::item::{Argument, Item};

pub(crate) fn sandboxed(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = Args::parse(args, &mut errors);
    let parsed = match syn::parse2::<Item>(item.clone()) {
        Ok(parsed) => parsed,
        Err(error) => {
            errors.push(error);
            return with_errors(item, errors);
        }
    };
    parsed.check(&mut errors);
    match parsed.returned() {
        Some(returned) if errors.is_empty() => function(&args, &parsed, returned),
        // The function stays, so that its callers have no errors of their own.
        _ => with_errors(item, errors),
    }
}

fn with_errors(item: TokenStream, errors: Errors) -> TokenStream {
    let errors = errors.into_compile_errors();
    quote!(#item #errors)
}

/// Input:
///
/// ```text
/// #[sandboxed(timeout_ms = 5_000, breaker(threshold = 3))]
/// async fn search(&self, query: String) -> Result<Vec<Hit>, SearchError> {
///     self.client.get(query).await
/// }
/// ```
///
/// Output, with `private` for `::sandbox_runtime::private`:
///
/// ```text
/// async fn search(&self, query: String) -> Result<Vec<Hit>, SearchError> {
///     const POLICY: private::Policy = private::valid(private::Policy::new().timeout(private::millis(5_000)));
///     static BREAKER: private::CircuitBreaker = private::CircuitBreaker::new(3);
///     let mut arguments = private::arguments(&POLICY, (query,), |(query,)| Some((private::copy(query)?,)));
///     private::execute_with_controls(&POLICY, &BREAKER, private::Tool::new("search", move || {
///         let (query,) = arguments.take();
///         async move {
///             if false { return private::returned::<Result<Vec<Hit>, SearchError>>() }
///             self.client.get(query).await
///         }
///     }))
///     .await
/// }
/// ```
fn function(args: &Args, item: &Item, returned: &Type) -> TokenStream {
    // Items have no hygiene, and a variable cannot shadow a constant of the user's: generated names are ones that nobody
    // uses.
    let policy_name = Ident::new("__SANDBOXED_POLICY", Span::mixed_site());
    let breaker_name = Ident::new("__SANDBOXED_BREAKER", Span::mixed_site());

    let policy = policy(args);
    let breaker = breaker(&args.breaker);
    let name = item.signature.ident.to_string();
    let (keep, take) = arguments(&policy_name, &item.arguments());

    let Item {
        attributes,
        visibility,
        inner_attributes,
        ..
    } = item;
    let signature = item.outer_signature();

    // Most of what is generated stands at the return type's place: what does not fit there concerns the return type.
    let span = at(returned.span());
    let private = self::private(span);
    let typed = quote_spanned! {span=>
        if false {
            return #private::returned::<#returned>();
        }
    };
    let statements = item.body.stream();
    let mut attempt = Group::new(Delimiter::Brace, quote!(#typed #statements));
    attempt.set_span(item.body.span());
    let call = quote_spanned! {span=>
        #private::execute_with_controls(&#policy_name, &#breaker_name, #private::Tool::new(#name, move || {
            #take
            async move #attempt
        }))
        .await
    };
    quote! {
        #(#attributes)*
        #visibility #signature {
            #(#inner_attributes)*
            const #policy_name: #private::Policy = #policy;
            static #breaker_name: #private::CircuitBreaker = #breaker;
            #keep
            #call
        }
    }
}

/// The one module that an expansion names, for messages at `span`.
fn private(span: Span) -> TokenStream {
    quote_spanned!(span=> ::sandbox_runtime::private)
}

/// Generated code at the place of the user's: messages point there, and lints know that nobody wrote it.
fn at(place: Span) -> Span {
    place.resolved_at(Span::mixed_site())
}

/// The policy as a constant: the runtime's defaults and what the user has set.
fn policy(args: &Args) -> TokenStream {
    let private = private(Span::mixed_site());
    let timeout = args.timeout_ms.as_ref().map(millis).map(|time| quote!(.timeout(#time)));
    let max_retries = args.max_retries.as_ref().map(|count| quote!(.max_retries(#count)));
    let backoff_base = args
        .backoff_base_ms
        .as_ref()
        .map(millis)
        .map(|time| quote!(.backoff_base(#time)));
    // At the time limit, if there is one: the one rule that a policy of these three can break is that it is not zero.
    let place = args.timeout_ms.as_ref().map_or_else(Span::call_site, Spanned::span);
    let valid = {
        let private = self::private(at(place));
        quote_spanned!(at(place)=> #private::valid)
    };
    quote!(#valid(#private::Policy::new() #timeout #max_retries #backoff_base))
}

fn breaker(breaker: &Breaker) -> TokenStream {
    let private = private(Span::mixed_site());
    let made = match &breaker.threshold {
        Some(threshold) => quote!(#private::CircuitBreaker::new(#threshold)),
        None => quote!(#private::breaker()),
    };
    let cooldown = breaker
        .cooldown_ms
        .as_ref()
        .map(millis)
        .map(|time| quote!(.cooldown(#time)));
    quote!(#made #cooldown)
}

fn millis(value: &Expr) -> TokenStream {
    let span = at(value.span());
    let private = private(span);
    quote_spanned!(span=> #private::millis(#value))
}

/// Two statements: the function keeps its arguments, and an attempt takes its own.
fn arguments(policy_name: &Ident, arguments: &[Argument]) -> (TokenStream, TokenStream) {
    if arguments.is_empty() {
        return (TokenStream::new(), TokenStream::new());
    }
    let private = private(Span::mixed_site());
    let kept = Ident::new("__sandboxed_arguments", Span::mixed_site());
    let names: Vec<_> = arguments.iter().map(|argument| &argument.name).collect();
    let mutability = arguments.iter().map(|argument| argument.mutability);
    let originals: Vec<_> = (0..arguments.len())
        .map(|index| format_ident!("__sandboxed_argument_{index}", span = Span::mixed_site()))
        .collect();
    let copies = arguments.iter().zip(&originals).map(|(argument, original)| {
        // At the argument's type: a missing `Clone` concerns that.
        let span = at(argument.span());
        let private = self::private(span);
        quote_spanned!(span=> #private::copy::<{ #private::retries(&#policy_name) }, _>(#original)?)
    });
    let keep = quote! {
        let mut #kept = #private::Arguments::new(
            &#policy_name,
            (#(#names,)*),
            |(#(#originals,)*)| #private::Some((#(#copies,)*)),
        );
    };
    let take = quote!(let (#(#mutability #names,)*) = #kept.take(););
    (keep, take)
}
