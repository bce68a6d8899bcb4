//! What is decided when the code is compiled: the policy, the rules that it must obey, and the breaker.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Expr;
use syn::spanned::Spanned;

use super::{Expansion, mixed_site_at};
use crate::args::{Breaker, Key, literal};

impl Expansion<'_> {
    /// The policy, the rules that it must obey, and the breaker: all that is decided when the code is compiled.
    pub(super) fn constants(&self) -> TokenStream {
        let private = self.private(Span::mixed_site());
        let Expansion {
            policy, retried, site, ..
        } = self;
        let settings = self.policy();
        let checks = [Key::TimeoutMs, Key::BackoffMaxMs, Key::DeadlineMs]
            .into_iter()
            .filter(|key| !self.is_seen_to_hold(*key))
            .filter_map(|key| {
                // At the value: a broken rule concerns that.
                let span = mixed_site_at(self.args.value(key)?.span());
                let private = self.private(span);
                let key = key.text();
                Some(quote_spanned!(span=> const _: () = #private::check(&#policy, #key);))
            });
        let is_kept = |argument| !self.is_borrowed(argument);
        let asks = self.args.allows_retries().is_none() && self.arguments.iter().any(is_kept);
        let retried = asks.then(|| quote!(const #retried: bool = #private::retries(&#policy);));
        let name = self.name();
        let breaker = match self.args.breaker() {
            Breaker::Own => self.own_breaker(),
            Breaker::Off | Breaker::Given(_) => quote!(#private::CircuitBreaker::disabled()),
        };
        quote! {
            const #policy: #private::Policy = #private::Policy::new() #settings;
            #(#checks)*
            #retried
            static #site: #private::ToolSite =
                #private::ToolSite::new(#name, #private::module_path!(), #policy, #breaker);
        }
    }

    /// The name that failures have for the tool.
    fn name(&self) -> TokenStream {
        match self.args.value(Key::Name) {
            Some(name) => quote!(#name),
            None => {
                let name = self.item.signature.ident.to_string();
                quote!(#name)
            }
        }
    }

    /// Whether the text shows that the rule about a setting holds. Each constant that this saves is two or three in a hundred
    /// of the time to check a crate of tools.
    fn is_seen_to_hold(&self, key: Key) -> bool {
        key == Key::TimeoutMs && self.args.value(key).and_then(literal).is_some_and(|millis| millis > 0)
    }

    /// The setters of the policy; what is not set is the runtime's default.
    fn policy(&self) -> TokenStream {
        let private = self.private(Span::mixed_site());
        let settings = self.setters(&[
            (Key::TimeoutMs, "timeout"),
            (Key::MaxRetries, "max_retries"),
            (Key::BackoffBaseMs, "backoff_base"),
            (Key::BackoffMaxMs, "backoff_max"),
            (Key::DeadlineMs, "deadline"),
            (Key::Idempotent, "idempotent"),
        ]);
        let jitter = self.args.value(Key::Jitter);
        let jitter = jitter.map(|word| quote!(.jitter(#private::jitter::#word)));
        quote!(#settings #jitter)
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
        let settings = self.setters(&[
            (Key::CooldownMs, "cooldown"),
            (Key::CooldownMaxMs, "cooldown_max"),
            (Key::Probes, "probes"),
        ]);
        quote!(#made #settings)
    }

    /// A call of the setter for each of the keys that is given.
    fn setters(&self, setters: &[(Key, &str)]) -> TokenStream {
        let calls = setters.iter().filter_map(|(key, setter)| {
            let value = self.args.value(*key)?;
            let setter = Ident::new(setter, Span::mixed_site());
            let value = match key.text().ends_with("_ms") {
                true => self.checked("millis", value),
                false => value.to_token_stream(),
            };
            Some(quote!(.#setter(#value)))
        });
        calls.collect()
    }

    /// A value through a function that checks it, at the value's place: a bad one is told there.
    fn checked(&self, function: &str, value: &Expr) -> TokenStream {
        let span = mixed_site_at(value.span());
        let private = self.private(span);
        let function = Ident::new(function, span);
        quote_spanned!(span=> #private::#function(#value))
    }
}
