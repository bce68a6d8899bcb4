//! [`ToolAttribute`]: what rmcp's `#[tool(..)]` says of a function: what clients call it, and what running it twice would do.

use proc_macro2::TokenStream;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, ExprLit, Ident, Lit, Meta, Token, parenthesized, token};

use super::Item;

/// The parts of `#[tool(name = "..", annotations(..))]` that matter here. Whatever else stands in it, and what it says by anything
/// but literals, is rmcp's to read.
#[derive(Default)]
pub(crate) struct ToolAttribute {
    pub(crate) name: Option<Expr>,
    read_only: Option<bool>,
    destructive: Option<bool>,
    idempotent: Option<bool>,
}

impl ToolAttribute {
    /// Whether running the tool twice is as good as running it once, if the hints say that. One that is left out has the
    /// protocol's default: the tool writes, and doing that again does more
    /// ([MCP, `ToolAnnotations`](https://modelcontextprotocol.io/specification/2025-11-25/schema#toolannotations)).
    pub(crate) fn is_idempotent(&self) -> Option<bool> {
        self.read_only.or(self.destructive).or(self.idempotent)?;
        Some(self.read_only == Some(true) || self.idempotent == Some(true))
    }

    /// Whether the hints say that the tool destroys something, and another thing each time.
    pub(crate) fn destroys_each_time(&self) -> bool {
        self.destructive == Some(true) && self.idempotent == Some(false)
    }

    fn read(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            if key == "annotations" && input.peek(token::Paren) {
                let hints;
                parenthesized!(hints in input);
                self.read(&hints)?;
            } else if input.peek(Token![=]) {
                input.parse::<Token![=]>()?;
                let value: Expr = input.parse()?;
                match key.to_string().as_str() {
                    "name" => self.name = Some(value).filter(is_text),
                    "read_only_hint" => self.read_only = truth(&value),
                    "destructive_hint" => self.destructive = truth(&value),
                    "idempotent_hint" => self.idempotent = truth(&value),
                    _ => {}
                }
            } else if input.peek(token::Paren) {
                let other;
                parenthesized!(other in input);
                other.parse::<TokenStream>()?;
            }
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(())
    }
}

fn is_text(value: &Expr) -> bool {
    matches!(value, Expr::Lit(ExprLit { lit: Lit::Str(_), .. }))
}

fn truth(value: &Expr) -> Option<bool> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Bool(value), ..
        }) => Some(value.value),
        _ => None,
    }
}

impl Item {
    /// What the function's `#[tool]` says, as far as it stands below.
    pub(crate) fn tool_attribute(&self) -> ToolAttribute {
        let mut tool = ToolAttribute::default();
        let lists = self
            .attributes_named("tool")
            .filter_map(|attribute| match &attribute.meta {
                Meta::List(list) => Some(list.tokens.clone()),
                _ => None,
            });
        for tokens in lists {
            // What rmcp does not understand either, it reports.
            let _ = (|input: ParseStream<'_>| tool.read(input)).parse2(tokens);
        }
        tool
    }
}
