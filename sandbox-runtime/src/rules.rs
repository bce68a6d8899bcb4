//! The rules that numbers obey, and the message about each; and the keys of a policy.
//!
//! Their one place is `args/rules.rs` of the macro crate, which needs them first, for literals, and cannot depend on this
//! crate. It writes them here as constants. A third crate for both would be one more to publish, and be built twice. A file
//! that both crates include would be missing from one of the two packages, and a symbolic link to it becomes a text file in
//! a checkout on Windows.

use std::time::Duration;

sandbox_macros::rules!();

/// A row of [`POLICY_KEYS`].
#[derive(Debug)]
pub(crate) struct PolicyKeySpec {
    pub(crate) key: PolicyKey,
    pub(crate) text: &'static str,
    /// What the key takes, for a message.
    pub(crate) takes: &'static str,
}

/// The whole numbers that a key takes.
#[derive(Debug)]
pub(crate) struct Bounds {
    pub(crate) key: &'static str,
    minimum: u64,
    maximum: u64,
    /// With a gap for the number.
    too_small: &'static str,
    too_large: &'static str,
}

impl Bounds {
    pub(crate) const fn contains(&self, number: u64) -> bool {
        self.minimum <= number && number <= self.maximum
    }

    /// The message about a number that lies outside.
    pub(crate) const fn message(&self, number: u64) -> Message {
        if number < self.minimum {
            Message::filled(self.too_small, [Message::new().number(number as u128)])
        } else {
            Message::new().text(self.too_large)
        }
    }
}

/// A share that is above one number and at most another.
#[derive(Debug)]
pub(crate) struct Share {
    above: f64,
    maximum: f64,
    pub(crate) message: &'static str,
}

impl Share {
    /// `false` for what is not a number, too.
    pub(crate) const fn contains(&self, share: f64) -> bool {
        self.above < share && share <= self.maximum
    }
}

/// Two lengths of time of which one is to be the longer.
#[derive(Debug)]
pub(crate) struct Order {
    /// The key of the one that is at fault when the rule is broken.
    pub(crate) key: &'static str,
    relation: Relation,
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

impl Order {
    pub(crate) const fn holds(&self, length: Duration, other: Duration) -> bool {
        let (length, other) = (length.as_nanos(), other.as_nanos());
        match self.relation {
            Relation::AtLeast => length >= other,
            Relation::LongerThan => length > other,
            Relation::ShorterThan => length < other,
        }
    }

    /// The message about two lengths that are in the wrong order.
    pub(crate) const fn message(&self, length: Message, other: Message) -> Message {
        Message::filled(self.message, [length, other])
    }
}

/// A message that is put together in a constant, where there is no `format!`, or a part of one.
#[derive(Clone, Copy)]
pub(crate) struct Message {
    // More than the longest message takes; a test has that one.
    bytes: [u8; 256],
    length: usize,
}

impl Message {
    const fn new() -> Self {
        Message {
            bytes: [0; 256],
            length: 0,
        }
    }

    /// `template` with `parts` in its gaps, each of which is `{}`.
    const fn filled<const N: usize>(template: &str, parts: [Message; N]) -> Self {
        let mut message = Message::new();
        let template = template.as_bytes();
        let (mut index, mut part) = (0, 0);
        while index < template.len() {
            if template[index] == b'{' && part < N {
                message = message.text(parts[part].as_str());
                part += 1;
                index += 2;
            } else {
                message = message.byte(template[index]);
                index += 1;
            }
        }
        message
    }

    /// A length of time in milliseconds, with a fraction when it is not a whole number of them.
    pub(crate) const fn millis(duration: Duration) -> Self {
        const NANOS: u128 = 1_000_000;
        let message = Message::new().number(duration.as_millis());
        let mut fraction = duration.as_nanos() % NANOS;
        if fraction == 0 {
            return message;
        }
        let mut message = message.byte(b'.');
        while fraction > 0 {
            message = message.number(fraction * 10 / NANOS);
            fraction = fraction * 10 % NANOS;
        }
        message
    }

    /// A length of time that the user need not have written, if `marks_default`.
    pub(crate) const fn millis_or_default(duration: Duration, default: Duration, marks_default: bool) -> Self {
        let message = Message::millis(duration);
        if marks_default && duration.as_nanos() == default.as_nanos() {
            message.text(", the default")
        } else {
            message
        }
    }

    pub(crate) const fn text(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        let mut index = 0;
        while index < text.len() {
            self = self.byte(text[index]);
            index += 1;
        }
        self
    }

    const fn number(mut self, number: u128) -> Self {
        let mut unit = 1;
        while number / unit >= 10 {
            unit *= 10;
        }
        while unit > 0 {
            let digit = (number / unit % 10) as u8;
            self = self.byte(b'0' + digit);
            unit /= 10;
        }
        self
    }

    const fn byte(mut self, byte: u8) -> Self {
        if self.length < self.bytes.len() {
            self.bytes[self.length] = byte;
            self.length += 1;
        }
        self
    }

    pub(crate) const fn as_str(&self) -> &str {
        let (text, _) = self.bytes.split_at(self.length);
        match std::str::from_utf8(text) {
            Ok(text) => text,
            // Cannot happen: the messages are ASCII.
            Err(_) => "",
        }
    }
}
