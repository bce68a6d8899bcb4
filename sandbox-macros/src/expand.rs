//! Arguments and function to tokens: one call of `execute_with_controls` in place of the body.

mod constants;
mod results;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use crate::args::{Args, Breaker, Key};
use crate::errors::Errors;
use crate::item::{Argument, Item, Passing, Shape};
use crate::rename::with_stream;

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
    // The server of a tool can report a failure that the tool cannot return. Whether it does, the runtime knows.
    let may_return_nothing = parsed.has_attribute("tool") || args.value(Key::OnFailure).is_some();
    parsed.check(may_return_nothing, &mut errors);
    match parsed.shape() {
        Some((shape, returned)) if errors.is_empty() => Expansion::new(&args, &parsed, &shape, &returned).function(),
        // The function stays, so that its callers have no errors of their own.
        _ => with_errors(item, errors),
    }
}

fn with_errors(item: TokenStream, errors: Errors) -> TokenStream {
    let errors = errors.into_compile_errors();
    quote!(#item #errors)
}

struct Expansion<'a> {
    args: &'a Args,
    item: &'a Item,
    shape: &'a Shape,
    /// What an attempt yields.
    returned: &'a Type,
    /// Most of what is generated stands at the return type's place: what does not fit there concerns the return type.
    // Kept, because to ask a type for its place is to make tokens of it.
    return_span: Span,
    arguments: Vec<Argument>,
    /// `self`, where attempts need a variable of their own for it.
    receiver: Ident,
    policy: Ident,
    /// Whether the policy allows a second attempt.
    retried: Ident,
    /// The static of the function: its name, its place and its breaker.
    site: Ident,
    /// Whether another attempt may follow: the parameter of the function that begins one.
    retry_possible: Ident,
}

impl<'a> Expansion<'a> {
    fn new(args: &'a Args, item: &'a Item, shape: &'a Shape, returned: &'a Type) -> Self {
        let receiver = Ident::new("this", Span::mixed_site());
        // Items have no hygiene, and a variable cannot shadow a constant that the user has: generated names are ones that
        // nobody uses.
        let name = |name| Ident::new(name, Span::mixed_site());
        Expansion {
            args,
            item,
            shape,
            returned,
            return_span: mixed_site_at(returned.span()),
            arguments: item.arguments(&receiver),
            receiver,
            policy: name("__SANDBOXED_POLICY"),
            retried: name("__SANDBOXED_RETRIED"),
            site: name("__SANDBOXED_SITE"),
            retry_possible: name("__sandboxed_retry_possible"),
        }
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
    ///     const POLICY: private::Policy = private::Policy::new().timeout(private::millis(5_000));
    ///     static SITE: private::ToolSite =
    ///         private::ToolSite::new("search", private::module_path!(), POLICY, private::threshold(3));
    ///     let mut slot = private::Some(query);
    ///     private::execute_with_controls(
    ///         private::constant(|| POLICY),
    ///         SITE.breaker(),
    ///         private::tool(
    ///             || private::SiteRef(&SITE),
    ///             move |retry_possible| {
    ///                 let query = private::take_or_clone::<true, _>(&mut slot, retry_possible);
    ///                 async move {
    ///                     if false { return private::returned::<Result<Vec<Hit>, SearchError>>() }
    ///                     let query = query;
    ///                     '_body: { self.client.get(query).await }
    ///                 }
    ///             },
    ///             private::handler!([] Result<Vec<Hit>, SearchError>),
    ///         ),
    ///     )
    ///     .await
    /// }
    /// ```
    ///
    /// Settings that are no literals leave to the compiler what is to be known of them: whether they obey the rules, and
    /// whether there are retries.
    fn function(&self) -> TokenStream {
        let Item {
            attributes,
            visibility,
            inner_attributes,
            ..
        } = self.item;
        let signature = self.item.outer_signature();
        let constants = self.constants();
        let keep = self.fill_slots();
        let call = if self.lends() {
            self.lending_call()
        } else {
            self.closure_call()
        };
        let call = self.with_token(self.with_breaker(quote!(#keep #call)));
        let body = match self.shape {
            Shape::Async => call,
            Shape::Boxed(_) => {
                let private = self.private(Span::mixed_site());
                quote!(#private::Box::pin(async move { #call }))
            }
            Shape::Opaque => quote!(async move { #call }),
        };
        // In the braces that the user wrote: lints about the function then know it as the user's.
        let whole = with_stream(&self.item.body, quote!(#(#inner_attributes)* #constants #body));
        quote!(#(#attributes)* #visibility #signature #whole)
    }

    /// The one module that an expansion names, for messages at `span`.
    fn private(&self, span: Span) -> TokenStream {
        match self.args.runtime() {
            Some(runtime) => quote_spanned!(span=> #runtime::private),
            None => quote_spanned!(span=> ::sandbox_runtime::private),
        }
    }

    /// `call` with a variable for the breaker that it names, where that is not a static of the function's own. It is looked
    /// up before the arguments are taken from the caller.
    fn with_breaker(&self, call: TokenStream) -> TokenStream {
        let Breaker::Given(given) = self.args.breaker() else {
            return call;
        };
        let variable = self.breaker_variable();
        let span = mixed_site_at(given.span());
        let private = self.private(span);
        // `match` keeps temporaries of the expression alive for the call.
        quote_spanned!(span=> match #private::given_breaker(#given) { #variable => { #call } })
    }

    /// `call` with a variable for the cancellation token.
    fn with_token(&self, call: TokenStream) -> TokenStream {
        let Some(token) = self.args.value(Key::Cancel) else {
            return call;
        };
        let variable = self.token_variable();
        let span = mixed_site_at(token.span());
        let private = self.private(span);
        quote_spanned!(span=> match #private::Clone::clone(&#token) { #variable => { #call } })
    }

    fn breaker_variable(&self) -> Ident {
        Ident::new("__sandboxed_breaker", Span::mixed_site())
    }

    fn token_variable(&self) -> Ident {
        Ident::new("__sandboxed_token", Span::mixed_site())
    }

    /// Two of the three arguments of a call: policy and breaker.
    fn controls(&self) -> TokenStream {
        let private = self.private(self.return_span);
        let policy = &self.policy;
        let breaker = match self.args.breaker() {
            Breaker::Own | Breaker::Off => {
                let site = &self.site;
                quote!(#site.breaker())
            }
            Breaker::Given(_) => {
                let breaker = self.breaker_variable();
                quote!(#breaker)
            }
        };
        quote_spanned!(self.return_span=> #private::constant(|| #policy), #breaker)
    }

    /// The third: the function and what its results mean.
    fn tool(&self, function: &TokenStream) -> TokenStream {
        let private = self.private(self.return_span);
        let site = &self.site;
        let tool = match self.args.breaker() {
            Breaker::Own | Breaker::Off => quote!(tool),
            Breaker::Given(_) => quote!(tool_beside_breaker),
        };
        let handler = self.handler();
        let tool = quote_spanned! {self.return_span=>
            #private::#tool(|| #private::SiteRef(&#site), #function, #handler)
        };
        let tool = self.with_results(&tool);
        let cancel = self.args.value(Key::Cancel).map(|token| {
            let variable = self.token_variable();
            quote_spanned!(mixed_site_at(token.span())=> .cancelled_by(#variable.cancelled()))
        });
        quote!(#tool #cancel)
    }

    /// A closure that can be called for every attempt.
    fn closure_call(&self) -> TokenStream {
        let private = self.private(self.return_span);
        let controls = self.controls();
        let take = self.take();
        let attempt = self.attempt();
        let retry_possible = &self.retry_possible;
        let tool = self.tool(&quote_spanned!(self.return_span=> move |#retry_possible| { #take #attempt }));
        quote_spanned!(self.return_span=> #private::execute_with_controls(#controls, #tool).await)
    }

    /// A loop around the same engine, for attempts that borrow one after the other what no closure could lend to them.
    fn lending_call(&self) -> TokenStream {
        let private = self.private(self.return_span);
        let controls = self.controls();
        let take = self.take();
        let attempt = self.attempt();
        let returned = self.returned;
        let tool = self.tool(&quote_spanned!(self.return_span=> #private::ready::<#returned>));
        let retry_possible = &self.retry_possible;
        let call = Ident::new("__sandboxed_call", Span::mixed_site());
        let end = Ident::new("__sandboxed_end", Span::mixed_site());
        quote_spanned! {self.return_span=>
            let mut #call = #private::pin!(#private::call(#controls, #tool));
            loop {
                if let #private::Break(#end) = #call.as_mut().attempt(|#retry_possible| { #take #attempt }).await {
                    break #end;
                }
            }
        }
    }

    /// Whether an argument has to be lent to attempts: with one attempt it can be given away.
    fn lends(&self) -> bool {
        !self.args.is_single_attempt()
            && self
                .arguments
                .iter()
                .any(|argument| argument.passing == Passing::Borrowed)
    }

    fn is_borrowed(&self, argument: &Argument) -> bool {
        self.lends() && argument.passing == Passing::Borrowed
    }

    fn slot(index: usize) -> Ident {
        format_ident!("__sandboxed_argument_{index}", span = Span::mixed_site())
    }

    /// Statements with which the function keeps its arguments.
    fn fill_slots(&self) -> TokenStream {
        let private = self.private(Span::mixed_site());
        if self.arguments.iter().all(|argument| self.is_borrowed(argument)) {
            return TokenStream::new();
        }
        let keep = self.arguments.iter().enumerate().map(|(index, argument)| {
            let Argument { conditions, .. } = argument;
            let slot = Self::slot(index);
            let value = original(argument);
            match self.is_borrowed(argument) {
                true => TokenStream::new(),
                false => quote!(#(#conditions)* let mut #slot = #private::Some(#value);),
            }
        });
        quote!(#(#keep)*)
    }

    /// Statements with which an attempt takes its arguments.
    fn take(&self) -> TokenStream {
        let retry_possible = &self.retry_possible;
        let retried = match self.args.allows_retries() {
            Some(retried) => quote!(#retried),
            None => self.retried.to_token_stream(),
        };
        let take = self.arguments.iter().enumerate().map(|(index, argument)| {
            let Argument { name, conditions, .. } = argument;
            if self.is_borrowed(argument) {
                let value = original(argument);
                return quote!(#(#conditions)* let #name = &mut *#value;);
            }
            let slot = Self::slot(index);
            // At the argument's type: a missing `Clone` concerns that.
            let span = mixed_site_at(argument.span);
            let private = self.private(span);
            let value = quote_spanned! {span=>
                #private::take_or_clone::<#retried, _>(&mut #slot, #retry_possible)
            };
            quote!(#(#conditions)* let #name = #value;)
        });
        quote!(#(#take)*)
    }

    /// Statements within the attempt that make the variables its own, as an `async fn` does with its arguments: a block that
    /// only mentions a part of one, or none, would leave the rest behind and drop it too early.
    fn bind(&self) -> TokenStream {
        let bind = self.arguments.iter().map(|argument| {
            let Argument {
                name,
                mutability,
                conditions,
                lints,
                ..
            } = argument;
            quote!(#(#conditions)* #(#lints)* let #mutability #name = #name;)
        });
        quote!(#(#bind)*)
    }

    /// The future of one attempt.
    fn attempt(&self) -> TokenStream {
        let private = self.private(self.return_span);
        let returned = self.returned;
        let bind = self.bind();
        let body = self.item.attempt_body(&self.receiver);
        // Braces within braces; the label says that they are meant.
        let body = quote_spanned!(self.return_span=> #bind '_body: #body);
        let future = match self.shape {
            Shape::Async => {
                return quote_spanned! {self.return_span=>
                    async move {
                        if false {
                            return #private::returned::<#returned>();
                        }
                        #body
                    }
                };
            }
            Shape::Boxed(future) => quote_spanned!(self.return_span=> move || -> #future { #body }),
            Shape::Opaque => quote_spanned!(self.return_span=> move || { #body }),
        };
        // The whole body is run for every attempt, and a `return` in it leaves this closure.
        quote_spanned!(self.return_span=> async move { (#future)().await })
    }
}

/// What the caller gave for an argument.
fn original(argument: &Argument) -> TokenStream {
    match argument.is_receiver {
        true => quote!(self),
        false => argument.name.to_token_stream(),
    }
}

/// Generated code at the place of code that the user wrote: messages point there, and lints know that nobody wrote it.
fn mixed_site_at(span: Span) -> Span {
    span.resolved_at(Span::mixed_site())
}
