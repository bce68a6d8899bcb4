//! Uses of variables in the tokens of a body. `self` is looked at more closely: what happens to it, and by which name.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

use super::captures::{Formatting, captures, formatting, with_capture};

/// Tells whether the tokens use the variable: by its name, or in a format string. In any other text, its name is a word.
pub(crate) fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    let plain = name.to_string();
    mentioned(tokens, name, plain.trim_start_matches("r#"), Formatting::No)
}

fn mentioned(tokens: TokenStream, name: &Ident, plain: &str, outside: Formatting) -> bool {
    let (mut second_last, mut last) = (None, None);
    for token in tokens {
        let found = match &token {
            TokenTree::Ident(ident) => ident == name,
            TokenTree::Literal(literal) => outside != Formatting::No && captures(literal, plain),
            TokenTree::Group(group) => {
                let inside = formatting([second_last.as_ref(), last.as_ref()], outside);
                mentioned(group.stream(), name, plain, inside)
            }
            TokenTree::Punct(_) => false,
        };
        if found {
            return true;
        }
        second_last = last.replace(token);
    }
    false
}

/// What a body does with `self`.
#[derive(Clone, Copy, Default)]
pub(super) struct SelfUses {
    pub(super) is_mentioned: bool,
    /// Something else is done with it than to use its fields.
    pub(super) is_used_as_a_whole: bool,
    /// It may be moved: passed on as a whole, or into a `move` closure or an `async move` block.
    pub(super) may_be_moved: bool,
}

/// A use of `self`.
#[derive(Clone, Copy, PartialEq)]
enum SelfUse {
    /// One of its fields.
    Field,
    /// As a whole, where it stands.
    Whole,
    /// It may be moved.
    Moved,
}

pub(super) fn self_uses(body: &Group) -> SelfUses {
    let mut uses = SelfUses::default();
    for_each_self(body.stream(), Place::default(), &mut |token, use_of_self| {
        uses.is_mentioned = true;
        uses.is_used_as_a_whole |= use_of_self != SelfUse::Field;
        uses.may_be_moved |= use_of_self == SelfUse::Moved;
        token.clone()
    });
    uses
}

/// The tokens with another name for `self`, which stands where `self` stood and means what it meant there: names in macros
/// resolve as before.
pub(crate) fn with_name_for_self(tokens: TokenStream, name: &str) -> TokenStream {
    for_each_self(tokens, Place::default(), &mut |token, _| match token {
        TokenTree::Literal(literal) => TokenTree::Literal(with_capture(literal, "self", name)),
        other => TokenTree::Ident(Ident::new(name, other.span())),
    })
}

/// The group with other content, at the same place.
pub(crate) fn with_stream(group: &Group, stream: TokenStream) -> Group {
    let mut other = Group::new(group.delimiter(), stream);
    other.set_span(group.span());
    other
}

/// Where tokens stand.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Behind a `move`, up to the end of the statement.
    is_moved_into: bool,
    formatting: Formatting,
}

/// The tokens, with what `replace` makes of every `self` of the method and of every format string that captures it.
fn for_each_self(
    tokens: TokenStream,
    mut place: Place,
    replace: &mut impl FnMut(&TokenTree, SelfUse) -> TokenTree,
) -> TokenStream {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let outside = place;
    // Items have a `self` of their own, imports and paths one that is a module.
    let (mut in_item, mut in_import) = (false, false);
    let replaced = tokens.iter().enumerate().map(|(index, token)| {
        let before = |distance| index.checked_sub(distance).and_then(|index| tokens.get(index));
        match token {
            TokenTree::Ident(ident) if ident == "self" => {
                let is_module = in_import || is_path(&tokens[index + 1..]);
                if is_module {
                    return token.clone();
                }
                let after = &tokens[index + 1..];
                let may_be_moved = place.is_moved_into || !is_place([before(2), before(1)], after.first(), place);
                replace(
                    token,
                    if may_be_moved {
                        SelfUse::Moved
                    } else {
                        use_in_place(after)
                    },
                )
            }
            TokenTree::Ident(ident) => {
                in_item |= ident == "impl" || ident == "trait";
                in_import |= ident == "use" && !is_punct(tokens.get(index + 1), '<');
                place.is_moved_into |= ident == "move";
                token.clone()
            }
            TokenTree::Punct(punct) => {
                if punct.as_char() == ';' {
                    in_import = false;
                    place = outside;
                }
                token.clone()
            }
            TokenTree::Literal(literal) if place.formatting != Formatting::No && captures(literal, "self") => replace(
                token,
                if place.is_moved_into {
                    SelfUse::Moved
                } else {
                    SelfUse::Whole
                },
            ),
            TokenTree::Literal(_) => token.clone(),
            TokenTree::Group(group) => {
                let is_body = group.delimiter() == Delimiter::Brace && std::mem::take(&mut in_item);
                let is_visibility = is_ident(before(1), "pub");
                if is_body || is_visibility || in_import {
                    return token.clone();
                }
                let formatting = formatting([before(2), before(1)], place.formatting);
                let inner = for_each_self(group.stream(), Place { formatting, ..place }, replace);
                TokenTree::Group(with_stream(group, inner))
            }
        }
    });
    replaced.collect()
}

/// Tells whether a `self` that is a `&mut` is used in a way that leaves it where it is: a field or method of it, a borrow, what
/// it points to, a `match`, an argument of a macro that formats it.
fn is_place(before: [Option<&TokenTree>; 2], after: Option<&TokenTree>, place: Place) -> bool {
    let is_range = matches!(after, Some(TokenTree::Punct(dot)) if dot.spacing() == proc_macro2::Spacing::Joint);
    let [second_last, last] = before;
    let is_borrowed = is_punct(last, '&') || is_ident(last, "mut") && is_punct(second_last, '&');
    // `?self` and `%self` are fields of a `tracing` event.
    let is_shown = match place.formatting {
        Formatting::No => false,
        Formatting::Maybe => is_punct(last, '?') || is_punct(last, '%'),
        Formatting::Known => true,
    };
    is_punct(after, '.') && !is_range || is_borrowed || is_punct(last, '*') || is_ident(last, "match") || is_shown
}

/// What the tokens behind a `self` that stays where it is make of it.
fn use_in_place(after: &[TokenTree]) -> SelfUse {
    match after {
        // A method, with or without the types of its generics.
        [_, TokenTree::Ident(_), TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Parenthesis => {
            SelfUse::Whole
        }
        [_, TokenTree::Ident(_), rest @ ..] if is_path(rest) => SelfUse::Whole,
        [TokenTree::Punct(dot), TokenTree::Ident(_) | TokenTree::Literal(_), ..] if dot.as_char() == '.' => {
            SelfUse::Field
        }
        _ => SelfUse::Whole,
    }
}

fn is_path(after: &[TokenTree]) -> bool {
    is_punct(after.first(), ':') && is_punct(after.get(1), ':')
}

fn is_punct(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

fn is_ident(token: Option<&TokenTree>, name: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == name)
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    fn body(text: &str) -> Group {
        let tokens = text.parse().expect("the test's own text is made of tokens");
        Group::new(Delimiter::Brace, tokens)
    }

    fn renamed(text: &str) -> String {
        with_name_for_self(body(text).stream(), "this").to_string()
    }

    fn is_mentioned(text: &str, name: &str) -> bool {
        mentions(body(text).stream(), &Ident::new(name, Span::call_site()))
    }

    #[test]
    fn a_name_in_a_text_is_a_word() {
        assert!(is_mentioned("read(path)", "path"));
        assert!(is_mentioned("log::info!(\"{path:?}\")", "path"));
        assert!(is_mentioned("vec![format!(\"{path}\")]", "path"));
        assert!(!is_mentioned("Err(\"no_path\".into())", "path"));
        assert!(!is_mentioned("Err(\"{path}\".into())", "path"));
        assert!(!is_mentioned("vec![\"{path}\"]", "path"));
        assert!(!is_mentioned("format!(\"path\")", "path"));
    }

    #[test]
    fn every_self_of_the_method_is_renamed() {
        for (before, after) in [
            ("self.count += f(self)", "this.count += f(this)"),
            ("matches!(self, Self { .. })", "matches!(this, Self { .. })"),
            ("unimplemented!(\"{x} {self:?}\")", "unimplemented!(\"{x} {this:?}\")"),
            ("|x| async move { self.f(x) }", "|x| async move { this.f(x) }"),
            (
                "fn f() -> impl Sized + use<'a> {} self",
                "fn f() -> impl Sized + use<'a> {} this",
            ),
        ] {
            assert_eq!(renamed(before), body(after).stream().to_string(), "`{before}`");
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
            assert_eq!(renamed(text), body(text).stream().to_string());
            assert!(!self_uses(&body(text)).is_mentioned, "`{text}`");
        }
    }

    #[test]
    fn what_may_move_it_is_recognized() {
        for text in [
            "let this = self;",
            "f(self)",
            "async move { self.f() }",
            "x.map(move |x| self.f(x))",
            "f(async move { 1 }, self.x)",
            "dbg!(self)",
            "tokio::join!(a, self)",
            "format!(\"{}\", f(self))",
            "self..",
        ] {
            assert!(self_uses(&body(text)).may_be_moved, "`{text}` may move it");
        }
        for text in [
            "self.f(); async { self.g() }",
            "f(&self, &mut self, *self)",
            "match self { Self { x } => x }",
            "info!(?self, %self); format!(\"{self} {}\", self)",
            "g(async move { 1 }); self.f()",
        ] {
            let uses = self_uses(&body(text));
            assert!(uses.is_mentioned && !uses.may_be_moved, "`{text}` does not move it");
        }
    }

    #[test]
    fn a_use_of_fields_is_no_use_of_the_whole() {
        for text in ["self.a += self.0", "self.a.push(1)", "async { self.a.b() }"] {
            assert!(!self_uses(&body(text)).is_used_as_a_whole, "`{text}` uses fields");
        }
        for text in [
            "self.push(1)",
            "self.push::<u8>(1)",
            "f(&mut self)",
            "info!(\"{self}\")",
            "self.a; *self",
        ] {
            assert!(self_uses(&body(text)).is_used_as_a_whole, "`{text}` uses the whole");
        }
    }
}
