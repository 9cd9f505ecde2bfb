use std::{fmt, hash::Hash};

/// The key that names one aggregate: a type that converts to text and back without loss.
///
/// `String`, the integers, `char`, `bool` and `Uuid` are keys. A newtype around one becomes one with `#[derive(Key)]`:
///
/// ```
/// use simple_sourcing::Key;
///
/// #[derive(Debug, Clone, PartialEq, Eq, Hash, Key)]
/// struct OrderNumber(u64);
///
/// assert_eq!(OrderNumber(7).to_text(), "7");
/// assert_eq!(OrderNumber::from_text("7").unwrap(), OrderNumber(7));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the key of an aggregate",
    label = "does not implement `Key`",
    note = "keys convert to text and back: use `String`, an integer or `Uuid`, put `#[derive(Key)]` on a newtype around one, \
            or implement `Key`"
)]
pub trait Key: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static {
    /// The key as text, by which the log is partitioned. Two keys are equal exactly if their texts are.
    fn to_text(&self) -> String;

    /// [`to_text`](Key::to_text) for a key that is no longer needed. Worth implementing for a key that is already a text.
    fn into_text(self) -> String {
        self.to_text()
    }

    /// The key, parsed from its text.
    ///
    /// # Errors
    /// When the text is not the text of a key.
    fn from_text(text: &str) -> Result<Self, KeyError>;
}

/// The text is not a key of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a key of type {wanted}: {reason}")]
pub struct KeyError {
    text: String,
    wanted: &'static str,
    reason: String,
}

impl KeyError {
    /// An error that says why `text` is not a key of type `K`.
    pub fn new<K>(text: &str, reason: impl fmt::Display) -> Self {
        KeyError { text: text.into(), wanted: std::any::type_name::<K>(), reason: reason.to_string() }
    }
}

impl Key for String {
    fn to_text(&self) -> String {
        self.clone()
    }

    fn into_text(self) -> String {
        self
    }

    fn from_text(text: &str) -> Result<Self, KeyError> {
        Ok(text.into())
    }
}

macro_rules! key_from_str {
    ($($type:ty),*) => {$(
        impl Key for $type {
            fn to_text(&self) -> String {
                self.to_string()
            }

            fn from_text(text: &str) -> Result<Self, KeyError> {
                let key: Self = text.parse().map_err(|error| KeyError::new::<Self>(text, error))?;
                // "+7" and "007" parse as 7, and would be second names of the same aggregate, in other partitions.
                if key.to_string() == text {
                    Ok(key)
                } else {
                    Err(KeyError::new::<Self>(text, format_args!("it is written `{key}`")))
                }
            }
        }
    )*};
}
key_from_str!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, char, bool, uuid::Uuid);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_text() {
        assert_eq!(u32::from_text("7"), Ok(7));
        let error = u32::from_text("007").unwrap_err();
        assert_eq!(error.to_string(), "`007` is not a key of type u32: it is written `7`");
        assert!(u32::from_text("seven").is_err());
    }
}
