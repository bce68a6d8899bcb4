//! The text of `#[sandboxed(..)]` to [`Args`]: which keys there are and what values they take.
//!
//! Only what can be told from the text is checked here. What the numbers mean together, and what constants are, the
//! runtime's `Policy::validate` decides when the expansion is compiled.

use proc_macro2::{Ident, TokenStream};
use syn::parse::{ParseStream, Parser};
use syn::{Expr, ExprLit, ExprUnary, Lit, Token, UnOp, token};

use crate::errors::Errors;

/// The arguments as the user gave them; what is absent keeps the runtime's default.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) timeout_ms: Option<Expr>,
    pub(crate) max_retries: Option<Expr>,
    pub(crate) backoff_base_ms: Option<Expr>,
    pub(crate) breaker: Breaker,
}

#[derive(Default)]
pub(crate) struct Breaker {
    pub(crate) threshold: Option<Expr>,
    pub(crate) cooldown_ms: Option<Expr>,
}

/// Where a key may stand and what it takes: the one list of all there is.
struct Key {
    name: &'static str,
    within: Section,
    takes: Takes,
}

#[derive(Clone, Copy, PartialEq)]
enum Section {
    Attribute,
    Breaker,
}

#[derive(Clone, Copy)]
enum Takes {
    Number {
        unit: &'static str,
        range: (u64, u64),
        why_min: &'static str,
        example: u64,
    },
    Section(Section),
}

const MILLIS: &str = "milliseconds";

const KEYS: &[Key] = &[
    Key {
        name: "timeout_ms",
        within: Section::Attribute,
        takes: Takes::Number {
            unit: MILLIS,
            range: (1, u64::MAX),
            why_min: "every attempt would time out",
            example: 5_000,
        },
    },
    Key {
        name: "max_retries",
        within: Section::Attribute,
        takes: Takes::Number {
            unit: "retries",
            range: (0, u32::MAX as u64),
            why_min: "",
            example: 2,
        },
    },
    Key {
        name: "backoff_base_ms",
        within: Section::Attribute,
        takes: Takes::Number {
            unit: MILLIS,
            range: (0, u64::MAX),
            why_min: "",
            example: 500,
        },
    },
    Key {
        name: "breaker",
        within: Section::Attribute,
        takes: Takes::Section(Section::Breaker),
    },
    Key {
        name: "threshold",
        within: Section::Breaker,
        takes: Takes::Number {
            unit: "failures",
            range: (1, u32::MAX as u64),
            why_min: "the breaker would never let a call pass",
            example: 5,
        },
    },
    Key {
        name: "cooldown_ms",
        within: Section::Breaker,
        takes: Takes::Number {
            unit: MILLIS,
            range: (0, u64::MAX),
            why_min: "",
            example: 30_000,
        },
    },
];

impl Args {
    pub(crate) fn parse(text: TokenStream, errors: &mut Errors) -> Args {
        let mut args = Args::default();
        let parser = |input: ParseStream<'_>| {
            args.section(input, Section::Attribute, errors);
            Ok(())
        };
        if let Err(error) = parser.parse2(text) {
            errors.push(error);
        }
        args
    }

    /// Where the value of a number is kept.
    fn number(&mut self, name: &str) -> Option<&mut Option<Expr>> {
        Some(match name {
            "timeout_ms" => &mut self.timeout_ms,
            "max_retries" => &mut self.max_retries,
            "backoff_base_ms" => &mut self.backoff_base_ms,
            "threshold" => &mut self.breaker.threshold,
            "cooldown_ms" => &mut self.breaker.cooldown_ms,
            _ => return None,
        })
    }

    /// Reads `key = value, key(..), ..`; after a mistake it goes on behind the next comma.
    fn section(&mut self, input: ParseStream<'_>, section: Section, errors: &mut Errors) {
        let mut seen: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            if let Err(error) = self.entry(input, section, &mut seen, errors) {
                errors.push(error);
                skip_to_comma(input);
            }
            if !input.is_empty() && input.parse::<Token![,]>().is_err() {
                errors.push(input.error("expected a comma between two arguments"));
                skip_to_comma(input);
            }
        }
    }

    fn entry(
        &mut self,
        input: ParseStream<'_>,
        section: Section,
        seen: &mut Vec<Ident>,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        let Ok(name) = input.parse::<Ident>() else {
            return Err(input.error(format!("expected an argument such as {}", list_of(section))));
        };
        let Some(key) = KEYS.iter().find(|key| key.within == section && name == key.name) else {
            skip_to_comma(input);
            return Err(syn::Error::new(name.span(), unknown(&name.to_string(), section)));
        };
        if seen.contains(&name) {
            skip_to_comma(input);
            return Err(syn::Error::new(
                name.span(),
                format!("`{name}` is given twice; keep one of them"),
            ));
        }
        seen.push(name.clone());
        match key.takes {
            Takes::Section(inner) => {
                if !input.peek(token::Paren) {
                    let message = format!("`{name}` takes arguments in parentheses: {}", list_of(inner));
                    return Err(syn::Error::new(name.span(), message));
                }
                let content;
                syn::parenthesized!(content in input);
                self.section(&content, inner, errors);
            }
            Takes::Number { unit, example, .. } => {
                if !input.peek(Token![=]) {
                    let message = format!("`{name}` takes a number of {unit}; write `{name} = {example}`");
                    return Err(syn::Error::new(name.span(), message));
                }
                input.parse::<Token![=]>()?;
                if input.is_empty() || input.peek(Token![,]) {
                    let message = format!("the value of `{name}` is missing; write `{name} = {example}`");
                    return Err(syn::Error::new(name.span(), message));
                }
                let value: Expr = input.parse()?;
                check_number(key, &value, errors);
                if let Some(place) = self.number(key.name) {
                    *place = Some(value);
                }
            }
        }
        Ok(())
    }
}

/// Checks what a literal shows; any other expression is left to the compiler and the runtime.
fn check_number(key: &Key, value: &Expr, errors: &mut Errors) {
    let Takes::Number {
        unit,
        range: (min, max),
        why_min,
        example,
    } = key.takes
    else {
        return;
    };
    let name = key.name;
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Int(literal), ..
        }) => match literal.base10_parse::<u64>() {
            Ok(number) if number < min => {
                let message = format!("`{name}` is {number}, so that {why_min}; set at least {min}");
                errors.report(value, message);
            }
            Ok(number) if number <= max => {}
            _ => errors.report(value, format!("`{name}` is out of range; it is at most {max}")),
        },
        Expr::Lit(_) => {
            let message = format!("`{name}` takes a whole number of {unit}; write `{name} = {example}`");
            errors.report(value, message);
        }
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_), expr, ..
        }) if matches!(**expr, Expr::Lit(_)) => {
            errors.report(value, format!("`{name}` cannot be negative; set at least {min}"));
        }
        _ => {}
    }
}

fn skip_to_comma(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        // A token tree parses from anything that is not the end.
        if input.parse::<proc_macro2::TokenTree>().is_err() {
            return;
        }
    }
}

fn unknown(name: &str, section: Section) -> String {
    let known = list_of(section);
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return match key.within {
            Section::Breaker => format!("`{name}` belongs to the breaker; write `breaker({name} = ..)`"),
            Section::Attribute => format!("`{name}` is no setting of the breaker; move it out of `breaker(..)`"),
        };
    }
    let nearest = KEYS
        .iter()
        .filter(|key| key.within == section)
        .map(|key| (edit_distance(name, key.name), key.name))
        .min();
    match nearest {
        // Further off than a third of the word is another word.
        Some((distance, nearest)) if distance <= nearest.len().div_ceil(3) => {
            format!("unknown argument `{name}`; did you mean `{nearest}`? (there are {known})")
        }
        _ => format!("unknown argument `{name}`; there are {known}"),
    }
}

/// The keys of a section, for a message.
fn list_of(section: Section) -> String {
    let names: Vec<_> = KEYS
        .iter()
        .filter(|key| key.within == section)
        .map(|key| format!("`{}`", key.name))
        .collect();
    names.join(", ")
}

/// How many characters must be inserted, removed or replaced to turn one word into the other (Levenshtein).
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, character) in from.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(character != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        let mut errors = Errors::default();
        Args::parse(
            text.parse().expect("the test's own text is made of tokens"),
            &mut errors,
        );
        errors.messages()
    }

    #[test]
    fn every_number_of_the_table_has_a_place() {
        for key in KEYS {
            if let Takes::Number { .. } = key.takes {
                assert!(
                    Args::default().number(key.name).is_some(),
                    "`{}` is thrown away",
                    key.name
                );
            }
        }
    }

    #[test]
    fn distances() {
        assert_eq!(edit_distance("timeout", "timeout_ms"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("retries", "retires"), 2);
    }

    #[test]
    fn no_text_panics_and_every_mistake_is_told() {
        assert!(messages("").is_empty());
        assert!(messages("timeout_ms = 1, max_retries = 0, backoff_base_ms = 0, breaker(threshold = 1,),").is_empty());
        for (text, mistakes) in [
            (",", 1),
            ("= 5", 1),
            ("5", 1),
            ("timeout_ms", 1),
            ("timeout_ms =", 1),
            ("timeout_ms = , max_retries = true", 2),
            ("timeout_ms == 5", 1),
            ("timeout_ms = 5 max_retries = 1", 1),
            ("timeout_ms(5)", 1),
            ("breaker", 1),
            ("breaker()", 0),
            ("breaker = 5", 1),
            ("breaker(threshold)", 1),
            ("breaker(5), timeout = 0, max_retries = -1", 3),
            ("\"timeout_ms\" = 5, timeout_ms = 1.5", 2),
            ("timeout_ms = 99999999999999999999999999999999999999999", 1),
            ("max_retries = 4294967296", 1),
            ("r#timeout_ms = 5", 1),
            ("timeout_ms = 1, timeout_ms = 1, timeout_ms = 1", 2),
        ] {
            let messages = messages(text);
            assert_eq!(messages.len(), mistakes, "`{text}` gave {messages:?}");
        }
    }
}
