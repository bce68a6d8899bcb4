//! The arguments of a block as defaults for those of a function in it.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};

use super::{Args, Key, Section, Setting};

impl Args {
    /// The text of the arguments of a function, on top of those of its block, key by key.
    pub(crate) fn over(&self, defaults: &Args) -> TokenStream {
        let defaults = defaults.settings.iter().filter(|setting| !self.replaces(setting.key));
        let settings: Vec<_> = self.settings.iter().chain(defaults).collect();
        let texts = Section::ALL.into_iter().flat_map(|section| {
            let within = settings.iter().filter(|setting| setting.section() == section);
            let texts: Vec<_> = within.filter_map(|setting| setting.text()).collect();
            match section.of() {
                None => texts,
                Some(_) if texts.is_empty() => texts,
                Some(key) => {
                    let key = Ident::new(key.text(), Span::call_site());
                    vec![quote!(#key(#(#texts),*))]
                }
            }
        });
        quote!(#(#texts),*)
    }

    /// Tells whether a default makes no sense beside what the function says itself.
    fn replaces(&self, default: Key) -> bool {
        let has = |key| self.setting(key).is_some();
        let excluded = match default {
            Key::Threshold => has(Key::Window) || has(Key::FailureRate),
            Key::Window | Key::FailureRate => has(Key::Threshold) || has(Key::ForgetMs),
            Key::ForgetMs => has(Key::Window) || has(Key::FailureRate) || self.opens_at_first_failure(),
            Key::RetryIf | Key::IgnoreIf => has(Key::Classify),
            Key::Classify => has(Key::RetryIf) || has(Key::IgnoreIf),
            Key::Jitter => self.is_single_attempt(),
            _ => false,
        };
        let spec = default.spec();
        let is_of_policy = spec.is_some_and(|spec| spec.section == Section::Rate || spec.is_of_policy());
        let is_of_breaker = spec.is_some_and(|spec| spec.section == Section::Breaker);
        has(default)
            || excluded
            || is_of_policy && has(Key::Policy)
            || is_of_breaker && self.value(Key::Breaker).is_some()
    }
}

impl Setting {
    fn section(&self) -> Section {
        self.key.spec().map_or(Section::Attribute, |spec| spec.section)
    }

    /// `key = value`; nothing for `breaker(..)` and `rate(..)`, whose arguments are settings of their own.
    fn text(&self) -> Option<TokenStream> {
        let Setting { ident, value, .. } = self;
        value.as_ref().map(|value| quote!(#ident = #value).into_token_stream())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::Errors;

    fn args(text: &str) -> Args {
        let mut errors = Errors::default();
        let tokens = text.parse().expect("the test's own text is made of tokens");
        let args = Args::parse(tokens, &mut errors);
        assert!(errors.is_empty(), "`{text}`: {:?}", errors.messages());
        args
    }

    #[test]
    fn a_functions_own_arguments_come_on_top_key_by_key() {
        for (own, defaults, both) in [
            ("", "timeout_ms = 1", "timeout_ms = 1"),
            (
                "timeout_ms = 2",
                "timeout_ms = 1, max_retries = 0",
                "timeout_ms = 2, max_retries = 0",
            ),
            (
                "breaker(probes = 2)",
                "breaker(threshold = 3, probes = 1)",
                "breaker(probes = 2, threshold = 3)",
            ),
            (
                "breaker = off",
                "breaker(threshold = 3), max_retries = 1",
                "breaker = off, max_retries = 1",
            ),
            ("breaker(threshold = 3)", "breaker = off", "breaker(threshold = 3)"),
            ("breaker()", "breaker = &B", ""),
            (
                "breaker(threshold = 3)",
                "breaker(window = 9, failure_rate = 0.5)",
                "breaker(threshold = 3)",
            ),
            (
                "breaker(forget_ms = 9)",
                "breaker(window = 9, failure_rate = 0.5, probes = 2)",
                "breaker(forget_ms = 9, probes = 2)",
            ),
            (
                "breaker(window = 9, failure_rate = 0.5)",
                "breaker(forget_ms = 9, slow_call_ms = 5)",
                "breaker(window = 9, failure_rate = 0.5, slow_call_ms = 5)",
            ),
            (
                "breaker(threshold = 1)",
                "breaker(threshold = 5, forget_ms = 9)",
                "breaker(threshold = 1)",
            ),
            (
                "breaker(threshold = 2)",
                "breaker(forget_ms = 9)",
                "breaker(threshold = 2, forget_ms = 9)",
            ),
            (
                "breaker = off",
                "breaker(slow_call_ms = 5, forget_ms = 9)",
                "breaker = off",
            ),
            (
                "classify = c",
                "retry_if = r, ignore_if = i, cancel = t",
                "classify = c, cancel = t",
            ),
            ("retry_if = r", "classify = c", "retry_if = r"),
            (
                "policy = p",
                "timeout_ms = 1, jitter = full, cancel = t",
                "policy = p, cancel = t",
            ),
            ("max_retries = 0", "jitter = full", "max_retries = 0"),
        ] {
            let text = args(own).over(&args(defaults)).to_string();
            let expected: TokenStream = both.parse().expect("the test's own text is made of tokens");
            assert_eq!(text, expected.to_string(), "`{own}` over `{defaults}`");
        }
    }
}
