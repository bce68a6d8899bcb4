//! The rules that numbers obey, alone and in pairs, and the message about each: the one place for all who check them.
//!
//! A literal is checked here, while the text is read: that gives the shortest message, at the literal. A constant is checked
//! when the expansion is compiled, and a policy made at run time by `Policy::validate`. Both of these belong to the runtime,
//! which takes the rules from here by [`expansion`].

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use super::keys::{KEYS, Key, KeySpec, ValueKind};

/// The whole numbers that a key takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    minimum: Minimum,
    maximum: u64,
}

/// The least number of [`Bounds`], and what a smaller one would mean.
#[derive(Debug, Clone, Copy)]
struct Minimum {
    number: u64,
    consequence: &'static str,
}

impl Bounds {
    pub(super) const fn up_to(maximum: u64) -> Self {
        let minimum = Minimum {
            number: 0,
            consequence: "",
        };
        Bounds { minimum, maximum }
    }

    /// The same maximum with a minimum. `consequence` completes the sentence "it is smaller, so that ..".
    pub(super) const fn from(self, number: u64, consequence: &'static str) -> Self {
        let minimum = Minimum { number, consequence };
        Bounds { minimum, ..self }
    }

    pub(super) const fn minimum(self) -> u64 {
        self.minimum.number
    }

    pub(crate) const fn contains(self, number: u64) -> bool {
        self.minimum.number <= number && number <= self.maximum
    }

    /// The nearest numbers outside, below and above, that the setter's type has; that is at least a `u32`.
    pub(super) fn excluded_of_u32(self) -> impl Iterator<Item = u64> {
        let below = self.minimum.number.checked_sub(1);
        let above = self.maximum.checked_add(1).filter(|number| *number <= u32::MAX.into());
        below.into_iter().chain(above)
    }

    /// The message about a number that lies outside, with a gap for a number that is too small.
    fn message(self, key: Key, is_too_small: bool) -> String {
        let Minimum { number, consequence } = self.minimum;
        let maximum = self.maximum;
        match is_too_small {
            true => format!("{key} is {GAP}, so that {consequence}; set at least {number}"),
            false => format!("{key} is out of range; it is at most {maximum}"),
        }
    }

    /// The message about `number`, if it lies outside.
    pub(super) fn broken_by(self, key: Key, number: u128) -> Option<String> {
        let is_too_small = number < self.minimum.number.into();
        let is_too_large = number > self.maximum.into();
        (is_too_small || is_too_large).then(|| filled(&self.message(key, is_too_small), &[number]))
    }
}

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
    pub(super) longer: Key,
    pub(super) shorter: Key,
    may_be_equal: bool,
    /// With gaps for the longer and the shorter.
    message: &'static str,
}

pub(super) const ORDERS: &[Order] = &[
    Order {
        name: "BACKOFF_BASE_OVER_MAX",
        longer: Key::BackoffMaxMs,
        shorter: Key::BackoffBaseMs,
        may_be_equal: true,
        message: "`backoff_max_ms` ({}) is shorter than `backoff_base_ms` ({}); raise it or lower the base",
    },
    Order {
        name: "DEADLINE_WITHIN_TIMEOUT",
        longer: Key::DeadlineMs,
        shorter: Key::TimeoutMs,
        may_be_equal: false,
        message: "`deadline_ms` ({}) is not longer than `timeout_ms` ({}), which is for one attempt alone; \
                  raise it or lower the timeout",
    },
    Order {
        name: "COOLDOWN_OVER_MAX",
        longer: Key::CooldownMaxMs,
        shorter: Key::CooldownMs,
        may_be_equal: true,
        message: "`cooldown_max_ms` ({}) is shorter than `cooldown_ms` ({}); raise it or remove it",
    },
];

impl Order {
    /// The message about two lengths, if they are in the wrong order.
    pub(super) fn broken_by(&self, longer: u64, shorter: u64) -> Option<String> {
        let holds = longer > shorter || self.may_be_equal && longer == shorter;
        (!holds).then(|| filled(self.message, &[longer.into(), shorter.into()]))
    }
}

/// Stands in a message for a number.
const GAP: &str = "{}";

fn filled(message: &str, numbers: &[u128]) -> String {
    numbers.iter().fold(message.to_owned(), |message, number| {
        message.replacen(GAP, &number.to_string(), 1)
    })
}

/// The rules as constants for the runtime, whose types they name. It checks what types do not: bounds that exclude some of a
/// type's numbers.
pub(crate) fn expansion() -> TokenStream {
    let bounds = KEYS.iter().filter_map(bounds_constant);
    let orders = ORDERS.iter().map(order_constant);
    let Share {
        above,
        maximum,
        message,
    } = FAILURE_RATE;
    quote! {
        #(#bounds)*
        pub(crate) const FAILURE_RATE: Share = Share { above: #above, maximum: #maximum, message: #message };
        #(#orders)*
    }
}

fn bounds_constant(spec: &KeySpec) -> Option<TokenStream> {
    let ValueKind::Number { bounds, .. } = spec.kind else {
        return None;
    };
    let name = Ident::new(&spec.text.to_uppercase(), Span::call_site());
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
    let name = Ident::new(order.name, Span::call_site());
    let key = order.longer.text();
    let &Order {
        may_be_equal, message, ..
    } = order;
    quote! {
        pub(crate) const #name: Order = Order { key: #key, may_be_equal: #may_be_equal, message: #message };
    }
}
