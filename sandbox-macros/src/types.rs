//! Questions about types as they are written.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{GenericArgument, Generics, Path, PathArguments, ReturnType, Token, Type, TypeInfer, TypeParamBound};

/// A future that a function returns without being `async`.
pub(crate) enum ReturnedFuture {
    /// `Pin<Box<dyn Future<Output = R>>>` or an alias of it.
    Boxed,
    /// `impl Future<Output = R>`.
    Opaque,
}

/// Recognizes a future by its name, and returns its output.
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

/// The name of a type that is called a future and is not recognized: an alias, most likely.
pub(crate) fn name_of_future(ty: &Type) -> Option<&Ident> {
    match ungrouped(ty) {
        Type::Path(path) => {
            let name = &path.path.segments.last()?.ident;
            let text = name.to_string().to_lowercase();
            (text.contains("fut") || text.contains("pin")).then_some(name)
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

/// Tells whether a type is one of numbers, `bool` or `char`, by its name.
pub(crate) fn is_primitive(ty: &Type) -> bool {
    const PRIMITIVE: [&str; 16] = [
        "bool", "char", "f32", "f64", "i128", "i16", "i32", "i64", "i8", "isize", "u128", "u16", "u32", "u64", "u8",
        "usize",
    ];
    matches!(ungrouped(ty), Type::Path(path) if PRIMITIVE.iter().any(|name| path.path.is_ident(name)))
}

pub(crate) fn is_shared_reference(ty: &Type) -> bool {
    matches!(ungrouped(ty), Type::Reference(reference) if reference.mutability.is_none())
}

/// Tells whether the type names a type parameter, or is an `impl Trait` itself.
pub(crate) fn is_generic(ty: &Type, generics: &Generics) -> bool {
    fn names(tokens: TokenStream, generics: &Generics) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(name) => name == "impl" || generics.type_params().any(|parameter| parameter.ident == name),
            TokenTree::Group(group) => names(group.stream(), generics),
            _ => false,
        })
    }
    names(ty.to_token_stream(), generics)
}

/// The type with `_` for every `impl Trait`: so that it can stand in a body.
pub(crate) fn nameable(ty: &Type) -> Type {
    let mut ty = ty.clone();
    replace(&mut ty, &|part| match part {
        Type::ImplTrait(opaque) => Some(Type::Infer(TypeInfer {
            attrs: Vec::new(),
            underscore_token: Token![_](opaque.impl_token.span),
        })),
        _ => None,
    });
    ty
}

/// A nameable type with `known` for every `_`, so that nothing in it is left to be inferred, and for every trait object that
/// borrows: what it is can be asked of one that is `'static` only, but the compiler selects an implementation for both.
pub(crate) fn known(ty: &Type, known: &Type) -> Type {
    let mut ty = ty.clone();
    let is_unknown = |part: &Type| match part {
        Type::Infer(_) => true,
        Type::TraitObject(_) => is_borrowed(part),
        _ => false,
    };
    replace(&mut ty, &|part| is_unknown(part).then(|| known.clone()));
    ty
}

/// Whether the text of the type has a lifetime other than `'static`.
pub(crate) fn is_borrowed(ty: &Type) -> bool {
    fn has_lifetime(tokens: TokenStream) -> bool {
        let mut after_tick = false;
        tokens.into_iter().any(|token| {
            let is_lifetime = match &token {
                TokenTree::Ident(name) => after_tick && name != "static",
                TokenTree::Group(group) => has_lifetime(group.stream()),
                _ => false,
            };
            after_tick = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '\'');
            is_lifetime
        })
    }
    has_lifetime(ty.to_token_stream())
}

/// Whether what follows in parentheses are the arguments of a function type.
fn names_function(token: &TokenTree) -> bool {
    const NAMES: [&str; 7] = ["fn", "Fn", "FnMut", "FnOnce", "AsyncFn", "AsyncFnMut", "AsyncFnOnce"];
    matches!(token, TokenTree::Ident(name) if NAMES.iter().any(|function| name == function))
}

/// The tokens of `-> &`.
fn is_of_arrow(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if matches!(punct.as_char(), '-' | '>' | '&'))
}

/// The names of the lifetimes in the text of a type, but for `'static`; `None` for one that is left out.
pub(crate) fn lifetimes_in(ty: &Type) -> Vec<Option<Ident>> {
    fn collect(tokens: TokenStream, found: &mut Vec<Option<Ident>>) {
        let mut tokens = tokens.into_iter().peekable();
        let mut is_function = false;
        while let Some(token) = tokens.next() {
            // What is left out in `fn(&str) -> &str` is its own.
            if let (true, TokenTree::Group(_)) = (is_function, &token) {
                while tokens.next_if(is_of_arrow).is_some() {}
            }
            let was_function = std::mem::replace(&mut is_function, names_function(&token));
            match (&token, tokens.peek()) {
                (TokenTree::Group(_), _) if was_function => {}
                (TokenTree::Punct(punct), Some(TokenTree::Ident(name)))
                    if punct.as_char() == '\'' && name != "static" =>
                {
                    found.push(Some(name.clone()).filter(|name| name != "_"));
                }
                (TokenTree::Punct(punct), next) if punct.as_char() == '&' => {
                    let is_named = matches!(next, Some(TokenTree::Punct(tick)) if tick.as_char() == '\'');
                    if !is_named {
                        found.push(None);
                    }
                }
                (TokenTree::Group(group), _) => collect(group.stream(), found),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    collect(ty.to_token_stream(), &mut found);
    found
}

/// Replaces the parts of a type for which `by` has another.
fn replace(ty: &mut Type, by: &impl Fn(&Type) -> Option<Type>) {
    if let Some(other) = by(ty) {
        *ty = other;
        return;
    }
    match ty {
        Type::Path(path) => replace_in_path(&mut path.path, by),
        Type::Reference(reference) => replace(&mut reference.elem, by),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(|part| replace(part, by)),
        Type::Array(array) => replace(&mut array.elem, by),
        Type::Slice(slice) => replace(&mut slice.elem, by),
        Type::Group(group) => replace(&mut group.elem, by),
        Type::Paren(paren) => replace(&mut paren.elem, by),
        _ => {}
    }
}

fn replace_in_path(path: &mut Path, by: &impl Fn(&Type) -> Option<Type>) {
    for segment in &mut path.segments {
        match &mut segment.arguments {
            PathArguments::AngleBracketed(arguments) => {
                for argument in &mut arguments.args {
                    if let GenericArgument::Type(ty) = argument {
                        replace(ty, by);
                    }
                }
            }
            PathArguments::Parenthesized(arguments) => {
                if let ReturnType::Type(_, ty) = &mut arguments.output {
                    replace(ty, by);
                }
            }
            PathArguments::None => {}
        }
    }
}

/// The type with `'_` for every lifetime: an attempt of a loop lives shorter than the function's own lifetimes.
pub(crate) fn without_lifetimes(ty: &Type) -> TokenStream {
    fn erase(tokens: TokenStream) -> TokenStream {
        let (mut after_tick, mut is_function) = (false, false);
        tokens
            .into_iter()
            .map(|token| {
                let was_function = std::mem::replace(&mut is_function, names_function(&token));
                let erased = match token {
                    // Left out in the arguments of a function type, a lifetime would be any.
                    TokenTree::Group(group) if was_function => TokenTree::Group(group),
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
