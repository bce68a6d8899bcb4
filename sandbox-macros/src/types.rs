//! Questions about types as they are written.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{GenericArgument, Path, PathArguments, ReturnType, Token, Type, TypeInfer, TypeParamBound};

/// A future that a function returns without being `async`.
pub(crate) enum ReturnedFuture {
    /// `Pin<Box<dyn Future<Output = R>>>` or an alias of it.
    Boxed,
    /// `impl Future<Output = R>`.
    Opaque,
}

/// Tells whether `ty` is a future, by its name, and of what.
pub(crate) fn returned_future(ty: &Type) -> Option<(ReturnedFuture, Type)> {
    match ungrouped(ty) {
        Type::ImplTrait(opaque) => Some((ReturnedFuture::Opaque, output_of(&opaque.bounds)?)),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let mut types = types_in(&last.arguments);
            if last.ident == "BoxFuture" || last.ident == "LocalBoxFuture" {
                return Some((ReturnedFuture::Boxed, types.next()?.clone()));
            }
            let pinned = types.next().filter(|_| last.ident == "Pin")?;
            let Type::Path(boxed) = ungrouped(pinned) else {
                return None;
            };
            let boxed = boxed.path.segments.last().filter(|last| last.ident == "Box")?;
            match ungrouped(types_in(&boxed.arguments).next()?) {
                Type::TraitObject(object) => Some((ReturnedFuture::Boxed, output_of(&object.bounds)?)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `R` in the bounds `Future<Output = R> + ..`.
fn output_of(bounds: &Punctuated<TypeParamBound, Token![+]>) -> Option<Type> {
    bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        let last = bound.path.segments.last().filter(|last| last.ident == "Future")?;
        arguments_in(&last.arguments).find_map(|argument| match argument {
            GenericArgument::AssocType(output) if output.ident == "Output" => Some(output.ty.clone()),
            _ => None,
        })
    })
}

fn arguments_in(arguments: &PathArguments) -> impl Iterator<Item = &GenericArgument> {
    let arguments = match arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    };
    arguments.into_iter().flatten()
}

fn types_in(arguments: &PathArguments) -> impl Iterator<Item = &Type> {
    arguments_in(arguments).filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// The type without the invisible groups that a `macro_rules!` macro puts around it.
pub(crate) fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        other => other,
    }
}

pub(crate) fn is_mutable_reference(ty: &Type) -> bool {
    matches!(ungrouped(ty), Type::Reference(reference) if reference.mutability.is_some())
}

pub(crate) fn is_shared_reference(ty: &Type) -> bool {
    matches!(ungrouped(ty), Type::Reference(reference) if reference.mutability.is_none())
}

/// The type with `_` for every `impl Trait`: so that it can stand in a body.
pub(crate) fn nameable(ty: &Type) -> Type {
    let mut ty = ty.clone();
    infer_opaque(&mut ty);
    ty
}

fn infer_opaque(ty: &mut Type) {
    match ty {
        Type::ImplTrait(opaque) => {
            *ty = Type::Infer(TypeInfer {
                attrs: Vec::new(),
                underscore_token: Token![_](opaque.impl_token.span),
            });
        }
        Type::Path(path) => infer_opaque_in_path(&mut path.path),
        Type::Reference(reference) => infer_opaque(&mut reference.elem),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(infer_opaque),
        Type::Array(array) => infer_opaque(&mut array.elem),
        Type::Slice(slice) => infer_opaque(&mut slice.elem),
        Type::Group(group) => infer_opaque(&mut group.elem),
        Type::Paren(paren) => infer_opaque(&mut paren.elem),
        _ => {}
    }
}

fn infer_opaque_in_path(path: &mut Path) {
    for segment in &mut path.segments {
        match &mut segment.arguments {
            PathArguments::AngleBracketed(arguments) => {
                for argument in &mut arguments.args {
                    if let GenericArgument::Type(ty) = argument {
                        infer_opaque(ty);
                    }
                }
            }
            PathArguments::Parenthesized(arguments) => {
                if let ReturnType::Type(_, ty) = &mut arguments.output {
                    infer_opaque(ty);
                }
            }
            PathArguments::None => {}
        }
    }
}

/// The type with `'_` for every lifetime: an attempt of a loop lives shorter than the function's own lifetimes.
pub(crate) fn without_lifetimes(ty: &Type) -> TokenStream {
    fn erase(tokens: TokenStream) -> TokenStream {
        let mut after_tick = false;
        tokens
            .into_iter()
            .map(|token| {
                let erased = match token {
                    TokenTree::Ident(name) if after_tick => TokenTree::Ident(Ident::new("_", name.span())),
                    TokenTree::Group(group) => {
                        let mut erased = proc_macro2::Group::new(group.delimiter(), erase(group.stream()));
                        erased.set_span(group.span());
                        TokenTree::Group(erased)
                    }
                    other => other,
                };
                after_tick = matches!(&erased, TokenTree::Punct(punct) if punct.as_char() == '\'');
                erased
            })
            .collect()
    }
    let tokens = ty.to_token_stream();
    // Lifetimes bound by a `for<'a>` within the type are its own.
    let binds_its_own = tokens.to_string().contains("for <");
    if binds_its_own { tokens } else { erase(tokens) }
}
