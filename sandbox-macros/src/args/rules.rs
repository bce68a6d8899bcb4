//! The rules that numbers obey, alone and in pairs, and the message about each: the one place for all who check them.
//!
//! A literal is checked here, while the text is read: that gives the shortest message, at the literal. A constant is checked
//! when the expansion is compiled, and a policy made at run time by `Policy::validate`. Both of these belong to the runtime,
//! which takes the rules from here by [`expansion`].

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use super::bounds::filled;
use super::keys::{KEYS, Key, KeySpec, Section, ValueKind};
use super::values::expected_of;

/// A share that is above one number and at most another.
pub(super) struct Share {
    above: f64,
    maximum: f64,
    message: &'static str,
}

pub(super) const FAILURE_RATE: Share = Share {
    above: 0.0,
    maximum: 1.0,
    message: "`failure_rate` is out of range; it is above 0 and at most 1",
};

impl Share {
    /// The message about `share`, if it lies outside.
    pub(super) fn broken_by(&self, share: f64) -> Option<&'static str> {
        // In this order for what is not a number.
        let holds = self.above < share && share <= self.maximum;
        (!holds).then_some(self.message)
    }
}

/// Two lengths of time of which one is to be the longer.
pub(super) struct Order {
    /// The name of its constant in the runtime.
    name: &'static str,
    /// The key whose value is at fault when the rule is broken.
    pub(super) key: Key,
    relation: Relation,
    pub(super) other: Key,
    /// With gaps for the two.
    message: &'static str,
}

/// What the one of two lengths has to be, next to the other.
#[derive(Debug, Clone, Copy)]
enum Relation {
    AtLeast,
    LongerThan,
    ShorterThan,
}

pub(super) const ORDERS: &[Order] = &[
    Order {
        name: "BACKOFF_BASE_OVER_MAX",
        key: Key::BackoffMaxMs,
        relation: Relation::AtLeast,
        other: Key::BackoffBaseMs,
        message: "`backoff_max_ms` ({}) is shorter than `backoff_base_ms` ({}); raise it or lower the base",
    },
    Order {
        name: "DEADLINE_WITHIN_TIMEOUT",
        key: Key::DeadlineMs,
        relation: Relation::LongerThan,
        other: Key::TimeoutMs,
        message: "`deadline_ms` ({}) is not longer than `timeout_ms` ({}), which is for one attempt alone; \
                  raise it or lower the timeout",
    },
    Order {
        name: "COOLDOWN_OVER_MAX",
        key: Key::CooldownMaxMs,
        relation: Relation::AtLeast,
        other: Key::CooldownMs,
        message: "`cooldown_max_ms` ({}) is shorter than `cooldown_ms` ({}); raise it or remove it",
    },
    Order {
        name: "SLOW_CALL_WITHIN_TIMEOUT",
        key: Key::SlowCallMs,
        relation: Relation::ShorterThan,
        other: Key::TimeoutMs,
        message: "`slow_call_ms` ({}) is not shorter than `timeout_ms` ({}), so that no success would be slow; \
                  lower it or raise the timeout",
    },
];

impl Order {
    /// The message about two lengths, if they are in the wrong order.
    pub(super) fn broken_by(&self, length: u64, other: u64) -> Option<String> {
        let holds = match self.relation {
            Relation::AtLeast => length >= other,
            Relation::LongerThan => length > other,
            Relation::ShorterThan => length < other,
        };
        (!holds).then(|| filled(self.message, &[length.into(), other.into()]))
    }
}

/// The rules as constants for the runtime, whose types they name. It checks what types do not: bounds that exclude some of a
/// type's numbers. With them come the keys of its policy.
pub(crate) fn expansion() -> TokenStream {
    let bounds = KEYS.iter().filter_map(bounds_constant);
    let orders = ORDERS.iter().map(order_constant);
    let keys = policy_keys();
    let Share {
        above,
        maximum,
        message,
    } = FAILURE_RATE;
    quote! {
        #(#bounds)*
        pub(crate) const FAILURE_RATE: Share = Share { above: #above, maximum: #maximum, message: #message };
        #(#orders)*
        #keys
    }
}

/// The settings of a policy, for the runtime, which reads them from data: the arguments of the attribute that a setter of the
/// policy takes, and the seed of its jitter. They are an `enum`, so that the runtime cannot forget one: its `match` would not
/// compile.
fn policy_keys() -> TokenStream {
    let arguments = KEYS.iter().filter(|spec| spec.is_of_policy());
    let mut names: Vec<_> = arguments
        .clone()
        .map(|spec| ident(&format!("{:?}", spec.key)))
        .collect();
    let mut texts: Vec<_> = arguments.clone().map(|spec| spec.text).collect();
    let mut takes: Vec<_> = arguments.map(takes).collect();
    let others = KEYS
        .iter()
        .filter(|spec| !spec.is_of_policy() && spec.section != Section::Rate);
    let others = others.map(|spec| spec.text);
    // Without an argument: it is for tests.
    names.push(ident("JitterSeed"));
    texts.push("jitter_seed");
    takes.push("a whole number, at least 0".to_owned());
    quote! {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum PolicyKey { #(#names),* }
        pub(crate) const POLICY_KEYS: &[PolicyKeySpec] =
            &[#(PolicyKeySpec { key: PolicyKey::#names, text: #texts, takes: #takes }),*];
        pub(crate) const POLICY_KEY_TEXTS: &[&str] = &[#(#texts),*];
        pub(crate) const OTHER_KEY_TEXTS: &[&str] = &[#(#others),*];
    }
}

/// What a key takes, with the bounds of a number.
fn takes(spec: &KeySpec) -> String {
    let expected = expected_of(spec.kind);
    match spec.kind {
        ValueKind::Number { bounds, .. } if bounds.maximum < u64::MAX => {
            format!("{expected}, from {} to {}", bounds.minimum(), bounds.maximum)
        }
        ValueKind::Number { bounds, .. } => format!("{expected}, at least {}", bounds.minimum()),
        ValueKind::Rate => "both `calls` and `per_ms`, whole numbers that are at least 1".to_owned(),
        _ => expected,
    }
}

fn ident(text: &str) -> Ident {
    Ident::new(text, Span::call_site())
}

fn bounds_constant(spec: &KeySpec) -> Option<TokenStream> {
    let ValueKind::Number { bounds, .. } = spec.kind else {
        return None;
    };
    let name = ident(&spec.text.to_uppercase());
    let key = spec.text;
    let (minimum, maximum) = (bounds.minimum(), bounds.maximum);
    let (too_small, too_large) = (bounds.message(spec.key, true), bounds.message(spec.key, false));
    bounds.excluded_of_u32().next().map(|_| {
        quote! {
            pub(crate) const #name: Bounds = Bounds {
                key: #key,
                minimum: #minimum,
                maximum: #maximum,
                too_small: #too_small,
                too_large: #too_large,
            };
        }
    })
}

fn order_constant(order: &Order) -> TokenStream {
    let name = ident(order.name);
    let key = order.key.text();
    let relation = ident(&format!("{:?}", order.relation));
    let message = order.message;
    quote! {
        pub(crate) const #name: Order = Order { key: #key, relation: Relation::#relation, message: #message };
    }
}
