//! From the text of `#[sandboxed(..)]` to [`Args`]: which keys are given, and with what values.
//!
//! Only what the text shows is checked here. Constants, and numbers beside defaults, are the runtime's to check when the
//! expansion is compiled.

mod bounds;
mod defaults;
mod keys;
mod rules;
#[cfg(test)]
mod tests;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, ExprLit, ExprPath, ExprUnary, Lit, Path, Stmt, Token, UnOp, token};

use crate::errors::Errors;
use crate::item::mentions;
use bounds::Bounds;
use keys::{find, keys_of, unknown_key};
use rules::{FAILURE_RATE, ORDERS};

pub(crate) use keys::{KEYS, Key, KeySpec, Section, ValueKind, edit_distance};
pub(crate) use rules::expansion as rules;

/// The arguments that the user gave; the rest keep the runtime's defaults.
#[derive(Default)]
pub(crate) struct Args {
    settings: Vec<Setting>,
}

struct Setting {
    key: Key,
    ident: Ident,
    /// `None` for `breaker(..)`, whose arguments are settings of their own.
    value: Option<Expr>,
}

/// Where a function's breaker comes from.
pub(crate) enum Breaker<'a> {
    /// A static of the function's own.
    Own,
    Off,
    Given(&'a Expr),
}

impl Args {
    pub(crate) fn parse(text: TokenStream, errors: &mut Errors) -> Args {
        let mut args = Args::default();
        let parser = |input: ParseStream<'_>| {
            args.parse_section(input, Section::Attribute, errors);
            Ok(())
        };
        if let Err(error) = parser.parse2(text) {
            errors.push(error);
        }
        args.check_together(errors);
        args
    }

    /// The value that was given for a key.
    pub(crate) fn value(&self, key: Key) -> Option<&Expr> {
        self.setting(key)?.value.as_ref()
    }

    pub(crate) fn breaker(&self) -> Breaker<'_> {
        match self.value(Key::Breaker) {
            None => Breaker::Own,
            Some(value) if is_word(value, "off") => Breaker::Off,
            Some(value) => Breaker::Given(value),
        }
    }

    /// Tells whether an argument of the function is named by one of the attribute.
    pub(crate) fn mention(&self, name: &Ident) -> bool {
        let values = self.settings.iter().filter_map(|setting| setting.value.as_ref());
        values
            .map(ToTokens::to_token_stream)
            .any(|tokens| mentions(tokens, name))
    }

    /// The path of the runtime crate, if it is another one than usual.
    pub(crate) fn runtime(&self) -> Option<&Path> {
        match self.value(Key::Crate)? {
            Expr::Path(path) => Some(&path.path),
            _ => None,
        }
    }

    /// Tells whether the text shows that there is only one attempt.
    pub(crate) fn is_single_attempt(&self) -> bool {
        self.allows_retries() == Some(false)
    }

    /// Tells whether there may be a second attempt; `None` if the text does not show it.
    pub(crate) fn allows_retries(&self) -> Option<bool> {
        match self.value(Key::MaxRetries) {
            // A policy that is not known before the program runs may allow retries.
            _ if self.value(Key::Policy).is_some() => Some(true),
            Some(number) => literal(number).map(|number| number > 0),
            None => Some(true),
        }
    }

    /// The number that the text gives for a key, if it makes sense by itself.
    fn number(&self, key: Key) -> Option<u64> {
        let number = self.value(key).and_then(literal)?;
        let spec = key.spec()?;
        match spec.kind {
            ValueKind::Number { bounds, .. } if bounds.contains(number) => Some(number),
            _ => None,
        }
    }

    fn setting(&self, key: Key) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// Reads `key = value, key(..), ..`; after a mistake it continues behind the next comma.
    fn parse_section(&mut self, input: ParseStream<'_>, section: Section, errors: &mut Errors) {
        while !input.is_empty() {
            if let Err(error) = self.parse_setting(input, section, errors) {
                errors.push(error);
                skip_to_comma(input);
            }
            if !input.is_empty() && input.parse::<Token![,]>().is_err() {
                errors.push(input.error("expected a comma between two arguments"));
                skip_to_comma(input);
            }
        }
    }

    fn parse_setting(&mut self, input: ParseStream<'_>, section: Section, errors: &mut Errors) -> syn::Result<()> {
        let Ok(given) = input.call(Ident::parse_any) else {
            return Err(input.error(format!("expected an argument such as {}", keys_of(section))));
        };
        let Some(spec) = find(&given.to_string(), section) else {
            return Err(syn::Error::new(given.span(), unknown_key(&given.to_string(), section)));
        };
        if self.setting(spec.key).is_some() {
            let message = format!("{} is given twice; keep one of them", spec.key);
            return Err(syn::Error::new(given.span(), message));
        }
        let value = match spec.kind {
            ValueKind::Breaker if input.peek(token::Paren) => {
                let content;
                syn::parenthesized!(content in input);
                self.parse_section(&content, Section::Breaker, errors);
                None
            }
            _ => Some(parse_value(spec, &given, input)?),
        };
        if let Some(value) = &value {
            check_value(spec, value, errors);
        }
        self.settings.push(Setting {
            key: spec.key,
            ident: given,
            value,
        });
        Ok(())
    }

    /// Checks what the arguments mean together.
    fn check_together(&self, errors: &mut Errors) {
        self.check_pairs(errors);
        if let Some(jitter) = self.setting(Key::Jitter)
            && self.is_single_attempt()
        {
            let message = "`jitter` has no effect with `max_retries = 0`: there is no delay to spread; remove it";
            errors.push(syn::Error::new(jitter.ident.span(), message));
        }
        for order in ORDERS {
            if let Some(value) = self.value(order.longer)
                && let (Some(longer), Some(shorter)) = (self.number(order.longer), self.number(order.shorter))
                && let Some(message) = order.broken_by(longer, shorter)
            {
                errors.report(value, message);
            }
        }
    }

    /// Checks which keys exclude each other and which need another one.
    fn check_pairs(&self, errors: &mut Errors) {
        for (one, other, remedy) in [
            (
                Key::Threshold,
                Key::Window,
                "a breaker counts failures in a row or in a window; keep one of them",
            ),
            (
                Key::RetryIf,
                Key::Classify,
                "`classify` decides which errors are retried, too; keep one of them",
            ),
            (
                Key::IgnoreIf,
                Key::Classify,
                "`classify` decides which errors are the caller's fault, too; keep one of them",
            ),
        ] {
            if let (Some(_), Some(other_setting)) = (self.setting(one), self.setting(other)) {
                let message = format!("{one} and {other} exclude each other: {remedy}");
                errors.push(syn::Error::new(other_setting.ident.span(), message));
            }
        }
        if self.setting(Key::Policy).is_some() {
            for setting in &self.settings {
                if setting.key.spec().is_some_and(KeySpec::is_of_policy) {
                    let message = format!(
                        "{} is a part of `policy`; set it there, or remove `policy`",
                        setting.key
                    );
                    errors.push(syn::Error::new(setting.ident.span(), message));
                }
            }
        }
        for (one, needed, example) in [
            (Key::Window, Key::FailureRate, "failure_rate = 0.5"),
            (Key::FailureRate, Key::Window, "window = 20"),
        ] {
            if let (Some(setting), None) = (self.setting(one), self.setting(needed)) {
                let message = format!("{one} has no effect without {needed}; add `{example}`");
                errors.push(syn::Error::new(setting.ident.span(), message));
            }
        }
    }
}

/// Reads `= value`.
fn parse_value(spec: &KeySpec, given: &Ident, input: ParseStream<'_>) -> syn::Result<Expr> {
    let missing = |fact: &str| syn::Error::new(given.span(), format!("{fact}; {}", remedy(spec)));
    if !input.peek(Token![=]) || input.peek(Token![==]) {
        return Err(syn::Error::new(given.span(), mistyped(spec)));
    }
    input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(missing(&format!("the value of {} is missing", spec.key)));
    }
    match input.parse() {
        Ok(value) => Ok(unbraced(value)),
        Err(_) if input.is_empty() => Err(missing(&format!("the value of {} is cut short", spec.key))),
        Err(error) => Err(error),
    }
}

/// `value` of `{ value }` and `(value)`: in an expansion, the compiler would warn that they are unnecessary.
fn unbraced(value: Expr) -> Expr {
    match value {
        Expr::Paren(paren) => unbraced(*paren.expr),
        Expr::Block(mut block) if block.label.is_none() && block.block.stmts.len() == 1 => {
            match block.block.stmts.pop() {
                Some(Stmt::Expr(inner, None)) => inner,
                other => {
                    block.block.stmts.extend(other);
                    Expr::Block(block)
                }
            }
        }
        other => other,
    }
}

/// Checks what the text of a value shows; any other expression is left to the compiler.
fn check_value(spec: &KeySpec, value: &Expr, errors: &mut Errors) {
    let mistake = match spec.kind {
        _ if spec.may_be_off && is_word(value, "off") => None,
        ValueKind::Number { bounds, .. } => mistake_in_number(spec, bounds, value),
        ValueKind::Rate => mistake_in_rate(spec, value),
        kind => (!may_be(kind, value)).then(|| mistyped(spec)),
    };
    if let Some(message) = mistake {
        errors.report(value, message);
    }
}

fn mistake_in_number(spec: &KeySpec, bounds: Bounds, value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number), ..
        }) => {
            // What does not fit is out of the range of every key.
            let number = number.base10_parse().unwrap_or(u128::MAX);
            bounds.broken_by(spec.key, number)
        }
        Expr::Lit(_) => Some(mistyped(spec)),
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_), expr, ..
        }) if matches!(**expr, Expr::Lit(_)) => {
            let (key, minimum) = (spec.key, bounds.minimum());
            Some(format!("{key} cannot be negative; set at least {minimum}"))
        }
        _ => None,
    }
}

fn mistake_in_rate(spec: &KeySpec, value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Float(rate), ..
        }) => {
            let rate = rate.base10_parse().unwrap_or(f64::NAN);
            FAILURE_RATE.broken_by(rate).map(str::to_owned)
        }
        Expr::Lit(_) | Expr::Unary(_) => Some(mistyped(spec)),
        _ => None,
    }
}

/// Tells whether the text of a value can be of a kind other than numbers.
fn may_be(kind: ValueKind, value: &Expr) -> bool {
    match kind {
        ValueKind::Number { .. } | ValueKind::Rate => true,
        ValueKind::Word(words) => words.iter().any(|word| is_word(value, word)),
        ValueKind::Bool => matches!(value, Expr::Lit(ExprLit { lit: Lit::Bool(_), .. })),
        ValueKind::Text => matches!(value, Expr::Lit(ExprLit { lit: Lit::Str(_), .. })) || is_constant(value),
        ValueKind::Path => matches!(value, Expr::Path(ExprPath { qself: None, .. })),
        ValueKind::Expression(_) | ValueKind::Breaker => !matches!(value, Expr::Lit(_)),
    }
}

fn mistyped(spec: &KeySpec) -> String {
    format!("{} takes {}; {}", spec.key, expected(spec), remedy(spec))
}

/// What a key takes, for a message.
fn expected(spec: &KeySpec) -> String {
    match spec.kind {
        ValueKind::Number { unit, .. } => format!("a whole number of {unit}"),
        ValueKind::Rate => "a number with a decimal point, above 0.0 and at most 1.0".to_owned(),
        ValueKind::Word(words) => format!("one of `{}`", words.join("`, `")),
        ValueKind::Bool => "`true` or `false`".to_owned(),
        ValueKind::Expression(what) => what.to_owned(),
        ValueKind::Text => "a string literal or the path of a constant".to_owned(),
        ValueKind::Path => "a path".to_owned(),
        ValueKind::Breaker => "arguments in parentheses, `off`, or an expression for a `&CircuitBreaker`".to_owned(),
    }
}

fn remedy(spec: &KeySpec) -> String {
    let text = spec.text;
    match spec.kind {
        ValueKind::Number { example, .. } => format!("write `{text} = {example}`"),
        ValueKind::Rate => format!("write `{text} = 0.5`"),
        ValueKind::Word(words) => format!("write `{text} = {}`", words.last().copied().unwrap_or_default()),
        ValueKind::Bool => format!("write `{text} = false`"),
        ValueKind::Expression(_) => format!("write `{text} = ..`"),
        ValueKind::Text => format!("write `{text} = \"search\"`"),
        ValueKind::Path => format!("write `{text} = my_crate::sandbox_runtime`"),
        ValueKind::Breaker => format!("write `{text}(threshold = 5)`"),
    }
}

pub(crate) fn is_word(value: &Expr, word: &str) -> bool {
    matches!(value, Expr::Path(path) if path.path.is_ident(word))
}

/// Tells whether a value is the path of a constant, as these are spelled.
fn is_constant(value: &Expr) -> bool {
    let Expr::Path(path) = value else { return false };
    let last = path.path.segments.last();
    last.is_some_and(|last| !last.ident.to_string().contains(char::is_lowercase))
}

/// Tells whether an expression begins with a variable, such as `&client.breaker`: its value may be borrowed from that.
pub(crate) fn is_part_of(value: &Expr, variable: &str) -> bool {
    match value {
        Expr::Reference(inner) => is_part_of(&inner.expr, variable),
        Expr::Unary(inner) => is_part_of(&inner.expr, variable),
        Expr::Paren(inner) => is_part_of(&inner.expr, variable),
        Expr::Field(inner) => is_part_of(&inner.base, variable),
        Expr::Index(inner) => is_part_of(&inner.expr, variable),
        Expr::MethodCall(inner) => is_part_of(&inner.receiver, variable),
        Expr::Path(path) => path.path.is_ident(variable),
        _ => false,
    }
}

/// Tells whether a constant belongs to the type that a method is of: nothing in a static can name that.
pub(crate) fn is_of_type(value: &Expr) -> bool {
    match value {
        Expr::Path(path) => {
            path.qself.is_some() || path.path.segments.first().is_some_and(|first| first.ident == "Self")
        }
        _ => false,
    }
}

/// The value of an integer literal.
pub(crate) fn literal(value: &Expr) -> Option<u64> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number), ..
        }) => number.base10_parse().ok(),
        _ => None,
    }
}

fn skip_to_comma(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        // A token tree parses from anything that is not the end.
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}
