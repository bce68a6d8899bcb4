//! Format strings: which macros have one, and which variables it names.

use proc_macro2::{Literal, TokenTree};

/// Macros whose string literals are plain texts. A macro of any other name may format them.
const PLAIN: [&str; 11] = [
    "concat",
    "env",
    "include",
    "include_bytes",
    "include_str",
    "json",
    "matches",
    "option_env",
    "regex",
    "stringify",
    "vec",
];

/// Macros that are known to format their arguments, which they borrow.
const FORMATTING: [&str; 26] = [
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
    "unimplemented",
    "unreachable",
    "warn",
    "write",
    "writeln",
];

/// What a place in the body has to do with format strings.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Formatting {
    /// Strings are texts.
    #[default]
    No,
    /// Strings may be format strings: somewhere in the arguments of a macro.
    Maybe,
    /// The arguments of a macro that formats them.
    Known,
}

/// What is to be said of the content of a group, from the two tokens in front of it and from what is around it.
pub(super) fn formatting(before: [Option<&TokenTree>; 2], outside: Formatting) -> Formatting {
    let is_one = |name: &proc_macro2::Ident, names: &[&str]| names.iter().any(|one| name == one);
    match before {
        [Some(TokenTree::Ident(name)), Some(TokenTree::Punct(bang))] if bang.as_char() == '!' => {
            if is_one(name, &PLAIN) {
                Formatting::No
            } else if is_one(name, &FORMATTING) {
                Formatting::Known
            } else {
                Formatting::Maybe
            }
        }
        _ if outside == Formatting::No => Formatting::No,
        _ => Formatting::Maybe,
    }
}

/// Tells whether a literal, as a format string, names the variable: `{name}`, `{name:?}`, or `name$` in a width or a precision.
pub(super) fn captures(literal: &Literal, name: &str) -> bool {
    let mut found = false;
    map_captures(&literal.to_string(), &mut |captured| {
        found |= captured == name;
        None
    });
    found
}

/// The literal with another name for a variable that it captures.
pub(super) fn with_capture(literal: &Literal, name: &str, other: &str) -> Literal {
    let text = map_captures(&literal.to_string(), &mut |captured| {
        (captured == name).then_some(other)
    });
    match text.parse::<Literal>() {
        Ok(mut renamed) => {
            renamed.set_span(literal.span());
            renamed
        }
        Err(_) => literal.clone(),
    }
}

/// The source of a string literal, with what `other` has for the names that it captures.
fn map_captures<'a>(source: &str, other: &mut impl FnMut(&str) -> Option<&'a str>) -> String {
    let is_raw = source.starts_with('r');
    if !is_raw && !source.starts_with('"') {
        return source.to_owned();
    }
    let mut output = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(brace) = rest.find('{') {
        let (before, from_brace) = rest.split_at(brace);
        output.push_str(before);
        // `{{` is a brace, and `\u{..}` a character.
        let escaped = from_brace.starts_with("{{");
        let end = match from_brace.find('}') {
            Some(end) if !escaped && (is_raw || !before.ends_with("\\u")) => end,
            _ => {
                let skipped = if escaped { 2 } else { 1 };
                output.push_str(&from_brace[..skipped]);
                rest = &from_brace[skipped..];
                continue;
            }
        };
        placeholder(&from_brace[..end], other, &mut output);
        rest = &from_brace[end..];
    }
    output.push_str(rest);
    output
}

/// Writes a placeholder, such as `{name:>width$`, whose names may be others.
fn placeholder<'a>(text: &str, other: &mut impl FnMut(&str) -> Option<&'a str>, output: &mut String) {
    let mut is_argument = true;
    let mut rest = text;
    while !rest.is_empty() {
        let length = rest.find(|character| !is_of_name(character)).unwrap_or(rest.len());
        if length == 0 {
            let (character, after) = rest.split_at(rest.chars().next().map_or(0, char::len_utf8));
            is_argument &= character != ":";
            output.push_str(character);
            rest = after;
            continue;
        }
        let (word, after) = rest.split_at(length);
        let is_name = is_argument || after.starts_with('$');
        output.push_str(is_name.then(|| other(word)).flatten().unwrap_or(word));
        rest = after;
    }
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(source: &str) -> Literal {
        source.parse().expect("the test's own text is a literal")
    }

    #[test]
    fn names_in_placeholders_are_captured() {
        for source in [
            r#""{path}""#,
            r#""{path:?} {}""#,
            r#""{{{path}}}""#,
            r#""{ path }""#,
            r#""{:path$}""#,
            r#""{:>1.path$} {path}""#,
            r#""{0:.path$}""#,
            r##"r#"\u{path}"#"##,
            "\"a\\u{1f600} {path}\"",
        ] {
            assert!(captures(&literal(source), "path"), "{source} names it");
        }
    }

    #[test]
    fn other_words_are_not() {
        for source in [
            r#""path""#,
            r#""no_path {no_path}""#,
            r#""{{path}}""#,
            r#""{path_2}""#,
            r#""{0:path}""#,
            r#""{""#,
            r#"b"{path}""#,
            r#"'p'"#,
            "1",
        ] {
            assert!(!captures(&literal(source), "path"), "{source} does not name it");
        }
    }

    #[test]
    fn a_capture_gets_another_name_and_nothing_else_does() {
        let before = r#""{self:?} self {{self}} {self.} {:>self$} {by}""#;
        let after = r#""{this:?} self {{self}} {this.} {:>this$} {by}""#;
        assert_eq!(with_capture(&literal(before), "self", "this").to_string(), after);
    }
}
