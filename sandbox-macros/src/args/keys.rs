//! The one list of all that may stand in `#[sandboxed(..)]`.

use std::fmt::{self, Display};

/// A key. Written as in [`KEYS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    TimeoutMs,
    MaxRetries,
    BackoffBaseMs,
    BackoffMaxMs,
    DeadlineMs,
    Jitter,
    Idempotent,
    RetryIf,
    IgnoreIf,
    Classify,
    OnFailure,
    Breaker,
    Name,
    Cancel,
    Crate,
    Threshold,
    Window,
    FailureRate,
    CooldownMs,
    CooldownMaxMs,
    Probes,
}

impl Key {
    pub(crate) fn text(self) -> &'static str {
        KEYS.iter().find(|spec| spec.key == self).map_or("", |spec| spec.text)
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.text())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Attribute,
    Breaker,
}

/// What a key takes. A literal is checked here; of a constant expression the compiler knows more.
#[derive(Debug, Clone, Copy)]
pub(super) enum ValueKind {
    /// A whole number.
    Number {
        unit: &'static str,
        minimum: Minimum,
        maximum: u64,
        example: &'static str,
    },
    /// A number above 0 and at most 1.
    Rate,
    /// One of these words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// Any expression; the text says of what.
    Expression(&'static str),
    /// A string literal.
    Text,
    /// A path.
    Path,
    /// Arguments of its own in parentheses, `off`, or an expression for a breaker.
    Breaker,
}

/// The least value of a number, and what a smaller one would mean.
#[derive(Debug, Clone, Copy)]
pub(super) struct Minimum(pub(super) u64, pub(super) &'static str);

const ANY: Minimum = Minimum(0, "");

#[derive(Debug)]
pub(super) struct KeySpec {
    pub(super) key: Key,
    pub(super) text: &'static str,
    pub(super) section: Section,
    pub(super) kind: ValueKind,
}

const fn spec(key: Key, text: &'static str, section: Section, kind: ValueKind) -> KeySpec {
    KeySpec {
        key,
        text,
        section,
        kind,
    }
}

const fn millis(minimum: Minimum, example: &'static str) -> ValueKind {
    ValueKind::Number {
        unit: "milliseconds",
        minimum,
        maximum: u64::MAX,
        example,
    }
}

const fn count(unit: &'static str, minimum: Minimum, maximum: u64, example: &'static str) -> ValueKind {
    ValueKind::Number {
        unit,
        minimum,
        maximum,
        example,
    }
}

const U32: u64 = u32::MAX as u64;

pub(super) const KEYS: &[KeySpec] = {
    use Section::{Attribute, Breaker};
    &[
        spec(
            Key::TimeoutMs,
            "timeout_ms",
            Attribute,
            millis(Minimum(1, "every attempt would time out"), "5_000"),
        ),
        spec(
            Key::MaxRetries,
            "max_retries",
            Attribute,
            count("retries", ANY, U32, "2"),
        ),
        spec(Key::BackoffBaseMs, "backoff_base_ms", Attribute, millis(ANY, "500")),
        spec(Key::BackoffMaxMs, "backoff_max_ms", Attribute, millis(ANY, "10_000")),
        spec(
            Key::DeadlineMs,
            "deadline_ms",
            Attribute,
            millis(Minimum(1, "every call would be out of time"), "60_000"),
        ),
        spec(
            Key::Jitter,
            "jitter",
            Attribute,
            ValueKind::Word(&["none", "full", "equal"]),
        ),
        spec(Key::Idempotent, "idempotent", Attribute, ValueKind::Bool),
        spec(
            Key::RetryIf,
            "retry_if",
            Attribute,
            ValueKind::Expression("a path or closure, such as `|error| error.is_transient()`"),
        ),
        spec(
            Key::IgnoreIf,
            "ignore_if",
            Attribute,
            ValueKind::Expression("a path or closure, such as `|error| error.is_callers_fault()`"),
        ),
        spec(
            Key::Classify,
            "classify",
            Attribute,
            ValueKind::Expression("a path or closure from the returned value to a `Verdict`"),
        ),
        spec(
            Key::OnFailure,
            "on_failure",
            Attribute,
            ValueKind::Expression("a path or closure from a `Failure` to the returned type"),
        ),
        spec(Key::Breaker, "breaker", Attribute, ValueKind::Breaker),
        spec(Key::Name, "name", Attribute, ValueKind::Text),
        spec(
            Key::Cancel,
            "cancel",
            Attribute,
            ValueKind::Expression("an expression for a cancellation token"),
        ),
        spec(Key::Crate, "crate", Attribute, ValueKind::Path),
        spec(
            Key::Threshold,
            "threshold",
            Breaker,
            count(
                "failures",
                Minimum(1, "the breaker would never let a call pass"),
                U32,
                "5",
            ),
        ),
        spec(
            Key::Window,
            "window",
            Breaker,
            count("results", Minimum(1, "there would be nothing to judge"), 64, "20"),
        ),
        spec(Key::FailureRate, "failure_rate", Breaker, ValueKind::Rate),
        spec(Key::CooldownMs, "cooldown_ms", Breaker, millis(ANY, "30_000")),
        spec(Key::CooldownMaxMs, "cooldown_max_ms", Breaker, millis(ANY, "300_000")),
        spec(
            Key::Probes,
            "probes",
            Breaker,
            count("probes", Minimum(1, "the breaker would never close again"), U32, "1"),
        ),
    ]
};

pub(super) fn find(text: &str, section: Section) -> Option<&'static KeySpec> {
    KEYS.iter().find(|spec| spec.section == section && spec.text == text)
}

/// The keys of a section, for a message.
pub(super) fn keys_of(section: Section) -> String {
    let names: Vec<_> = KEYS
        .iter()
        .filter(|spec| spec.section == section)
        .map(|spec| spec.key.to_string())
        .collect();
    names.join(", ")
}

/// What is said of a key that the section does not have.
pub(super) fn unknown_key(text: &str, section: Section) -> String {
    if let Some(spec) = KEYS.iter().find(|spec| spec.text == text) {
        return match spec.section {
            Section::Breaker => format!("`{text}` belongs to the breaker; write `breaker({text} = ..)`"),
            Section::Attribute => format!("`{text}` is no setting of the breaker; move it out of `breaker(..)`"),
        };
    }
    let known = keys_of(section);
    let nearest = KEYS
        .iter()
        .filter(|spec| spec.section == section)
        .map(|spec| (edit_distance(text, spec.text), spec.text))
        .min();
    match nearest {
        // Further off than a third of the word is another word.
        Some((distance, nearest)) if distance <= nearest.len().div_ceil(3) => {
            format!("unknown argument `{text}`; did you mean `{nearest}`? (there are {known})")
        }
        _ => format!("unknown argument `{text}`; there are {known}"),
    }
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

    #[test]
    fn distances() {
        assert_eq!(edit_distance("timeout", "timeout_ms"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("retries", "retires"), 2);
    }

    #[test]
    fn every_key_is_listed_once() {
        for spec in KEYS {
            assert_eq!(
                KEYS.iter().filter(|other| other.key == spec.key).count(),
                1,
                "{:?}",
                spec.key
            );
            assert_eq!(
                KEYS.iter().filter(|other| other.text == spec.text).count(),
                1,
                "{:?}",
                spec.text
            );
            assert_eq!(spec.key.text(), spec.text);
        }
    }
}
