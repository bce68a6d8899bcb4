//! Another name for `self`, where attempts need a variable of their own for it: nothing else can be called `self`.

use proc_macro2::{Delimiter, Group, Ident, Literal, TokenStream, TokenTree};

/// The body with `name` for `self`.
pub(crate) fn rename_self(body: &Group, name: &Ident) -> Group {
    with_stream(body, renamed(body.stream(), name))
}

/// The group with other content, at the same place.
pub(crate) fn with_stream(group: &Group, stream: TokenStream) -> Group {
    let mut other = Group::new(group.delimiter(), stream);
    other.set_span(group.span());
    other
}

fn renamed(tokens: TokenStream, name: &Ident) -> TokenStream {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut output = Vec::with_capacity(tokens.len());
    // Items have a `self` of their own, imports and paths one that is a module.
    let mut in_item = false;
    let mut in_import = false;
    for (index, token) in tokens.iter().enumerate() {
        let is_path = is_punct(tokens.get(index + 1), ':') && is_punct(tokens.get(index + 2), ':');
        output.push(match token {
            TokenTree::Ident(ident) if ident == "self" && !in_import && !is_path => {
                let mut this = name.clone();
                this.set_span(name.span().located_at(ident.span()));
                TokenTree::Ident(this)
            }
            TokenTree::Ident(ident) => {
                in_item |= ident == "impl" || ident == "trait";
                in_import |= ident == "use";
                token.clone()
            }
            TokenTree::Punct(punct) => {
                in_import &= punct.as_char() != ';';
                token.clone()
            }
            TokenTree::Group(group) => {
                let is_body = group.delimiter() == Delimiter::Brace && std::mem::take(&mut in_item);
                let is_visibility = index > 0 && is_ident(tokens.get(index - 1), &["pub"]);
                if is_body || is_visibility || in_import {
                    token.clone()
                } else if index > 1
                    && is_punct(tokens.get(index - 1), '!')
                    && is_ident(tokens.get(index - 2), &FORMATTING)
                {
                    let mut inner: Vec<_> = renamed(group.stream(), name).into_iter().collect();
                    // Further strings are what it formats.
                    if let Some(format) = inner
                        .iter_mut()
                        .find(|token| token.to_string().contains('{') && is_string(token))
                    {
                        *format = captured(format, name);
                    }
                    TokenTree::Group(with_stream(group, inner.into_iter().collect()))
                } else {
                    TokenTree::Group(with_stream(group, renamed(group.stream(), name)))
                }
            }
            TokenTree::Literal(_) => token.clone(),
        });
    }
    output.into_iter().collect()
}

/// Macros whose string literals are format strings, which may name `self`: the standard library's, and those of the usual
/// crates for logs and errors.
const FORMATTING: [&str; 25] = [
    "anyhow",
    "assert",
    "assert_eq",
    "assert_ne",
    "bail",
    "debug",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "ensure",
    "eprint",
    "eprintln",
    "error",
    "format",
    "format_args",
    "info",
    "panic",
    "print",
    "println",
    "todo",
    "trace",
    "unreachable",
    "warn",
    "write",
    "writeln",
];

/// A format string with `name` for the `self` that it captures.
fn captured(format: &TokenTree, name: &Ident) -> TokenTree {
    // `{{self}}` is a word in braces.
    let escaped = format.to_string().replace("{{", "\u{0}");
    let renamed = escaped
        .replace("{self}", &format!("{{{name}}}"))
        .replace("{self:", &format!("{{{name}:"))
        .replace('\u{0}', "{{");
    match renamed.parse::<Literal>() {
        Ok(mut renamed) => {
            renamed.set_span(name.span().located_at(format.span()));
            TokenTree::Literal(renamed)
        }
        Err(_) => format.clone(),
    }
}

fn is_string(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Literal(literal) if literal.to_string().starts_with(['"', 'r']))
}

fn is_punct(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

fn is_ident(token: Option<&TokenTree>, names: &[&str]) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if names.iter().any(|name| ident == name))
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    fn with_this(text: &str) -> String {
        let tokens = text.parse().expect("the test's own text is made of tokens");
        renamed(tokens, &Ident::new("this", Span::call_site())).to_string()
    }

    fn tokens(text: &str) -> String {
        text.parse::<TokenStream>()
            .expect("the test's own text is made of tokens")
            .to_string()
    }

    #[test]
    fn every_self_of_the_method_is_renamed() {
        for (before, after) in [
            ("self.count += f(self)", "this.count += f(this)"),
            ("matches!(self, Self { .. })", "matches!(this, Self { .. })"),
            (
                "format!(\"{self} {self:?} {{self}} {x}\")",
                "format!(\"{this} {this:?} {{self}} {x}\")",
            ),
            (
                "|x| async move { self.f(x).await }",
                "|x| async move { this.f(x).await }",
            ),
        ] {
            assert_eq!(with_this(before), tokens(after), "`{before}`");
        }
    }

    #[test]
    fn another_self_is_not() {
        for text in [
            "use self::inner::g; use crate::m::{self, h};",
            "self::inner::g()",
            "pub(self) fn g() {}",
            "impl Tr for X { fn f(&self) -> u32 { self.0 } }",
            "trait Tr { fn f(&self) { self.g() } }",
            "let text = \"{self}\";",
            "vec![\"{self}\"]",
        ] {
            assert_eq!(with_this(text), tokens(text));
        }
    }
}
