//! The constants of an expansion: the policy, the checks of rules that the text does not show to hold, and the breaker.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Expr;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use super::{Expansion, mixed_site_at};
use crate::args::{Breaker, KEYS, Key, KeySpec, Section, ValueKind, is_word, literal};

/// The keys of a policy about which there are rules.
const CHECKED: [Key; 6] = [
    Key::TimeoutMs,
    Key::BackoffMaxMs,
    Key::DeadlineMs,
    Key::MaxConcurrent,
    Key::Calls,
    Key::PerMs,
];

impl Expansion<'_> {
    /// The constants and statics, in front of the call.
    pub(super) fn constants(&self) -> TokenStream {
        let private = self.private(Span::mixed_site());
        let Expansion {
            policy,
            retried,
            site,
            compiled,
            ..
        } = self;
        let settings = self.setters(Section::Attribute);
        let hinted = self.hinted();
        let checks = self.checks();
        let retried = self
            .needs_retried()
            .then(|| quote!(const #retried: bool = #private::retries(&#policy);));
        let name = self.name();
        let breaker = match self.args.breaker() {
            Breaker::Own => self.own_breaker(),
            Breaker::Off | Breaker::Given(_) => quote!(#private::CircuitBreaker::disabled()),
        };
        let given = self.args.value(Key::Policy).map(|_| quote!(.with_given_policies()));
        let served = self.may_be_served().then(|| quote!(.served()));
        quote! {
            const #policy: #private::Policy = #private::Policy::new() #settings #hinted;
            #checks
            #retried
            static #site: #private::ToolSite =
                #private::ToolSite::new(#name, #private::module_path!(), #policy, #breaker) #given #served;
            #private::inventory::submit!(#private::SiteRef(&#site));
            #[inline]
            fn #compiled() -> #private::Compiled {
                #private::Compiled { policy: #policy, site: #private::SiteRef(&#site) }
            }
        }
    }

    /// The name that failures have for the tool, as far as a static can hold it.
    fn name(&self) -> TokenStream {
        match (self.args.value(Key::Name), &self.tool_attribute.name) {
            (Some(name), _) if self.name_of_type().is_none() => quote!(#name),
            (None, Some(name)) => quote!(#name),
            _ => {
                let name = self.item.signature.ident.unraw().to_string();
                quote!(#name)
            }
        }
    }

    /// The name that failures have for the tool.
    pub(super) fn name_in_failures(&self) -> TokenStream {
        match self.name_of_type() {
            Some(name) => quote!(#name),
            None => self.name(),
        }
    }

    /// What `#[tool]` says about running the tool twice, where the user does not say it here.
    fn hinted(&self) -> Option<TokenStream> {
        let is_idempotent = self.tool_attribute.is_idempotent()?;
        let is_given = [Key::Idempotent, Key::Policy]
            .into_iter()
            .any(|key| self.args.value(key).is_some());
        (!is_given && !is_idempotent).then(|| quote!(.idempotent(false)))
    }

    /// A constant for each rule that the text does not show to hold, at the value that would break it.
    fn checks(&self) -> TokenStream {
        let policy = &self.policy;
        let of_policy = CHECKED
            .into_iter()
            .filter(|key| !self.is_seen_to_hold(*key))
            .filter_map(|key| {
                let span = mixed_site_at(self.args.value(key)?.span());
                let private = self.private(span);
                let is_given = |other| self.args.value(other).is_some();
                let is_beside_default = match key {
                    Key::BackoffMaxMs => !is_given(Key::BackoffBaseMs),
                    Key::DeadlineMs => !is_given(Key::TimeoutMs),
                    _ => false,
                };
                let key = key.text();
                Some(quote_spanned!(span=> const _: () = #private::check(&#policy, #key, #is_beside_default);))
            });
        let of_breaker = [self.cooldown_check(), self.slow_call_check()].into_iter().flatten();
        quote!(#(#of_policy)* #(#of_breaker)*)
    }

    /// Tells whether the text shows that the rule about a setting holds. Each constant that this saves is two or three in a
    /// hundred of the time to check a crate of tools.
    fn is_seen_to_hold(&self, key: Key) -> bool {
        let is_alone = !matches!(key, Key::BackoffMaxMs | Key::DeadlineMs);
        is_alone
            && self
                .args
                .value(key)
                .is_some_and(|value| literal(value).is_some() || is_word(value, "off"))
    }

    /// A breaker in a static cannot be read by a constant: the two settings are given to the check once more.
    fn cooldown_check(&self) -> Option<TokenStream> {
        let (longest, first) = (self.args.value(Key::CooldownMaxMs)?, self.args.value(Key::CooldownMs)?);
        if literal(longest).and(literal(first)).is_some() {
            return None;
        }
        let span = mixed_site_at(longest.span());
        let private = self.private(span);
        let (longest, first) = (self.checked("millis", longest), self.checked("millis", first));
        Some(quote_spanned!(span=> const _: () = #private::check_cooldowns(#longest, #first);))
    }

    /// The longest that a success may take is compared with the limit of an attempt, unless each call has its own.
    fn slow_call_check(&self) -> Option<TokenStream> {
        let longest = self.args.value(Key::SlowCallMs)?;
        let timeout = self.args.value(Key::TimeoutMs);
        let is_seen_to_hold =
            timeout.is_some_and(|timeout| is_word(timeout, "off") || literal(timeout).and(literal(longest)).is_some());
        if is_seen_to_hold || self.args.value(Key::Policy).is_some() {
            return None;
        }
        let span = mixed_site_at(longest.span());
        let (private, policy) = (self.private(span), &self.policy);
        let (longest, is_beside_default) = (self.checked("millis", longest), timeout.is_none());
        Some(quote_spanned!(span=> const _: () = #private::check_slow_call(#longest, &#policy, #is_beside_default);))
    }

    fn own_breaker(&self) -> TokenStream {
        let private = self.private(Span::mixed_site());
        let value = |key| self.args.value(key);
        let made = match (value(Key::Threshold), value(Key::Window), value(Key::FailureRate)) {
            (Some(threshold), ..) => self.checked("threshold", threshold),
            (None, Some(window), Some(rate)) => {
                let (window, rate) = (self.checked("window", window), self.checked("failure_rate", rate));
                quote!(#private::CircuitBreaker::windowed(#window, #rate))
            }
            _ => quote!(#private::breaker()),
        };
        let settings = self.setters(Section::Breaker);
        quote!(#made #settings)
    }

    /// Calls of the setters for the keys of a section that are given; what is not set is the runtime's default.
    fn setters(&self, section: Section) -> TokenStream {
        let given = KEYS.iter().filter(|spec| spec.section == section);
        let calls = given.filter_map(|spec| {
            let setter = Ident::new(spec.setter?, Span::mixed_site());
            let (values, further) = match spec.kind.section() {
                Some(inner) => (self.setter_values(inner)?, self.setters(inner)),
                None => (self.setter_value(spec, self.args.value(spec.key)?), TokenStream::new()),
            };
            Some(quote!(.#setter(#values) #further))
        });
        calls.collect()
    }

    /// The values of all keys of a section without a setter of their own, for one that takes them together.
    fn setter_values(&self, section: Section) -> Option<TokenStream> {
        let keys = KEYS
            .iter()
            .filter(|spec| spec.section == section && spec.setter.is_none());
        let values: Option<Vec<_>> = keys
            .map(|spec| Some(self.setter_value(spec, self.args.value(spec.key)?)))
            .collect();
        values.map(|values| quote!(#(#values),*))
    }

    fn setter_value(&self, spec: &KeySpec, value: &Expr) -> TokenStream {
        match (spec.kind, spec.function) {
            _ if spec.may_be_off && is_word(value, "off") => {
                let private = self.private(Span::mixed_site());
                let constant = Ident::new(&format!("NO_{}", spec.text.to_uppercase()), Span::mixed_site());
                quote!(#private::#constant)
            }
            (ValueKind::Word(_), function) => {
                let span = mixed_site_at(value.span());
                let private = self.private(Span::mixed_site());
                let module = Ident::new(spec.text, Span::mixed_site());
                let word = quote!(#private::#module::#value);
                let function = function.map(|function| Ident::new(function, span));
                match function {
                    Some(function) => {
                        let private = self.private(span);
                        quote_spanned!(span=> #private::#function(#word))
                    }
                    None => word,
                }
            }
            (_, Some(function)) => self.checked(function, value),
            (_, None) => value.to_token_stream(),
        }
    }

    /// A value through a function that checks it, at the value's span: a bad one is reported there.
    fn checked(&self, function: &str, value: &Expr) -> TokenStream {
        let span = mixed_site_at(value.span());
        let private = self.private(span);
        let function = Ident::new(function, span);
        if matches!(value, Expr::Lit(_)) {
            return quote_spanned!(span=> #private::#function(#value));
        }
        // A variable says what type is expected, and nothing of the function.
        let ty = match function.to_string().as_str() {
            "millis" | "slow_call_ms" | "forget_ms" => quote!(u64),
            "failure_rate" => quote!(f64),
            _ => quote!(u32),
        };
        quote_spanned!(span=> #private::#function({ let value: #private::#ty = #value; value }))
    }
}
