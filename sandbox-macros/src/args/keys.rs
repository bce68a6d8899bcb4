//! [`KEYS`]: the one table of everything that may stand in `#[sandboxed(..)]`.

use std::fmt::{self, Display};

use super::bounds::Bounds;
use super::words;

/// A key of the attribute; [`KEYS`] has its spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Policy,
    TimeoutMs,
    MaxRetries,
    BackoffBaseMs,
    BackoffMaxMs,
    DeadlineMs,
    Jitter,
    Idempotent,
    MaxConcurrent,
    QueueMs,
    Rate,
    RetryIf,
    IgnoreIf,
    Classify,
    OnFailure,
    IsError,
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
    Count,
    SlowCallMs,
    ForgetMs,
    Calls,
    PerMs,
    Scope,
}

impl Key {
    pub(crate) fn spec(self) -> Option<&'static KeySpec> {
        KEYS.iter().find(|spec| spec.key == self)
    }

    pub(crate) fn text(self) -> &'static str {
        self.spec().map_or("", |spec| spec.text)
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.text())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// `#[sandboxed(..)]`
    Attribute,
    /// `breaker(..)` within it.
    Breaker,
    /// `rate(..)` within it.
    Rate,
}

impl Section {
    pub(crate) const ALL: [Section; 3] = [Section::Attribute, Section::Breaker, Section::Rate];

    /// The key of the attribute whose arguments the section has, if it has those of one.
    pub(crate) const fn of(self) -> Option<Key> {
        match self {
            Section::Attribute => None,
            Section::Breaker => Some(Key::Breaker),
            Section::Rate => Some(Key::Rate),
        }
    }
}

/// What a key takes. Literals are checked here; about constant expressions the compiler knows more.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ValueKind {
    /// A whole number.
    Number {
        unit: &'static str,
        bounds: Bounds,
        example: &'static str,
    },
    /// A share of all results, as a number with a decimal point.
    Share,
    /// One of these words, each of which is a constant in the runtime's module `private::KEY`.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// An expression; the text describes its value.
    Expression(&'static str),
    /// A string literal, or the path of a constant.
    Text,
    /// A path.
    Path,
    /// Arguments of its own in parentheses, `off`, or an expression for a breaker.
    Breaker,
    /// Arguments of its own in parentheses.
    Rate,
}

impl ValueKind {
    /// The section of the arguments that the kind takes in parentheses.
    pub(crate) const fn section(self) -> Option<Section> {
        match self {
            ValueKind::Breaker => Some(Section::Breaker),
            ValueKind::Rate => Some(Section::Rate),
            _ => None,
        }
    }
}

/// A row of [`KEYS`].
#[derive(Debug)]
pub(crate) struct KeySpec {
    pub(crate) key: Key,
    pub(crate) text: &'static str,
    pub(crate) section: Section,
    pub(crate) kind: ValueKind,
    /// The function of the runtime's `private` that converts the value, or checks it where it is a constant.
    pub(crate) function: Option<&'static str>,
    /// The method of `Policy` or, in the breaker's section, of `CircuitBreaker` that takes the value.
    pub(crate) setter: Option<&'static str>,
    /// Whether the word `off` is a value, too.
    pub(crate) may_be_off: bool,
}

impl KeySpec {
    const fn new(key: Key, text: &'static str, section: Section, kind: ValueKind) -> Self {
        KeySpec {
            key,
            text,
            section,
            kind,
            function: None,
            setter: None,
            may_be_off: false,
        }
    }

    /// Tells whether the value is a constant.
    pub(crate) fn is_constant(&self) -> bool {
        matches!(self.kind, ValueKind::Number { .. } | ValueKind::Share)
    }

    /// Tells whether the key is a setting of the policy.
    pub(crate) fn is_of_policy(&self) -> bool {
        self.section == Section::Attribute && self.setter.is_some()
    }

    const fn function(self, function: &'static str) -> Self {
        KeySpec {
            function: Some(function),
            ..self
        }
    }

    const fn setter(self, setter: &'static str) -> Self {
        KeySpec {
            setter: Some(setter),
            ..self
        }
    }

    const fn or_off(self) -> Self {
        KeySpec {
            may_be_off: true,
            ..self
        }
    }
}

const fn attribute(key: Key, text: &'static str, kind: ValueKind) -> KeySpec {
    KeySpec::new(key, text, Section::Attribute, kind)
}

const fn breaker(key: Key, text: &'static str, kind: ValueKind) -> KeySpec {
    KeySpec::new(key, text, Section::Breaker, kind)
}

const fn rate(key: Key, text: &'static str, kind: ValueKind) -> KeySpec {
    KeySpec::new(key, text, Section::Rate, kind)
}

const fn number(unit: &'static str, bounds: Bounds, example: &'static str) -> ValueKind {
    ValueKind::Number { unit, bounds, example }
}

/// The unit of all times.
pub(super) const MILLISECONDS: &str = "milliseconds";

const fn millis(bounds: Bounds, example: &'static str) -> ValueKind {
    number(MILLISECONDS, bounds, example)
}

pub(crate) const KEYS: &[KeySpec] = {
    use ValueKind::{Bool, Expression, Path, Rate, Share, Text, Word};
    const ANY_U64: Bounds = Bounds::up_to(u64::MAX);
    const ANY_U32: Bounds = Bounds::up_to(u32::MAX as u64);
    &[
        attribute(
            Key::Policy,
            "policy",
            Expression("an expression for a `Policy`, which is evaluated once for each call"),
        ),
        attribute(
            Key::TimeoutMs,
            "timeout_ms",
            millis(ANY_U64.from(1, "every attempt would time out"), "5_000"),
        )
        .function("millis")
        .setter("timeout")
        .or_off(),
        attribute(Key::MaxRetries, "max_retries", number("retries", ANY_U32, "2")).setter("max_retries"),
        attribute(Key::BackoffBaseMs, "backoff_base_ms", millis(ANY_U64, "500"))
            .function("millis")
            .setter("backoff_base"),
        attribute(Key::BackoffMaxMs, "backoff_max_ms", millis(ANY_U64, "10_000"))
            .function("millis")
            .setter("backoff_max"),
        attribute(
            Key::DeadlineMs,
            "deadline_ms",
            millis(ANY_U64.from(1, "every call would be out of time"), "60_000"),
        )
        .function("millis")
        .setter("deadline"),
        attribute(Key::Jitter, "jitter", Word(&["none", "full", "equal"])).setter("jitter"),
        attribute(Key::Idempotent, "idempotent", Bool).setter("idempotent"),
        attribute(
            Key::MaxConcurrent,
            "max_concurrent",
            number("calls", ANY_U32.from(1, "no call would ever be made"), "8"),
        )
        .setter("max_concurrent"),
        attribute(Key::QueueMs, "queue_ms", millis(ANY_U64, "1_000"))
            .function("millis")
            .setter("queue"),
        attribute(Key::Rate, "rate", Rate).setter("rate"),
        attribute(
            Key::RetryIf,
            "retry_if",
            Expression("a path or closure, such as `|error| error.is_transient()`"),
        ),
        attribute(
            Key::IgnoreIf,
            "ignore_if",
            Expression("a path or closure, such as `|error| error.is_callers_fault()`"),
        ),
        attribute(
            Key::Classify,
            "classify",
            Expression("a path or closure from the returned value to a `Verdict`"),
        ),
        attribute(
            Key::OnFailure,
            "on_failure",
            Expression("a path or closure from a `Failure` to the returned type"),
        ),
        attribute(Key::IsError, "is_error", Word(&["last_word", "retry"])),
        attribute(Key::Breaker, "breaker", ValueKind::Breaker).or_off(),
        attribute(Key::Name, "name", Text),
        attribute(
            Key::Cancel,
            "cancel",
            Expression("an expression for a cancellation token"),
        ),
        attribute(Key::Crate, "crate", Path),
        breaker(
            Key::Threshold,
            "threshold",
            number(
                "failures",
                ANY_U32.from(1, "the breaker would never let a call pass"),
                "5",
            ),
        )
        .function("threshold"),
        breaker(
            Key::Window,
            "window",
            number(
                "results",
                Bounds::up_to(64).from(1, "there would be nothing to judge"),
                "20",
            ),
        )
        .function("window"),
        breaker(Key::FailureRate, "failure_rate", Share).function("failure_rate"),
        breaker(Key::CooldownMs, "cooldown_ms", millis(ANY_U64, "30_000"))
            .function("millis")
            .setter("cooldown"),
        breaker(Key::CooldownMaxMs, "cooldown_max_ms", millis(ANY_U64, "300_000"))
            .function("millis")
            .setter("cooldown_max"),
        breaker(
            Key::Probes,
            "probes",
            number("probes", ANY_U32.from(1, "the breaker would never close again"), "1"),
        )
        .function("probes")
        .setter("probes"),
        breaker(Key::Count, "count", Word(&["calls", "attempts"])).setter("counting"),
        breaker(
            Key::SlowCallMs,
            "slow_call_ms",
            millis(
                ANY_U64.from(1, "every success that had to wait would be a failure"),
                "2_000",
            ),
        )
        .function("slow_call_ms")
        .setter("slow_call"),
        breaker(
            Key::ForgetMs,
            "forget_ms",
            millis(ANY_U64.from(1, "no two failures would be a row"), "60_000"),
        )
        .function("forget_ms")
        .setter("forget_after"),
        rate(
            Key::Calls,
            "calls",
            number("attempts", ANY_U32.from(1, "no attempt would ever be made"), "10"),
        ),
        rate(
            Key::PerMs,
            "per_ms",
            millis(ANY_U64.from(1, "there would be no limit"), "1_000"),
        )
        .function("millis"),
        rate(Key::Scope, "scope", Word(&["process", "fleet"]))
            .function("rate_scope")
            .setter("rate_scope"),
    ]
};

pub(super) fn find(text: &str, section: Section) -> Option<&'static KeySpec> {
    KEYS.iter().find(|spec| spec.section == section && spec.text == text)
}

/// The keys of a section, for a message.
pub(super) fn keys_of(section: Section) -> String {
    let keys: Vec<_> = KEYS
        .iter()
        .filter(|spec| spec.section == section)
        .map(|spec| spec.key.to_string())
        .collect();
    keys.join(", ")
}

/// The message about a key that the section does not have.
pub(super) fn unknown_key(text: &str, section: Section) -> String {
    if let Some(spec) = KEYS.iter().find(|spec| spec.text == text) {
        return match (spec.section, section) {
            (Section::Breaker, _) => format!("`{text}` belongs to the breaker; write `breaker({text} = ..)`"),
            (Section::Rate, _) => format!("`{text}` belongs to the rate; write `rate({text} = ..)`"),
            (Section::Attribute, Section::Rate) => {
                format!("`{text}` is not a part of a rate; move it out of `rate(..)`")
            }
            (Section::Attribute, _) => {
                format!("`{text}` is not a setting of the breaker; move it out of `breaker(..)`")
            }
        };
    }
    if let Some(remedy) = words::remedy(text, section) {
        return format!("unknown argument `{text}`; {remedy}");
    }
    let known = keys_of(section);
    let nearest = KEYS
        .iter()
        .filter(|spec| spec.section == section)
        .map(|spec| (edit_distance(text, spec.text), spec.text))
        .min();
    match nearest {
        // What differs in more than a third of its letters is another word.
        Some((distance, nearest)) if distance <= nearest.len().div_ceil(3) => {
            format!("unknown argument `{text}`; did you mean `{nearest}`? (there are {known})")
        }
        _ => format!("unknown argument `{text}`; there are {known}"),
    }
}

/// How many characters must be inserted, removed or replaced to turn one word into the other (Levenshtein).
pub(crate) fn edit_distance(from: &str, to: &str) -> usize {
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
