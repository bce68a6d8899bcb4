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
mod values;
mod words;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, LitInt, Path, Token, token};

use crate::errors::Errors;
use crate::item::{Argument, ToolAttribute, mentions};
use keys::{find, keys_of, unknown_key};
use rules::ORDERS;
use values::{check_value, is_true, parse_value};

pub(crate) use keys::{KEYS, Key, KeySpec, Section, ValueKind, edit_distance};
pub(crate) use rules::expansion as rules;
pub(crate) use values::{is_of_type, is_part_of, is_word, literal};

/// The arguments that the user gave; the rest keep the runtime's defaults.
#[derive(Default)]
pub(crate) struct Args {
    settings: Vec<Setting>,
}

struct Setting {
    key: Key,
    ident: Ident,
    /// `None` for `breaker(..)` and `rate(..)`, whose arguments are settings of their own.
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

    /// Checks that no constant names an argument of the function, which is not known when that is compiled.
    pub(crate) fn check_constants(&self, arguments: &[Argument], errors: &mut Errors) {
        for setting in &self.settings {
            let is_constant = setting.key.spec().is_some_and(KeySpec::is_constant);
            if let Some(value) = setting.value.as_ref().filter(|_| is_constant)
                && let Some(argument) = arguments
                    .iter()
                    .find(|argument| is_part_of(value, &argument.name.to_string()))
            {
                let (key, name) = (setting.key, &argument.name);
                let message = format!(
                    "{key} is a constant, and `{name}` is an argument; write `policy = ..` or `breaker = ..`, which may \
                     name arguments"
                );
                errors.report(value, message);
            }
        }
    }

    /// Checks that the attribute does not contradict what `#[tool]` says to clients.
    pub(crate) fn check_hints(&self, tool: &ToolAttribute, errors: &mut Errors) {
        if let Some(value) = self.value(Key::Idempotent)
            && is_true(value)
            && tool.destroys_each_time()
        {
            let message = "`idempotent = true` contradicts `idempotent_hint = false` of `#[tool]`, which clients read beside \
                           `destructive_hint = true`; remove one of them";
            errors.report(value, message);
        }
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

    /// Tells whether the text shows that no failures are a row.
    fn opens_at_first_failure(&self) -> bool {
        self.number(Key::Threshold) == Some(1)
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
                errors.push(input.error(no_comma(input)));
                skip_to_comma(input);
            }
        }
    }

    fn parse_setting(&mut self, input: ParseStream<'_>, section: Section, errors: &mut Errors) -> syn::Result<()> {
        let Ok(given) = input.call(Ident::parse_any) else {
            let number = input
                .fork()
                .parse::<LitInt>()
                .ok()
                .filter(|_| section == Section::Breaker);
            let remedy = number.map_or_else(
                || format!("expected an argument such as {}", keys_of(section)),
                |number| format!("expected an argument; write `breaker(threshold = {number})`"),
            );
            return Err(input.error(remedy));
        };
        if section == Section::Breaker && (input.peek(Token![.]) || input.peek(Token![::])) {
            let message = "`breaker(..)` is for settings; write `breaker = ..` for a breaker of your own";
            return Err(syn::Error::new(given.span(), message));
        }
        let Some(spec) = find(&given.to_string(), section) else {
            return Err(syn::Error::new(given.span(), unknown_key(&given.to_string(), section)));
        };
        if self.setting(spec.key).is_some() {
            let message = match self.breaker() {
                Breaker::Given(_) if spec.key == Key::Breaker && input.peek(token::Paren) => {
                    "`breaker = ..` is a breaker of your own, and has the settings that it was made with; remove `breaker(..)`".to_owned()
                }
                _ => format!("{} is given twice; keep one of them", spec.key),
            };
            return Err(syn::Error::new(given.span(), message));
        }
        let value = match spec.kind.section() {
            Some(inner) if input.peek(token::Paren) => {
                let content;
                syn::parenthesized!(content in input);
                // Every argument of a breaker has a default, and those of a rate have none.
                if inner == Section::Rate && content.is_empty() {
                    let message =
                        "`rate` has no effect without its arguments; write `rate(calls = 10, per_ms = 1_000)`";
                    errors.push(syn::Error::new(given.span(), message));
                }
                self.parse_section(&content, inner, errors);
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
        if let Some(forget) = self.setting(Key::ForgetMs)
            && self.opens_at_first_failure()
        {
            let message =
                "`forget_ms` has no effect with `threshold = 1`: the first failure opens the breaker; remove it";
            errors.push(syn::Error::new(forget.ident.span(), message));
        }
        for order in ORDERS {
            if let Some(value) = self.value(order.key)
                && let (Some(length), Some(other)) = (self.number(order.key), self.number(order.other))
                && let Some(message) = order.broken_by(length, other)
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
                Key::Window,
                Key::ForgetMs,
                "a window holds the latest results, however old; keep one of them",
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
            (
                Key::IsError,
                Key::Classify,
                "`classify` decides what a result with `is_error` means, too; keep one of them",
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
            (Key::Calls, Key::PerMs, "per_ms = 1_000"),
            (Key::PerMs, Key::Calls, "calls = 10"),
            (Key::Scope, Key::Calls, "calls = 10"),
        ] {
            if let (Some(setting), None) = (self.setting(one), self.setting(needed)) {
                let message = format!("{one} has no effect without {needed}; add `{example}`");
                errors.push(syn::Error::new(setting.ident.span(), message));
            }
        }
    }
}

/// What is to be said where a comma is missing.
pub(crate) fn no_comma(input: ParseStream<'_>) -> String {
    match input.fork().call(Ident::parse_any) {
        Ok(next) => format!("expected a comma between two arguments; write `, {next}`"),
        Err(_) => "expected a comma after an argument; write one, or remove what follows".to_owned(),
    }
}

pub(crate) fn skip_to_comma(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        // A token tree parses from anything that is not the end.
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}
