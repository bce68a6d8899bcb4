//! The one list of all that may stand in `#[sandboxed(..)]`.

use std::fmt::{self, Display};

/// A key. Written as in [`KEYS`].
#[expect(clippy::enum_variant_names, reason = "the key `name` is that of the tool")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
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
    ToolName,
    Cancel,
    Crate,
    Threshold,
    Window,
    FailureRate,
    CooldownMs,
    CooldownMaxMs,
    Probes,
}

impl Name {
    pub(crate) fn text(self) -> &'static str {
        KEYS.iter().find(|key| key.name == self).map_or("", |key| key.text)
    }
}

impl Display for Name {
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
pub(super) enum Takes {
    /// A whole number.
    Number {
        unit: &'static str,
        least: Least,
        most: u64,
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
pub(super) struct Least(pub(super) u64, pub(super) &'static str);

const ANY: Least = Least(0, "");

#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: Name,
    pub(super) text: &'static str,
    pub(super) within: Section,
    pub(super) takes: Takes,
}

const fn key(name: Name, text: &'static str, within: Section, takes: Takes) -> Key {
    Key {
        name,
        text,
        within,
        takes,
    }
}

const fn millis(least: Least, example: &'static str) -> Takes {
    Takes::Number {
        unit: "milliseconds",
        least,
        most: u64::MAX,
        example,
    }
}

const fn count(unit: &'static str, least: Least, most: u64, example: &'static str) -> Takes {
    Takes::Number {
        unit,
        least,
        most,
        example,
    }
}

const U32: u64 = u32::MAX as u64;

pub(super) const KEYS: &[Key] = {
    use Section::{Attribute, Breaker};
    &[
        key(
            Name::TimeoutMs,
            "timeout_ms",
            Attribute,
            millis(Least(1, "every attempt would time out"), "5_000"),
        ),
        key(
            Name::MaxRetries,
            "max_retries",
            Attribute,
            count("retries", ANY, U32, "2"),
        ),
        key(Name::BackoffBaseMs, "backoff_base_ms", Attribute, millis(ANY, "500")),
        key(Name::BackoffMaxMs, "backoff_max_ms", Attribute, millis(ANY, "10_000")),
        key(
            Name::DeadlineMs,
            "deadline_ms",
            Attribute,
            millis(Least(1, "every call would be out of time"), "60_000"),
        ),
        key(
            Name::Jitter,
            "jitter",
            Attribute,
            Takes::Word(&["none", "full", "equal"]),
        ),
        key(Name::Idempotent, "idempotent", Attribute, Takes::Bool),
        key(
            Name::RetryIf,
            "retry_if",
            Attribute,
            Takes::Expression("a path or closure, such as `|error| error.is_transient()`"),
        ),
        key(
            Name::IgnoreIf,
            "ignore_if",
            Attribute,
            Takes::Expression("a path or closure, such as `|error| error.is_callers_fault()`"),
        ),
        key(
            Name::Classify,
            "classify",
            Attribute,
            Takes::Expression("a path or closure from the returned value to a `Verdict`"),
        ),
        key(
            Name::OnFailure,
            "on_failure",
            Attribute,
            Takes::Expression("a path or closure from a `Failure` to the returned type"),
        ),
        key(Name::Breaker, "breaker", Attribute, Takes::Breaker),
        key(Name::ToolName, "name", Attribute, Takes::Text),
        key(
            Name::Cancel,
            "cancel",
            Attribute,
            Takes::Expression("an expression for a cancellation token"),
        ),
        key(Name::Crate, "crate", Attribute, Takes::Path),
        key(
            Name::Threshold,
            "threshold",
            Breaker,
            count(
                "failures",
                Least(1, "the breaker would never let a call pass"),
                U32,
                "5",
            ),
        ),
        key(
            Name::Window,
            "window",
            Breaker,
            count("results", Least(1, "there would be nothing to judge"), 64, "20"),
        ),
        key(Name::FailureRate, "failure_rate", Breaker, Takes::Rate),
        key(Name::CooldownMs, "cooldown_ms", Breaker, millis(ANY, "30_000")),
        key(Name::CooldownMaxMs, "cooldown_max_ms", Breaker, millis(ANY, "300_000")),
        key(
            Name::Probes,
            "probes",
            Breaker,
            count("probes", Least(1, "the breaker would never close again"), U32, "1"),
        ),
    ]
};

pub(super) fn find(text: &str, within: Section) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.within == within && key.text == text)
}

/// The keys of a section, for a message.
pub(super) fn list_of(section: Section) -> String {
    let names: Vec<_> = KEYS
        .iter()
        .filter(|key| key.within == section)
        .map(|key| key.name.to_string())
        .collect();
    names.join(", ")
}

/// What is said of a key that the section does not have.
pub(super) fn unknown(text: &str, section: Section) -> String {
    if let Some(key) = KEYS.iter().find(|key| key.text == text) {
        return match key.within {
            Section::Breaker => format!("`{text}` belongs to the breaker; write `breaker({text} = ..)`"),
            Section::Attribute => format!("`{text}` is no setting of the breaker; move it out of `breaker(..)`"),
        };
    }
    let known = list_of(section);
    let nearest = KEYS
        .iter()
        .filter(|key| key.within == section)
        .map(|key| (edit_distance(text, key.text), key.text))
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
        for key in KEYS {
            assert_eq!(
                KEYS.iter().filter(|other| other.name == key.name).count(),
                1,
                "{:?}",
                key.name
            );
            assert_eq!(
                KEYS.iter().filter(|other| other.text == key.text).count(),
                1,
                "{:?}",
                key.text
            );
            assert_eq!(key.name.text(), key.text);
        }
    }
}
