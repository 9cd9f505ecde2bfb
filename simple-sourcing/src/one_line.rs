use std::fmt::{self, Display, Write};

/// Shows a value in one line, whatever it contains: characters that would end the line, or move the cursor of a terminal, are
/// escaped. Use it for text from clients in errors and logs, so that it can't pass for a line of its own.
#[derive(Debug, Clone, Copy)]
pub struct OneLine<T>(pub T);

impl<T: Display> Display for OneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_escaped) {
            let (plain, tail) = rest.split_at(at);
            let mut tail = tail.chars();
            self.0.write_str(plain)?;
            for escaped in tail.next().into_iter().flat_map(char::escape_default) {
                self.0.write_char(escaped)?;
            }
            rest = tail.as_str();
        }
        self.0.write_str(rest)
    }
}

/// Control characters, line and paragraph separators, and characters that change the reading direction.
fn is_escaped(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_the_line_and_all_else_stays() {
        let hostile = "a\nb\r\tc\u{1b}[31m\u{85}\u{2028}\u{2029}\u{202e}\u{0}\u{7f}";
        let shown = OneLine(hostile).to_string();
        assert_eq!(shown, r"a\nb\r\tc\u{1b}[31m\u{85}\u{2028}\u{2029}\u{202e}\u{0}\u{7f}");
        let text = r#"Zoë's "50 %" \n 日本 e\u{301}"#;
        assert_eq!(OneLine(text).to_string(), text);
    }
}
