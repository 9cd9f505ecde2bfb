use std::borrow::Cow;

/// The form of a text in a column. A text of PostgreSQL can't hold the character 0, but a key can, and has to be found again.
pub(crate) fn stored(text: &str) -> Cow<'_, str> {
    if text.contains(['\0', '\\']) { text.replace('\\', "\\\\").replace('\0', "\\0").into() } else { text.into() }
}

/// The text that was [`stored`] so.
pub(crate) fn read(stored: String) -> String {
    if !stored.contains('\\') {
        return stored;
    }
    let mut characters = stored.chars();
    let mut text = String::with_capacity(stored.len());
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' if characters.next() == Some('0') => '\0',
            character => character,
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_read_as_it_was_and_has_no_character_0() {
        for text in ["", "alice", "a\0b", "\0", "\\", "\\0", "\\\0", "a\\\\0\0\\", "é\n\u{1f600}"] {
            let in_column = stored(text).into_owned();
            assert!(!in_column.contains('\0'), "{text:?}");
            assert_eq!(read(in_column), text);
        }
    }
}
