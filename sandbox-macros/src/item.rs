//! [`Item`]: the function under the attribute, its signature parsed tightly and its body left as tokens, so that half-typed
//! code keeps its own errors.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::token::Paren;
use syn::{
    Attribute, FnArg, Pat, PatIdent, Receiver, ReceiverKind, ReturnType, Safety, Signature, Token, Type, TypeTuple,
    Visibility,
};

use crate::errors::Errors;
use crate::rename::{rename_self, with_stream};
use crate::types::{
    ReturnedFuture, is_mutable_reference, is_shared_reference, nameable, returned_future, ungrouped, without_lifetimes,
};

pub(crate) struct Item {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    /// `#![..]` at the top of the body.
    pub(crate) inner_attributes: Vec<Attribute>,
    /// The body without them.
    pub(crate) body: Group,
}

/// A variable that every attempt needs for itself.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    /// Tells whether it stands for `self`.
    pub(crate) is_receiver: bool,
    pub(crate) mutability: Option<Token![mut]>,
    /// The `#[cfg]`s of its parameter.
    pub(crate) conditions: Vec<Attribute>,
    /// The `#[allow]`s of its parameter and their like.
    pub(crate) lints: Vec<Attribute>,
    /// Where messages about it belong: its type, when the whole parameter is this variable.
    pub(crate) span: Span,
    pub(crate) passing: Passing,
}

/// How an attempt gets a variable.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Passing {
    /// A clone for each attempt, and the variable itself for the last one.
    Cloned,
    /// A mutable reference, which attempts borrow one after the other.
    Borrowed,
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
            let message =
                "`#[sandboxed]` annotates an async function with a body; put it on each tool function instead";
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
        Ok(Item {
            attributes,
            visibility,
            signature,
            body: if inner_attributes.is_empty() {
                body
            } else {
                with_stream(&body, statements)
            },
            inner_attributes,
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
            let message = "a sandboxed tool is an `async fn`; make it async, and run blocking work inside it with \
                           `tokio::task::spawn_blocking`";
            errors.report(signature.fn_token, message);
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

    /// The function's attributes of this name, by any path.
    fn attributes_named(&self, name: &str) -> impl Iterator<Item = &Attribute> {
        let named = move |path: &syn::Path| path.segments.last().is_some_and(|last| last.ident == name);
        self.attributes.iter().filter(move |attribute| named(attribute.path()))
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

    /// The receiver, unless all attempts can share it.
    fn receiver_per_attempt(&self) -> Option<&Receiver> {
        self.signature.receiver().filter(|receiver| match &receiver.kind {
            ReceiverKind::Reference(_, _, mutability) => mutability.is_some(),
            ReceiverKind::Typed(_, ty) => !is_shared_reference(ty),
            _ => true,
        })
    }

    /// Every variable that the parameters bind and the body mentions; attempts do not need the others. A receiver that
    /// attempts cannot share is one of them, under the name `receiver`: only a parameter can be called `self`.
    pub(crate) fn arguments(&self, receiver: &Ident) -> Vec<Argument> {
        let mut arguments = Vec::new();
        if let Some(own) = self.receiver_per_attempt().filter(|_| self.mentions("self")) {
            let borrowed = match &own.kind {
                ReceiverKind::Reference(..) => true,
                ReceiverKind::Typed(_, ty) => is_mutable_reference(ty),
                _ => false,
            };
            arguments.push(Argument {
                name: receiver.clone(),
                is_receiver: true,
                mutability: own.mutability,
                conditions: Vec::new(),
                lints: Vec::new(),
                span: match &own.kind {
                    ReceiverKind::Typed(_, ty) => ty.span(),
                    _ => own.self_token.span,
                },
                passing: if borrowed { Passing::Borrowed } else { Passing::Cloned },
            });
        }
        for input in &self.signature.inputs {
            let FnArg::Typed(input) = input else { continue };
            let attributes = |names: &[&str]| -> Vec<_> {
                let is_one = |attribute: &&Attribute| names.iter().any(|name| attribute.path().is_ident(name));
                input.attrs.iter().filter(is_one).cloned().collect()
            };
            let (conditions, lints) = (attributes(&CONDITIONS), attributes(&LINTS));
            let is_whole_parameter = matches!(&*input.pat, Pat::Ident(PatIdent { subpat: None, .. }));
            let passing = Passing::of(&input.pat, Some(&input.ty));
            for_each_binding(&mut input.pat.clone(), &mut |binding| {
                if !self.mentions(&binding.ident.to_string()) {
                    return;
                }
                let by_reference = binding.by_ref.is_some();
                let borrowed = passing
                    .iter()
                    .any(|(name, passing)| *name == binding.ident && *passing == Passing::Borrowed);
                arguments.push(Argument {
                    name: binding.ident.clone(),
                    is_receiver: false,
                    mutability: binding.mutability.filter(|_| !by_reference),
                    conditions: conditions.clone(),
                    lints: lints.clone(),
                    span: if is_whole_parameter {
                        ungrouped(&input.ty).span()
                    } else {
                        binding.ident.span()
                    },
                    passing: if borrowed { Passing::Borrowed } else { Passing::Cloned },
                });
            });
        }
        arguments
    }

    fn mentions(&self, name: &str) -> bool {
        mentions(self.body.stream(), name)
    }

    /// The signature without what belongs to the attempts, which bind the arguments again: their `mut`s and lints.
    pub(crate) fn outer_signature(&self) -> Signature {
        let mut signature = self.signature.clone();
        for input in &mut signature.inputs {
            match input {
                FnArg::Receiver(receiver) if self.mentions("self") => receiver.mutability = None,
                FnArg::Receiver(_) => {}
                FnArg::Typed(input) => {
                    let mut is_passed = false;
                    for_each_binding(&mut input.pat, &mut |binding| {
                        if self.mentions(&binding.ident.to_string()) {
                            is_passed = true;
                            if binding.by_ref.is_none() {
                                binding.mutability = None;
                            }
                        }
                    });
                    let is_lint = |attribute: &Attribute| LINTS.iter().any(|name| attribute.path().is_ident(name));
                    input.attrs.retain(|attribute| !(is_passed && is_lint(attribute)));
                }
            }
        }
        signature
    }

    /// The body for an attempt; where attempts cannot share the receiver, with `receiver` for `self`.
    pub(crate) fn attempt_body(&self, receiver: &Ident) -> Group {
        match self.receiver_per_attempt() {
            Some(_) => rename_self(&self.body, receiver),
            // As it was written: a syntax error in it is then reported once.
            None => self.body.clone(),
        }
    }
}

/// Attributes that decide whether a parameter exists.
const CONDITIONS: [&str; 2] = ["cfg", "cfg_attr"];
/// Attributes that are about the variable.
const LINTS: [&str; 5] = ["allow", "expect", "warn", "deny", "forbid"];

impl Passing {
    /// How the variables of a pattern are passed, as far as pattern and type show it.
    fn of(pattern: &Pat, ty: Option<&Type>) -> Vec<(Ident, Passing)> {
        let ty = ty.map(ungrouped);
        let is_mutable = ty.is_some_and(is_mutable_reference);
        match (pattern, ty) {
            (Pat::Ident(binding), _) => {
                let borrows = binding.by_ref.is_some() && binding.mutability.is_some();
                let passing = if borrows || is_mutable {
                    Passing::Borrowed
                } else {
                    Passing::Cloned
                };
                vec![(binding.ident.clone(), passing)]
            }
            // What is matched behind a `&mut` is copied out of it.
            (Pat::Reference(inner), _) => Passing::of(&inner.pat, None),
            (Pat::Paren(inner), ty) => Passing::of(&inner.pat, ty),
            (Pat::Tuple(tuple), Some(Type::Tuple(types))) if tuple.elems.len() == types.elems.len() => {
                let pairs = tuple.elems.iter().zip(&types.elems);
                pairs.flat_map(|(pattern, ty)| Passing::of(pattern, Some(ty))).collect()
            }
            (pattern, _) => {
                let mut passing = Vec::new();
                for_each_binding(&mut pattern.clone(), &mut |binding| {
                    let borrows = binding.by_ref.is_some() && binding.mutability.is_some();
                    // The parts of what is borrowed for writing are borrowed for writing.
                    let borrowed = borrows || is_mutable;
                    passing.push((
                        binding.ident.clone(),
                        if borrowed { Passing::Borrowed } else { Passing::Cloned },
                    ));
                });
                passing
            }
        }
    }
}

fn unit(span: Span) -> Type {
    Type::Tuple(TypeTuple {
        attrs: Vec::new(),
        paren_token: Paren(span),
        elems: Punctuated::new(),
    })
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

/// Tells whether the name occurs in the tokens or in the text of a literal: format strings name variables.
fn mentions(tokens: TokenStream, name: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Literal(literal) => literal.to_string().contains(name.trim_start_matches("r#")),
        TokenTree::Group(group) => mentions(group.stream(), name),
        TokenTree::Punct(_) => false,
    })
}
