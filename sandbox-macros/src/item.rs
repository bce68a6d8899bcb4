//! [`Item`]: the function under the attribute, its signature parsed tightly and its body left as tokens, so that half-typed
//! code keeps its own errors.

mod arguments;
mod captures;
mod prelude;
mod tool_attribute;
mod uses;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::token::Paren;
use syn::{Attribute, ReturnType, Safety, Signature, Token, Type, TypeTuple, Visibility};

use crate::errors::Errors;
use crate::types::{ReturnedFuture, name_of_future, nameable, returned_future, without_lifetimes};
use prelude::Prelude;

pub(crate) use arguments::{Argument, Passing, Receiving};
pub(crate) use tool_attribute::ToolAttribute;
pub(crate) use uses::{mentions, with_name_for_self, with_stream};

pub(crate) struct Item {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    /// `#![..]` at the top of the body.
    pub(crate) inner_attributes: Vec<Attribute>,
    /// The body without them, and without the prelude.
    pub(crate) body: Group,
    /// What is done before an attempt, once.
    pub(crate) prelude: Option<Prelude>,
}

/// What the function returns, and how.
pub(crate) enum Shape {
    /// `async fn .. -> R`
    Async,
    /// `fn .. -> Pin<Box<dyn Future<Output = R>>>`; with the type as an attempt can name it.
    Boxed(TokenStream),
    /// `fn .. -> impl Future<Output = R>`
    Opaque,
}

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        if !is_function(input) {
            let message = "`#[sandboxed]` annotates an async function with a body, or an `impl` block; put it on each tool function instead";
            return Err(input.error(message));
        }
        let signature: Signature = input.parse()?;
        let body = match input.parse()? {
            TokenTree::Group(body) => without_invisible_group(body),
            other => {
                let message = "`#[sandboxed]` needs a body to run; put it on the implementation instead";
                return Err(syn::Error::new(other.span(), message));
            }
        };
        let (inner_attributes, statements) = split_body.parse2(body.stream())?;
        let body = if inner_attributes.is_empty() {
            body
        } else {
            with_stream(&body, statements)
        };
        Ok(Item {
            attributes,
            visibility,
            signature,
            inner_attributes,
            body,
            prelude: None,
        })
    }
}

pub(crate) fn is_function(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    // Everything that may stand before `fn`: `const async unsafe extern "C"`.
    while !ahead.is_empty() && !ahead.peek(Token![fn]) {
        let qualifier = ahead.peek(Token![const])
            || ahead.peek(Token![async])
            || ahead.peek(Token![unsafe])
            || ahead.peek(Token![extern])
            || ahead.peek(syn::LitStr);
        if !qualifier || ahead.parse::<TokenTree>().is_err() {
            return false;
        }
    }
    ahead.peek(Token![fn])
}

/// The body without the invisible group that a `macro_rules!` macro puts around its `$body:block`.
fn without_invisible_group(group: Group) -> Group {
    let mut inner = group.stream().into_iter();
    match (group.delimiter(), inner.next(), inner.next()) {
        (Delimiter::None, Some(TokenTree::Group(inner)), None) => without_invisible_group(inner),
        _ => group,
    }
}

fn split_body(input: ParseStream<'_>) -> syn::Result<(Vec<Attribute>, TokenStream)> {
    Ok((input.call(Attribute::parse_inner)?, input.parse()?))
}

impl Item {
    /// Checks whether the function can be sandboxed, and reports every reason why not. `may_return_nothing` tells whether a
    /// failure can be reported without a return type.
    pub(crate) fn check(&self, may_return_nothing: bool, errors: &mut Errors) {
        let signature = &self.signature;
        if signature.asyncness.is_none() && self.future().is_none() {
            errors.report(signature.fn_token, self.why_not_async());
        } else if matches!(signature.output, ReturnType::Default) && !may_return_nothing {
            let message = "a sandboxed tool returns a `Result`; return `Result<(), E>` where `E` is `String`, or any type \
                           that implements `From<SandboxError>`";
            errors.report(&signature.ident, message);
        }
        if let Safety::Unsafe(token) = &signature.safety {
            let message =
                "a sandboxed tool cannot be an `unsafe fn`; make it safe and put the `unsafe` block inside it";
            errors.report(token, message);
        }
        for attribute in self.attributes_named("sandboxed") {
            let message = "the function is sandboxed twice; keep one `#[sandboxed]`";
            errors.report(attribute, message);
        }
    }

    /// The message about a function that is neither async nor returns a future that the attribute recognizes.
    fn why_not_async(&self) -> String {
        let body = &self.body.stream();
        let is_mentioned = |name: &str| mentions(body.clone(), &Ident::new(name, Span::call_site()));
        if is_mentioned("block_on") && is_mentioned("Builder") {
            // What `#[tokio::main]` and `#[tokio::test]` make of an async function.
            return "an attribute above has made the function synchronous; put `#[sandboxed]` above it".to_owned();
        }
        match self.return_type().and_then(name_of_future) {
            Some(alias) => format!(
                "the attribute cannot see what future `{alias}` is; write it out, such as \
                 `Pin<Box<dyn Future<Output = Result<T, E>> + Send>>`"
            ),
            None => "a sandboxed tool is an `async fn`; make it async, and run blocking work inside it with \
                     `tokio::task::spawn_blocking`"
                .to_owned(),
        }
    }

    /// Checks that nothing is returned that attempts borrow one after the other. It is a matter of the text: the compiler would
    /// report it at the loop around the attempts.
    pub(crate) fn check_borrows(&self, errors: &mut Errors) {
        let Some((_, returned)) = self.shape() else { return };
        if let Some(owner) = self.borrowed_by(&returned) {
            let message = format!(
                "a function with retries cannot return what it borrows from `{owner}`, which the next attempt may need; set \
                 `max_retries = 0`, or return something that owns what it has"
            );
            errors.report(&returned, message);
        }
    }

    /// The function's attributes of this name, by any path.
    fn attributes_named(&self, name: &str) -> impl Iterator<Item = &Attribute> {
        let named = move |path: &syn::Path| path.segments.last().is_some_and(|last| last.ident == name);
        self.attributes.iter().filter(move |attribute| named(attribute.path()))
    }

    /// Whether an attribute of the function names the variable.
    pub(crate) fn attributes_mention(&self, name: &Ident) -> bool {
        self.attributes
            .iter()
            .any(|attribute| mentions(attribute.meta.to_token_stream(), name))
    }

    /// Whether the function has an attribute of this name, by any path.
    pub(crate) fn has_attribute(&self, name: &str) -> bool {
        self.attributes_named(name).next().is_some()
    }

    fn return_type(&self) -> Option<&Type> {
        match &self.signature.output {
            ReturnType::Type(_, ty) => Some(ty),
            ReturnType::Default => None,
        }
    }

    fn returned_future(&self) -> Option<ReturnedFuture> {
        self.future().map(|(future, _)| future)
    }

    fn future(&self) -> Option<(ReturnedFuture, Type)> {
        self.return_type().and_then(returned_future)
    }

    /// How the function returns what an attempt yields, and the type of that; `None` if it does not return a future.
    pub(crate) fn shape(&self) -> Option<(Shape, Type)> {
        if self.signature.asyncness.is_some() {
            let span = self.signature.ident.span();
            let returned = self.return_type().map_or_else(|| unit(span), nameable);
            return Some((Shape::Async, returned));
        }
        let returned = self.return_type()?;
        let (future, output) = self.future()?;
        let shape = match future {
            ReturnedFuture::Boxed => Shape::Boxed(without_lifetimes(returned)),
            ReturnedFuture::Opaque => Shape::Opaque,
        };
        Some((shape, nameable(&output)))
    }

    /// The braces that the user wrote around the body.
    pub(crate) fn braces(&self) -> &Group {
        &self.body
    }

    /// The body with another name for `self`.
    pub(crate) fn body_with_name_for_self(&self, name: &str) -> Group {
        with_stream(&self.body, with_name_for_self(self.body.stream(), name))
    }
}

fn unit(span: Span) -> Type {
    Type::Tuple(TypeTuple {
        attrs: Vec::new(),
        paren_token: Paren(span),
        elems: Punctuated::new(),
    })
}
