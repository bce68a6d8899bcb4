//! [`OverridesError`]: everything that is wrong with overrides.

use std::error::Error;
use std::fmt;

use crate::text::shown;

/// Everything that is wrong with [`Overrides`](super::Overrides). Displays with a line for each mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverridesError {
    mistakes: Vec<Mistake>,
}

impl OverridesError {
    pub(super) fn new(mistakes: Vec<Mistake>) -> OverridesError {
        OverridesError { mistakes }
    }

    /// The mistakes, in the order of the tables.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl fmt::Display for OverridesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("overrides were not applied: ")?;
        for (index, mistake) in self.mistakes.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{mistake}")?;
        }
        Ok(())
    }
}

impl Error for OverridesError {}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mistake {
    /// The table, as TOML spells it: `[tool."search"]`.
    pub table: String,
    /// The tool that a rule was broken for, by its path: of a table that is for several.
    pub tool: Option<String>,
    /// The setting, if one is at fault.
    pub key: Option<String>,
    /// The fact and the remedy.
    pub message: String,
}

impl Mistake {
    pub(super) fn in_table(table: &str, message: String) -> Mistake {
        Mistake {
            table: table.to_owned(),
            tool: None,
            key: None,
            message,
        }
    }

    pub(super) fn at(table: &str, key: &str, message: String) -> Mistake {
        Mistake {
            key: Some(shown(key)),
            ..Mistake::in_table(table, message)
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mistake {
            table, tool, message, ..
        } = self;
        match tool {
            Some(tool) => write!(f, "{table}, for `{tool}`: {message}"),
            None => write!(f, "{table}: {message}"),
        }
    }
}
