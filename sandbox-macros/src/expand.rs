//! Arguments and function to tokens: one call of `execute_with_controls` in place of the body.

mod attempts;
mod constants;
mod controls;
mod results;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use crate::args::{Args, Key};
use crate::block::ImplBlock;
use crate::errors::Errors;
use crate::item::{Argument, Item, Passing, Receiving, Shape, ToolAttribute, with_stream};

pub(crate) fn sandboxed(args: TokenStream, item: TokenStream) -> TokenStream {
    if let Some(block) = ImplBlock::of(&item) {
        return block.expand(args);
    }
    let mut errors = Errors::default();
    let args = Args::parse(args, &mut errors);
    let mut parsed = match syn::parse2::<Item>(item.clone()) {
        Ok(parsed) => parsed,
        Err(error) => {
            errors.push(error);
            return with_errors(item, errors);
        }
    };
    // The server of a tool can report a failure that the tool cannot return. Whether it does, the runtime knows.
    let may_return_nothing = parsed.has_attribute("tool") || args.value(Key::OnFailure).is_some();
    parsed.check(may_return_nothing, &mut errors);
    args.check_constants(&parsed.arguments(), &mut errors);
    args.check_hints(&parsed.tool_attribute(), &mut errors);
    if !args.is_single_attempt() {
        parsed.check_borrows(&mut errors);
        parsed.check_early_return(&mut errors);
    }
    match parsed.shape() {
        Some((shape, returned)) if errors.is_empty() => {
            if !matches!(shape, Shape::Async) && !args.is_single_attempt() {
                parsed.split_prelude();
            }
            let arguments = parsed.arguments();
            Expansion::new(&args, &parsed, arguments, &shape, &returned).function()
        }
        // The function stays, so that its callers have no errors of their own.
        _ => with_errors(item, errors),
    }
}

fn with_errors(item: TokenStream, errors: Errors) -> TokenStream {
    let errors = errors.into_compile_errors();
    quote!(#item #errors)
}

/// What begins the attempts of a call.
enum Begin {
    /// A closure that is called for each.
    Often(TokenStream),
    /// A closure that is called for the only one.
    Once(TokenStream),
    /// A loop around the call.
    ByCaller,
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
    receiving: Receiving,
    tool_attribute: ToolAttribute,
    policy: Ident,
    /// Whether the policy allows a second attempt.
    retried: Ident,
    /// The static of the function: its name, its place and its breaker.
    site: Ident,
    /// The function that returns policy and site.
    // Not a closure, whose type would hold that of the function around it: this one's name is short, wherever the compiler has
    // to look at the types of a call. That is some four in a hundred of the time to check a crate of tools.
    compiled: Ident,
    /// Whether another attempt may follow: the parameter of the function that begins one.
    retry_possible: Ident,
}

impl<'a> Expansion<'a> {
    fn new(args: &'a Args, item: &'a Item, arguments: Vec<Argument>, shape: &'a Shape, returned: &'a Type) -> Self {
        // Items have no hygiene, and a variable cannot shadow a constant that the user has: generated names are ones that
        // nobody uses.
        let name = |name| Ident::new(name, Span::mixed_site());
        Expansion {
            args,
            item,
            shape,
            returned,
            return_span: mixed_site_at(returned.span()),
            arguments,
            receiving: item.receiving(),
            tool_attribute: item.tool_attribute(),
            policy: name("__SANDBOXED_POLICY"),
            retried: name("__SANDBOXED_RETRIED"),
            site: name("__SANDBOXED_SITE"),
            compiled: name("__sandboxed_compiled"),
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
    ///     fn compiled() -> private::Compiled {
    ///         private::Compiled { policy: POLICY, site: private::SiteRef(&SITE) }
    ///     }
    ///     let mut argument = private::Some(query);
    ///     private::execute_with_controls(
    ///         private::CompiledPolicy(compiled),
    ///         &SITE.breaker,
    ///         private::Returning::often(
    ///             private::handler!([] Result<Vec<Hit>, SearchError>),
    ///             private::SiteLabel(compiled),
    ///             move |retry_possible| {
    ///                 let argument = <private::Attempts<true> as private::CanOwn<_>>::take_or_clone(&mut argument, retry_possible);
    ///                 async move {
    ///                     if false { return private::returned::<Result<Vec<Hit>, SearchError>>() }
    ///                     let query = argument;
    ///                     match () {
    ///                         () => { self.client.get(query).await }
    ///                     }
    ///                 }
    ///             },
    ///             private::KeepProbe::<Result<Vec<Hit>, SearchError>>::NEW.__sandboxed_keep(),
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
            prelude,
            ..
        } = self.item;
        let signature = self.signature();
        let constants = self.constants();
        let given = self.given();
        let items = prelude.as_ref().map(|prelude| &prelude.items);
        let statements = prelude.as_ref().map(|prelude| &prelude.statements);
        let call = self.call();
        // In the braces that the user wrote: lints about the function then know it as the user's.
        let whole = with_stream(
            self.item.braces(),
            quote!(#(#inner_attributes)* #constants #items #given #statements #call),
        );
        quote!(#(#attributes)* #visibility #signature #whole)
    }

    /// The call, as the function returns it.
    fn call(&self) -> TokenStream {
        let private = self.private(Span::mixed_site());
        let (before, keep, call) = match (self.is_single_attempt(), self.lends()) {
            (true, _) => self.single_call(),
            (false, false) => (TokenStream::new(), self.fill_slots(), self.closure_call()),
            (false, true) => (TokenStream::new(), self.fill_slots(), self.lending_call()),
        };
        // Nothing of the arguments is taken in front of such a block: other attributes read them at its beginning.
        match self.shape {
            Shape::Async => quote!(#before #keep #call),
            Shape::Boxed(_) => quote!(#before #private::Box::pin(async move { #keep #call })),
            Shape::Opaque => quote!(#before async move { #keep #call }),
        }
    }

    /// The one attempt, which owns all arguments: what is done at the call, what is done before the attempt, and the attempt. A
    /// future that the function returns after other statements is made when it is called.
    fn single_call(&self) -> (TokenStream, TokenStream, TokenStream) {
        let (owners, attempt) = (self.clone_owners(), self.attempt());
        if matches!(self.shape, Shape::Async) || !self.item.has_prelude() {
            let begin = quote_spanned!(self.return_span=> move || #attempt);
            return (TokenStream::new(), owners, self.execute(&Begin::Once(begin)));
        }
        let future = Ident::new("__sandboxed_future", Span::mixed_site());
        let begin = quote_spanned!(self.return_span=> move || #future);
        (
            quote!(#owners let #future = #attempt;),
            TokenStream::new(),
            self.execute(&Begin::Once(begin)),
        )
    }

    /// A closure that can be called for every attempt.
    fn closure_call(&self) -> TokenStream {
        let mention = self.mention_in_reverse();
        let take = self.take();
        let attempt = self.attempt();
        let retry_possible = &self.retry_possible;
        let begin = quote_spanned!(self.return_span=> move |#retry_possible| { #mention #take #attempt });
        self.execute(&Begin::Often(begin))
    }

    fn execute(&self, begin: &Begin) -> TokenStream {
        let private = self.private(self.return_span);
        let controls = self.controls();
        let tool = self.tool(begin);
        quote_spanned!(self.return_span=> #private::execute_with_controls(#controls, #tool).await)
    }

    /// A loop around the same engine, for attempts that borrow one after the other what no closure could lend to them, or that
    /// need a `self` of their own.
    fn lending_call(&self) -> TokenStream {
        let private = self.private(self.return_span);
        let controls = self.controls();
        let take = self.take();
        let attempt = self.attempt();
        let tool = self.tool(&Begin::ByCaller);
        let retry_possible = &self.retry_possible;
        let call = Ident::new("__sandboxed_call", Span::mixed_site());
        let end = Ident::new("__sandboxed_end", Span::mixed_site());
        let next_receiver = self.next_receiver();
        quote_spanned! {self.return_span=>
            let mut #call = #private::pin!(#private::call(#controls, #tool));
            loop {
                if let #private::Break(#end) = #call.as_mut().attempt(|#retry_possible| { #take #attempt }).await {
                    break #end;
                }
                #next_receiver
            }
        }
    }

    /// The one module that an expansion names, for messages at `span`.
    fn private(&self, span: Span) -> TokenStream {
        match self.args.runtime() {
            Some(runtime) => quote_spanned!(span=> #runtime::private),
            None => quote_spanned!(span=> ::sandbox_runtime::private),
        }
    }

    fn is_single_attempt(&self) -> bool {
        self.args.is_single_attempt()
    }

    /// Whether something has to be lent to attempts.
    fn lends(&self) -> bool {
        let is_lent = |argument: &Argument| argument.passing == Passing::Borrowed;
        !self.is_single_attempt() && (self.receiving != Receiving::Shared || self.passed().any(is_lent))
    }
}

/// Generated code at the place of code that the user wrote: messages point there, and lints know that nobody wrote it.
fn mixed_site_at(span: Span) -> Span {
    span.resolved_at(Span::mixed_site())
}
