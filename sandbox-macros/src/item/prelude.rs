//! What a function that returns a future does before it makes the future: that is done once, when it is called.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::Parser;
use syn::{Attribute, Block, Expr, Local, Pat, ReceiverKind, Stmt, Type, parse_quote};

use super::Item;
use super::arguments::{Argument, Passing, conditions, for_each_binding};
use super::uses::{mentions, self_uses, with_stream};
use crate::errors::Errors;
use crate::types::{ReturnedFuture, is_borrowed};

/// The statements in front of the expression that makes the future.
#[derive(Default)]
pub(crate) struct Prelude {
    pub(crate) items: TokenStream,
    pub(crate) statements: TokenStream,
    /// The variables of theirs that the expression mentions: attempts get them as they get arguments.
    pub(super) variables: Vec<Argument>,
    /// The names of all their variables, which hide arguments.
    pub(super) names: Vec<Ident>,
}

impl Item {
    /// Splits the body into what is done at the call and what makes the future for an attempt, which becomes the body.
    ///
    /// Nothing is split where the statements may return another future: it would escape the limits. Then the whole body is run
    /// for each attempt.
    pub(crate) fn split_prelude(&mut self) {
        let Ok(mut statements) = Block::parse_within.parse2(self.body.stream()) else {
            return;
        };
        let Some(last) = statements.pop() else { return };
        let is_made_here = matches!(last, Stmt::Expr(_, None));
        let is_there = statements.iter().any(|statement| !matches!(statement, Stmt::Item(_)));
        if !is_made_here
            || !is_there
            || statements
                .iter()
                .any(|statement| may_return(statement.to_token_stream()))
        {
            return;
        }
        let body = with_stream(&self.body, last.to_token_stream());
        let mut prelude = Prelude::default();
        for statement in &mut statements {
            if let Stmt::Local(local) = statement {
                prelude.add(local, &body);
            }
            let place = match statement {
                Stmt::Item(_) => &mut prelude.items,
                _ => &mut prelude.statements,
            };
            statement.to_tokens(place);
        }
        self.body = body;
        self.prelude = Some(prelude);
    }
}

impl Item {
    /// Checks that no statement in front of a future that owns all it needs can return another one: the body would have to be run
    /// again for each attempt, and `self` is not there any more.
    pub(crate) fn check_early_return(&self, errors: &mut Errors) {
        let Some(ReturnedFuture::Boxed) = self.returned_future() else {
            return;
        };
        let is_borrowing = self.return_type().is_none_or(is_borrowed);
        let has_receiver = self
            .signature
            .receiver()
            .is_some_and(|receiver| matches!(receiver.kind, ReceiverKind::Reference(..)));
        if is_borrowing || !has_receiver || !self_uses(&self.body).is_mentioned {
            return;
        }
        let Ok(statements) = Block::parse_within.parse2(self.body.stream()) else {
            return;
        };
        let in_front = statements.iter().rev().skip(1);
        let returning = in_front
            .map(ToTokens::to_token_stream)
            .find(|statement| may_return(statement.clone()));
        if let Some(statement) = returning {
            let message = "a future that owns all it needs is made once, and this may return another one, which no attempt \
                           could follow; move it into the future, or set `max_retries = 0`";
            errors.report(statement, message);
        }
    }

    /// Tells whether the function does something before it makes the future.
    pub(crate) fn has_prelude(&self) -> bool {
        match Block::parse_within.parse2(self.body.stream()) {
            Ok(statements) => statements
                .iter()
                .rev()
                .skip(1)
                .any(|statement| !matches!(statement, Stmt::Item(_))),
            Err(_) => true,
        }
    }
}

impl Prelude {
    /// Takes note of the variables of a `let` that the body mentions. They are bound again there, so that a `mut` is needed in
    /// one of the two places only.
    fn add(&mut self, local: &mut Local, body: &Group) {
        let passing = passing(local);
        let conditions = conditions(&local.attrs);
        let mut is_passed = false;
        for_each_binding(&mut local.pat, &mut |binding| {
            // A later variable of the same name hides the earlier one.
            self.variables.retain(|variable| variable.name != binding.ident);
            self.names.push(binding.ident.clone());
            if !mentions(body.stream(), &binding.ident) {
                return;
            }
            is_passed |= binding.mutability.is_some();
            self.variables.push(Argument {
                name: binding.ident.clone(),
                index: 0,
                mutability: binding.mutability.filter(|_| binding.by_ref.is_none()),
                conditions: conditions.clone(),
                lints: vec![unused_mut()],
                span: binding.ident.span(),
                passing,
                is_mentioned: true,
                is_generic: false,
                parameters: None,
            });
        });
        if is_passed {
            local.attrs.push(unused_mut());
        }
    }
}

/// For a variable that is bound twice, of which one may need the `mut`.
pub(super) fn unused_mut() -> Attribute {
    parse_quote!(#[allow(unused_mut)])
}

/// How the variables of a `let` are passed, as far as its text shows it.
fn passing(local: &Local) -> Passing {
    let of_type = match &local.pat {
        Pat::Type(typed) => Some(&*typed.ty),
        _ => None,
    };
    let of_value = local.init.as_ref().map(|init| &*init.expr);
    match (of_type, of_value) {
        (Some(Type::Reference(reference)), _) if reference.mutability.is_some() => Passing::Borrowed,
        (Some(Type::Reference(_)), _) => Passing::Copied,
        (_, Some(Expr::Reference(reference))) if reference.mutability.is_some() => Passing::Borrowed,
        (_, Some(Expr::Reference(_))) => Passing::Copied,
        _ => Passing::Cloned,
    }
}

/// Tells whether the function may return in these tokens. What returns in a closure or in an async block, only leaves that.
fn may_return(tokens: TokenStream) -> bool {
    let mut opens_body = false;
    tokens.into_iter().any(|token| {
        let returns = match &token {
            TokenTree::Ident(ident) => ident == "return",
            TokenTree::Group(group) => !opens_body && may_return(group.stream()),
            _ => false,
        };
        opens_body = match &token {
            TokenTree::Punct(punct) => punct.as_char() == '|',
            TokenTree::Ident(ident) => ident == "async" || ident == "move",
            _ => false,
        };
        returns
    })
}
