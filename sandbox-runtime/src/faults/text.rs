//! Faults as text: `seed=7; search: hang 20%; *: late 500ms 5%`.

use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use super::{Fault, Faults, When};
use crate::policy::nearest;

/// Why a text is not a plan of [`Faults`], and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct FaultsError {
    message: String,
}

impl FaultsError {
    fn new(message: impl Into<String>) -> FaultsError {
        FaultsError {
            message: message.into(),
        }
    }

    /// The same, with the part of the text that it is about.
    fn of_part(self, part: &str) -> FaultsError {
        FaultsError::new(format!("in `{part}`: {}", self.message))
    }
}

/// Parses what [the environment](crate::faults#a-whole-program) may have.
impl FromStr for Faults {
    type Err = FaultsError;

    fn from_str(text: &str) -> Result<Faults, FaultsError> {
        let mut seed = None;
        let mut faults = Faults::seeded(0);
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            faults = match seed_in(part) {
                Some(found) => {
                    let found = found.map_err(|error| error.of_part(part))?;
                    if seed.replace(found).is_some() {
                        return Err(FaultsError::new("there are two seeds; remove one"));
                    }
                    faults
                }
                None => rule(faults, part).map_err(|error| error.of_part(part))?,
            };
        }
        if faults.rules.is_empty() {
            return Err(FaultsError::new("it has no rule; add one, such as `search: hang 20%`"));
        }
        faults.seed = seed.unwrap_or_default();
        Ok(faults)
    }
}

/// The seed, if that is what the part is about.
fn seed_in(part: &str) -> Option<Result<u64, FaultsError>> {
    let (key, number) = part.split_once('=')?;
    if key.contains(':') || number.contains(':') {
        return None;
    }
    Some(match key.trim() {
        "seed" => number.trim().parse().map_err(|_| {
            let most = u64::MAX;
            FaultsError::new(format!(
                "the seed is not a whole number from 0 to {most}; write `seed=7`"
            ))
        }),
        key => Err(FaultsError::new(format!("`{key}` is unknown; only `seed` has a value"))),
    })
}

/// Adds the rule that a part states.
fn rule(faults: Faults, part: &str) -> Result<Faults, FaultsError> {
    // The last one: a path has colons itself.
    let (tool, injection) = part.rsplit_once(':').ok_or_else(|| {
        FaultsError::new(
            "there is no colon; write the tool, or `*` for all, a colon and the fault, as in `search: hang`",
        )
    })?;
    let tool = match tool.trim() {
        "" => return Err(FaultsError::new("it names no tool; write `*` for all")),
        "*" => None,
        name if name.contains([',', '=', '*', ' ']) => {
            return Err(FaultsError::new(format!(
                "`{name}` is not the name of a tool; separate rules by `;`"
            )));
        }
        name => Some(name),
    };
    let mut words = injection.split_whitespace().peekable();
    let fault = fault(&mut words)?;
    let when = words.next().map_or(Ok(When::Always), when)?;
    if let Some(more) = words.next() {
        return Err(FaultsError::new(format!(
            "`{more}` is too much; write one share or position in a rule"
        )));
    }
    Ok(faults.with(tool, fault, when))
}

const FAULTS: [&str; 7] = ["fail", "hang", "panic", "late", "refuse", "lose_answer", "none"];

fn fault<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<Option<Fault>, FaultsError> {
    let known = || format!("the faults are `{}`", FAULTS.join("`, `"));
    let word = words
        .next()
        .ok_or_else(|| FaultsError::new(format!("it names no fault; {}", known())))?;
    Ok(Some(match word {
        "fail" => Fault::Fail,
        "hang" => Fault::Hang,
        "panic" => Fault::Panic,
        "late" => Fault::Late(delay(words.next())?),
        "refuse" => Fault::Refuse,
        "lose_answer" => Fault::LoseAnswer,
        "none" => return Ok(None),
        other => {
            let remedy = nearest(other, FAULTS).map_or_else(known, |name| format!("did you mean `{name}`?"));
            return Err(FaultsError::new(format!("`{other}` is not a fault; {remedy}")));
        }
    }))
}

/// A number and its unit.
fn delay(word: Option<&str>) -> Result<Duration, FaultsError> {
    let number = |digits: &str| digits.parse().ok();
    let delay = word.and_then(|word| match word.strip_suffix("ms") {
        Some(digits) => number(digits).map(Duration::from_millis),
        None => number(word.strip_suffix('s')?).map(Duration::from_secs),
    });
    delay.ok_or_else(|| {
        FaultsError::new("`late` takes a delay; write a whole number of `ms` or `s`, as in `late 500ms`")
    })
}

/// The attempts that a rule concerns.
fn when(word: &str) -> Result<When, FaultsError> {
    let when = match (word.strip_suffix('%'), word.strip_prefix('#')) {
        (Some(percent), _) => percent_in(percent),
        (None, Some(positions)) => positions_in(positions),
        (None, None) => None,
    };
    when.ok_or_else(|| {
        FaultsError::new(format!(
            "`{word}` is neither a share nor a position; write a share from `0%` to `100%`, a position such as `#3`, counted \
             from 1, or positions such as `#1-2`"
        ))
    })
}

fn percent_in(number: &str) -> Option<When> {
    let percent: f64 = number.parse().ok()?;
    (0.0..=100.0).contains(&percent).then(|| When::share(percent / 100.0))
}

fn positions_in(positions: &str) -> Option<When> {
    let (first, last) = positions.split_once('-').unwrap_or((positions, positions));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (1 <= first && first <= last).then_some(When::At(first, last))
}
