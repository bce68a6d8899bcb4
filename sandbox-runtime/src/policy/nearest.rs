//! The known name that a misspelt one is nearest to.

/// The name among `known` that was probably meant by `text`, if one is similar enough.
pub(crate) fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = known.into_iter().map(|name| (edit_distance(text, name), name));
    let (distance, name) = distances.min()?;
    // What differs in more than a third of its letters is another word. The attribute draws the line at the same place.
    (distance <= name.len().div_ceil(3)).then_some(name)
}

/// The message about a word that is none of those that are known.
pub(crate) fn unknown(what: &str, text: &str, nearest: Option<&str>, known: &[&str]) -> String {
    let known = known.join("`, `");
    match nearest {
        Some(nearest) => format!("unknown {what} `{text}`; did you mean `{nearest}`? (there are `{known}`)"),
        None => format!("unknown {what} `{text}`; there are `{known}`"),
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn distances() {
        for (from, to, distance) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("timeout", "timeout_ms", 3),
            ("retries", "retires", 2),
            ("größe", "grösse", 2),
        ] {
            assert_eq!(edit_distance(from, to), distance, "from {from:?} to {to:?}");
        }
    }

    #[test]
    fn the_nearest_name_is_found_if_it_is_near() {
        let known = ["timeout_ms", "deadline_ms"];
        assert_eq!(nearest("timeout", known), Some("timeout_ms"));
        assert_eq!(nearest("deadlineMs", known), Some("deadline_ms"));
        assert_eq!(
            nearest("time_ms", known),
            Some("timeout_ms"),
            "three letters of ten are missing"
        );
        assert_eq!(
            nearest("tim_ms", known),
            Some("timeout_ms"),
            "four letters of ten are missing"
        );
        assert_eq!(nearest("ti_ms", known), None, "five letters of ten are missing");
        assert_eq!(nearest("timeout", []), None);
    }

    /// The definition, by recursion.
    fn distance_by_definition(from: &[char], to: &[char]) -> usize {
        let (Some((first, from_rest)), Some((other, to_rest))) = (from.split_first(), to.split_first()) else {
            return from.len() + to.len();
        };
        if first == other {
            return distance_by_definition(from_rest, to_rest);
        }
        let inserted = distance_by_definition(from, to_rest);
        let removed = distance_by_definition(from_rest, to);
        let replaced = distance_by_definition(from_rest, to_rest);
        1 + inserted.min(removed).min(replaced)
    }

    proptest! {
        #[test]
        fn a_distance_is_as_it_is_defined(from in "[abß]{0,6}", to in "[abß]{0,6}") {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = distance_by_definition(&characters(&from), &characters(&to));
            prop_assert_eq!(edit_distance(&from, &to), expected);
        }
    }
}
