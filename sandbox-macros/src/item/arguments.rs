//! [`Argument`]: the variables that an attempt gets, and how it gets them.

use proc_macro2::{Ident, Span};
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, Lifetime, Pat, PatIdent, PatType, ReceiverKind, Signature, Token, Type};

use super::Item;
use super::prelude::unused_mut;
use super::uses::{mentions, self_uses};
use crate::types::{is_generic, is_mutable_reference, is_primitive, is_shared_reference, lifetimes_in, ungrouped};

/// A variable that every attempt needs for itself.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    /// Its place among the others: in a function that a macro has made, two of them may have the same text for a name.
    pub(crate) index: usize,
    pub(crate) mutability: Option<Token![mut]>,
    /// The `#[cfg]`s of its parameter.
    pub(crate) conditions: Vec<Attribute>,
    /// The `#[allow]`s of its parameter and their like.
    pub(crate) lints: Vec<Attribute>,
    /// Where messages about it belong: its type, when the whole parameter is this variable.
    pub(crate) span: Span,
    pub(crate) passing: Passing,
    /// Tells whether the body mentions it. What it does not mention, only the last attempt could need.
    pub(crate) is_mentioned: bool,
    /// Tells whether its type names a type parameter of the function.
    pub(crate) is_generic: bool,
    /// Its parameter, if the type of that is called `Parameters`, as rmcp's is.
    pub(crate) parameters: Option<PatType>,
}

/// How an attempt gets a variable.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Passing {
    /// A clone for each attempt, and the variable itself for the last one.
    Cloned,
    /// A shared reference or a number, which all attempts copy.
    Copied,
    /// A mutable reference, which attempts borrow one after the other.
    Borrowed,
}

/// How attempts get `self`.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Receiving {
    /// They do not need it, or all of them can use the same.
    Shared,
    /// By value: a clone for each attempt.
    Owned,
    /// By mutable reference, one after the other.
    Borrowed,
    /// The same, under another name: the body may move it, and only a parameter can be called `self`.
    Renamed,
}

/// Attributes that decide whether a parameter exists.
const CONDITIONS: [&str; 2] = ["cfg", "cfg_attr"];
/// Attributes that are about the variable.
const LINTS: [&str; 5] = ["allow", "expect", "warn", "deny", "forbid"];

/// The attributes among these that decide whether what they stand on exists.
pub(super) fn conditions(attributes: &[Attribute]) -> Vec<Attribute> {
    let is_one = |attribute: &&Attribute| is_one_of(attribute, &CONDITIONS);
    attributes.iter().filter(is_one).cloned().collect()
}

fn is_one_of(attribute: &Attribute, names: &[&str]) -> bool {
    names.iter().any(|name| attribute.path().is_ident(name))
}

impl Item {
    /// How attempts get `self`.
    pub(crate) fn receiving(&self) -> Receiving {
        let Some(receiver) = self.signature.receiver() else {
            return Receiving::Shared;
        };
        let is_borrowed = match &receiver.kind {
            ReceiverKind::Reference(_, _, None) => return Receiving::Shared,
            ReceiverKind::Typed(_, ty) if is_shared_reference(ty) => return Receiving::Shared,
            ReceiverKind::Reference(..) => true,
            ReceiverKind::Typed(_, ty) => is_mutable_reference(ty),
            _ => false,
        };
        let uses = self_uses(&self.body);
        match (is_borrowed, uses.may_be_moved) {
            _ if !uses.is_mentioned => Receiving::Shared,
            (false, _) => Receiving::Owned,
            (true, false) => Receiving::Borrowed,
            (true, true) => Receiving::Renamed,
        }
    }

    /// Whether the body does more with `self` than to use its fields.
    pub(crate) fn uses_whole_self(&self) -> bool {
        self_uses(&self.body).is_used_as_a_whole
    }

    /// The `self` of the signature: one from elsewhere would not be seen by the body.
    pub(crate) fn self_token(&self) -> Option<Token![self]> {
        self.signature.receiver().map(|receiver| receiver.self_token)
    }

    /// Where messages about `self` belong.
    pub(crate) fn receiver_span(&self) -> Span {
        match self.signature.receiver().map(|receiver| &receiver.kind) {
            Some(ReceiverKind::Typed(_, ty)) => ty.span(),
            _ => self.self_token().map_or_else(Span::call_site, |this| this.span),
        }
    }

    /// Every variable that the parameters bind; then those of the prelude, which may hide some.
    pub(crate) fn arguments(&mut self) -> Vec<Argument> {
        let mut arguments = Vec::new();
        for input in &self.signature.inputs {
            if let FnArg::Typed(input) = input {
                self.add_arguments(input, &mut arguments);
            }
        }
        if let Some(prelude) = &mut self.prelude {
            arguments.retain(|argument| !prelude.names.contains(&argument.name));
            arguments
                .iter_mut()
                .for_each(|argument| argument.lints.push(unused_mut()));
            arguments.append(&mut prelude.variables);
            (0..)
                .zip(&mut arguments)
                .for_each(|(index, argument)| argument.index = index);
        }
        arguments
    }

    fn add_arguments(&self, input: &PatType, arguments: &mut Vec<Argument>) {
        let attributes = |names: &[&str]| -> Vec<_> {
            let is_one = |attribute: &&Attribute| is_one_of(attribute, names);
            input.attrs.iter().filter(is_one).cloned().collect()
        };
        let (conditions, lints) = (attributes(&CONDITIONS), attributes(&LINTS));
        let is_whole_parameter = matches!(&*input.pat, Pat::Ident(PatIdent { subpat: None, .. }));
        let passing = Passing::of(&input.pat, Some(&input.ty));
        let is_generic = is_generic(&input.ty, &self.signature.generics);
        let parameters = is_parameters(&input.ty).then(|| input.clone());
        for_each_binding(&mut input.pat.clone(), &mut |binding| {
            let of_name = passing.iter().find(|(name, _)| *name == binding.ident);
            arguments.push(Argument {
                name: binding.ident.clone(),
                index: arguments.len(),
                mutability: binding.mutability.filter(|_| binding.by_ref.is_none()),
                conditions: conditions.clone(),
                lints: lints.clone(),
                span: if is_whole_parameter {
                    ungrouped(&input.ty).span()
                } else {
                    binding.ident.span()
                },
                passing: of_name.map_or(Passing::Cloned, |(_, passing)| *passing),
                is_mentioned: self.mentions(&binding.ident),
                is_generic,
                parameters: parameters.clone().filter(|_| binding.by_ref.is_none()),
            });
        });
    }

    /// The name of a mutable reference that the return type borrows from, if the body mentions it: by a lifetime of the same name,
    /// or by one that is left out.
    pub(super) fn borrowed_by(&self, returned: &Type) -> Option<String> {
        let lifetimes = lifetimes_in(returned);
        let is_named = |lifetime: Option<&Lifetime>| match lifetime {
            Some(named) => lifetimes.iter().flatten().any(|other| other == &named.ident),
            None => false,
        };
        let leaves_out = lifetimes.contains(&None);
        let of_receiver = self.signature.receiver().map(|receiver| &receiver.kind);
        if let Some(ReceiverKind::Reference(_, lifetime, mutability)) = of_receiver {
            let is_borrowed = is_named(lifetime.as_ref()) || leaves_out && lifetime.is_none();
            if mutability.is_some() && is_borrowed && self_uses(&self.body).is_mentioned {
                return Some("self".to_owned());
            }
        }
        let references = self.signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(input) => match (&*input.pat, ungrouped(&input.ty)) {
                (Pat::Ident(binding), Type::Reference(reference)) => Some((&binding.ident, reference)),
                _ => None,
            },
            FnArg::Receiver(_) => None,
        });
        let references: Vec<_> = references.collect();
        let is_only_one = of_receiver.is_none() && references.len() == 1;
        let borrowed = references.into_iter().find(|(name, reference)| {
            let is_borrowed = is_named(reference.lifetime.as_ref()) || leaves_out && is_only_one;
            reference.mutability.is_some() && is_borrowed && self.mentions(name)
        });
        borrowed.map(|(name, _)| name.to_string())
    }

    pub(super) fn mentions(&self, name: &Ident) -> bool {
        mentions(self.body.stream(), name)
    }

    /// The signature without what belongs to the attempts, which bind the `passed` arguments again: their `mut`s and lints. A
    /// receiver that attempts own is assigned to.
    pub(crate) fn outer_signature(&self, passed: &[&Argument], is_receiver_assigned: bool) -> Signature {
        let mut signature = self.signature.clone();
        for input in &mut signature.inputs {
            match input {
                FnArg::Receiver(receiver) if is_receiver_assigned => {
                    receiver.mutability = Some(Token![mut](receiver.self_token.span));
                }
                FnArg::Receiver(_) => {}
                FnArg::Typed(input) => {
                    if self.prelude.is_some() {
                        // It has the arguments first.
                        input.attrs.push(unused_mut());
                        continue;
                    }
                    let mut is_passed = false;
                    for_each_binding(&mut input.pat, &mut |binding| {
                        if passed.iter().any(|argument| argument.name == binding.ident) {
                            is_passed = true;
                            if binding.by_ref.is_none() {
                                binding.mutability = None;
                            }
                        }
                    });
                    input
                        .attrs
                        .retain(|attribute| !(is_passed && is_one_of(attribute, &LINTS)));
                }
            }
        }
        signature
    }
}

/// Tells whether a type is called `Parameters`.
fn is_parameters(ty: &Type) -> bool {
    match ungrouped(ty) {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "Parameters"),
        _ => false,
    }
}

impl Passing {
    /// How the variables of a pattern are passed, as far as pattern and type show it.
    fn of(pattern: &Pat, ty: Option<&Type>) -> Vec<(Ident, Passing)> {
        let ty = ty.map(ungrouped);
        match (pattern, ty) {
            (Pat::Ident(binding), _) if binding.subpat.is_none() => {
                vec![(binding.ident.clone(), Passing::of_binding(binding, ty))]
            }
            // What is matched behind a `&mut` is copied out of it.
            (Pat::Reference(inner), _) => Passing::of(&inner.pat, None),
            (Pat::Paren(inner), ty) => Passing::of(&inner.pat, ty),
            (Pat::Tuple(tuple), Some(Type::Tuple(types))) if tuple.elems.len() == types.elems.len() => {
                let pairs = tuple.elems.iter().zip(&types.elems);
                pairs.flat_map(|(pattern, ty)| Passing::of(pattern, Some(ty))).collect()
            }
            (pattern, ty) => {
                // The parts of what is borrowed for writing are borrowed for writing.
                let whole = ty.filter(|ty| is_mutable_reference(ty));
                let mut passing = Vec::new();
                for_each_binding(&mut pattern.clone(), &mut |binding| {
                    passing.push((binding.ident.clone(), Passing::of_binding(binding, whole)));
                });
                passing
            }
        }
    }

    fn of_binding(binding: &PatIdent, ty: Option<&Type>) -> Passing {
        let borrows = binding.by_ref.is_some() && binding.mutability.is_some();
        if borrows || ty.is_some_and(is_mutable_reference) {
            Passing::Borrowed
        } else if binding.by_ref.is_some() || ty.is_some_and(|ty| is_shared_reference(ty) || is_primitive(ty)) {
            Passing::Copied
        } else {
            Passing::Cloned
        }
    }
}

/// Visits every variable of a pattern that a parameter may have: an irrefutable one.
pub(super) fn for_each_binding(pattern: &mut Pat, visit: &mut impl FnMut(&mut PatIdent)) {
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
