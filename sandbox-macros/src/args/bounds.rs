//! [`Bounds`]: which whole numbers a key takes, and the message about one that lies outside.

use std::fmt::Display;

/// The whole numbers that a key takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    minimum: Minimum,
    pub(super) maximum: u64,
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
    pub(super) fn message(self, key: impl Display, is_too_small: bool) -> String {
        let Minimum { number, consequence } = self.minimum;
        let maximum = self.maximum;
        match is_too_small {
            true => format!("{key} is {GAP}, so that {consequence}; set at least {number}"),
            false => format!("{key} is out of range; it is at most {maximum}"),
        }
    }

    /// The message about `number`, if it lies outside.
    pub(super) fn broken_by(self, key: impl Display, number: u128) -> Option<String> {
        let is_too_small = number < self.minimum.number.into();
        let is_too_large = number > self.maximum.into();
        (is_too_small || is_too_large).then(|| filled(&self.message(key, is_too_small), &[number]))
    }
}

/// Stands in a message for a number.
const GAP: &str = "{}";

pub(super) fn filled(message: &str, numbers: &[u128]) -> String {
    numbers.iter().fold(message.to_owned(), |message, number| {
        message.replacen(GAP, &number.to_string(), 1)
    })
}
