//! [`Item`]: the function under the attribute, its signature parsed tightly and its body left as tokens, so that half-typed
//! code keeps its own errors.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, Pat, PatIdent, ReceiverKind, ReturnType, Signature, Token, Type, Visibility};

use crate::errors::Errors;

pub(crate) struct Item {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    /// `#![..]` at the top of the body.
    pub(crate) inner_attributes: Vec<Attribute>,
    /// The body's statements.
    pub(crate) body: Group,
}

/// A variable that the function's parameters bind.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) mutability: Option<Token![mut]>,
    /// The type, when the whole parameter is this variable; where messages about it belong.
    pub(crate) ty: Option<Type>,
}

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        if !is_function(input) {
            let message = "`#[sandboxed]` goes on an async function with a body; put it on each tool function instead";
            return Err(input.error(message));
        }
        let signature: Signature = input.parse()?;
        let body = match input.parse()? {
            TokenTree::Group(body) => body,
            other => {
                let message = "`#[sandboxed]` needs a body to run; put it on the implementation instead";
                return Err(syn::Error::new(other.span(), message));
            }
        };
        let (inner_attributes, statements) = split_body.parse2(body.stream())?;
        let mut stripped = Group::new(body.delimiter(), statements);
        stripped.set_span(body.span());
        Ok(Item {
            attributes,
            visibility,
            signature,
            inner_attributes,
            body: stripped,
        })
    }
}

fn is_function(input: ParseStream<'_>) -> bool {
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

fn split_body(input: ParseStream<'_>) -> syn::Result<(Vec<Attribute>, TokenStream)> {
    Ok((input.call(Attribute::parse_inner)?, input.parse()?))
}

impl Item {
    /// Asks whether the function can be sandboxed, and reports every reason why not.
    pub(crate) fn check(&self, errors: &mut Errors) {
        let signature = &self.signature;
        if signature.asyncness.is_none() {
            let message = "a sandboxed tool is an `async fn`; make it async, and run blocking work inside it with \
                           `tokio::task::spawn_blocking`";
            errors.report(signature.fn_token, message);
        }
        if let Some(receiver) = signature.receiver()
            && !matches!(receiver.kind, ReceiverKind::Reference(_, _, None))
        {
            let message = "a sandboxed method is called again for each attempt; take `&self`";
            errors.report(receiver, message);
        }
        if matches!(signature.output, ReturnType::Default) {
            let message = "a sandboxed tool returns a `Result`; return `Result<(), E>` with an error type that \
                           implements `From<SandboxError>`, such as `String`";
            errors.report(&signature.ident, message);
        }
    }

    /// The type that the function returns; `None` when it names none.
    pub(crate) fn returned(&self) -> Option<&Type> {
        match &self.signature.output {
            ReturnType::Type(_, ty) => Some(ty),
            ReturnType::Default => None,
        }
    }

    /// The variables that the parameters bind, but `self`.
    pub(crate) fn arguments(&self) -> Vec<Argument> {
        let mut arguments = Vec::new();
        for input in &self.signature.inputs {
            if let FnArg::Typed(input) = input {
                match &*input.pat {
                    Pat::Ident(pattern @ PatIdent { subpat: None, .. }) => {
                        arguments.push(Argument::new(pattern, Some((*input.ty).clone())));
                    }
                    pattern => bindings_of(pattern, &mut arguments),
                }
            }
        }
        arguments
    }

    /// The signature without the `mut`s of its bindings: they belong to the attempts, which bind the arguments anew.
    pub(crate) fn outer_signature(&self) -> Signature {
        let mut signature = self.signature.clone();
        for input in &mut signature.inputs {
            if let FnArg::Typed(input) = input {
                for_each_binding(&mut input.pat, &mut |binding| {
                    if binding.by_ref.is_none() {
                        binding.mutability = None;
                    }
                });
            }
        }
        signature
    }
}

impl Argument {
    fn new(pattern: &PatIdent, ty: Option<Type>) -> Self {
        let mutability = if pattern.by_ref.is_none() {
            pattern.mutability
        } else {
            None
        };
        Argument {
            name: pattern.ident.clone(),
            mutability,
            ty,
        }
    }

    /// Where messages about this argument belong.
    pub(crate) fn span(&self) -> Span {
        self.ty.as_ref().map_or(self.name.span(), Spanned::span)
    }
}

fn bindings_of(pattern: &Pat, arguments: &mut Vec<Argument>) {
    for_each_binding(&mut pattern.clone(), &mut |binding| {
        arguments.push(Argument::new(binding, None))
    });
}

/// Visits every variable of a pattern that a parameter may have: an irrefutable one.
fn for_each_binding(pattern: &mut Pat, visit: &mut impl FnMut(&mut PatIdent)) {
    match pattern {
        Pat::Ident(binding) => {
            visit(binding);
            if let Some((_, inner)) = &mut binding.subpat {
                for_each_binding(inner, visit);
            }
        }
        Pat::Paren(inner) => for_each_binding(&mut inner.pat, visit),
        Pat::Reference(inner) => for_each_binding(&mut inner.pat, visit),
        Pat::Type(inner) => for_each_binding(&mut inner.pat, visit),
        Pat::Slice(slice) => slice.elems.iter_mut().for_each(|inner| for_each_binding(inner, visit)),
        Pat::Struct(fields) => fields
            .fields
            .iter_mut()
            .for_each(|field| for_each_binding(&mut field.pat, visit)),
        Pat::Tuple(tuple) => tuple.elems.iter_mut().for_each(|inner| for_each_binding(inner, visit)),
        Pat::TupleStruct(tuple) => tuple.elems.iter_mut().for_each(|inner| for_each_binding(inner, visit)),
        // The cases of an or-pattern bind the same variables.
        Pat::Or(or) => or
            .cases
            .iter_mut()
            .take(1)
            .for_each(|inner| for_each_binding(inner, visit)),
        _ => {}
    }
}
