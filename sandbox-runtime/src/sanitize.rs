//! [`sanitized`]: foreign text made fit to be shown: on one line, without control characters, and not too long.

use std::fmt::{self, Display, Write};

/// How many characters are kept of a text.
const LONGEST: usize = 500;

/// What `text` displays, without control characters and cut where it gets too long.
pub(crate) fn sanitized(text: impl Display) -> String {
    let mut line = OneLine::default();
    // Of a `Display` that fails, what it has written until then counts.
    let _ = write!(line, "{text}");
    line.text
}

/// Takes what it has room for, and then stops its writer, however long the whole would be.
#[derive(Default)]
struct OneLine {
    text: String,
    length: usize,
    /// Whether a space is due before the next visible character.
    space: bool,
    full: bool,
}

impl Write for OneLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.full {
            // Some writers continue after an error.
            return Err(fmt::Error);
        }
        for character in text.chars() {
            if character.is_control() || character.is_whitespace() {
                self.space = self.length > 0;
                continue;
            }
            if self.length + usize::from(self.space) >= LONGEST {
                self.text.push('…');
                self.full = true;
                return Err(fmt::Error);
            }
            if std::mem::take(&mut self.space) {
                self.push(' ');
            }
            self.push(character);
        }
        Ok(())
    }
}

impl OneLine {
    fn push(&mut self, character: char) {
        self.text.push(character);
        self.length += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_becomes_one_space() {
        assert_eq!(
            sanitized("\u{1b}[31mbad\u{1b}[0m\r\n\tat line 3\0 \n"),
            "[31mbad [0m at line 3"
        );
        assert_eq!(sanitized(" \n"), "");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let exact = "ä".repeat(LONGEST);
        assert_eq!(sanitized(&exact), exact);
        assert_eq!(sanitized(format!("{exact}b")), format!("{exact}…"));
        assert_eq!(sanitized(format!("{exact} \n")), exact, "what follows cannot be seen");
    }

    #[test]
    fn a_writer_without_end_is_stopped() {
        struct Endless;
        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("again and ")?;
                }
            }
        }
        struct Deaf;
        impl Display for Deaf {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for _ in 0..1_000 {
                    let _ = f.write_str("x");
                }
                Ok(())
            }
        }
        assert_eq!(sanitized(Deaf), format!("{}…", "x".repeat(LONGEST)));
        assert_eq!(sanitized(Endless), format!("{}…", "again and ".repeat(50).trim_end()));
    }
}
