//! JSON pointers (RFC 6901), and where they lead in JSON. Nothing is parsed but the way, so each number stays as it is written.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The names and places on the way, from the outermost; none if it is no pointer.
pub(super) fn steps(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    pointer.strip_prefix('/')?.split('/').map(unescaped).collect()
}

/// `~1` stands for `/` and `~0` for `~`.
fn unescaped(step: &str) -> Option<String> {
    let mut parts = step.split('~');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.try_fold(first, |name, part| {
        let (escaped, rest) = match part.as_bytes().first()? {
            b'0' => ('~', &part[1..]),
            b'1' => ('/', &part[1..]),
            _ => return None,
        };
        Some(format!("{name}{escaped}{rest}"))
    })
}

/// The place in a list that a step names: `0`, `1`, and so on.
pub(super) fn place(step: &str) -> Option<usize> {
    let place = step.parse().ok()?;
    // "+7" and "007" are parsed too.
    (usize::to_string(&place) == step).then_some(place)
}

/// What stands where the steps lead; none if they lead nowhere.
pub(super) fn find<'a>(json: &'a RawValue, steps: &[String]) -> serde_json::Result<Option<&'a RawValue>> {
    let mut found = json;
    for step in steps {
        let text = found.get();
        let next = match text.as_bytes().first() {
            Some(b'{') => Member(step).deserialize(&mut serde_json::Deserializer::from_str(text))?,
            Some(b'[') => match place(step) {
                Some(place) => Item(place).deserialize(&mut serde_json::Deserializer::from_str(text))?,
                None => None,
            },
            _ => None,
        };
        match next {
            Some(next) => found = next,
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

/// What an object has under this name.
struct Member<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(Is(self.0))? {
            if is_it {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a key is this one.
struct Is<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

/// What a list has at this place.
struct Item(usize);

impl<'de> DeserializeSeed<'de> for Item {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Item {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Self::Value, S::Error> {
        for _ in 0..self.0 {
            if items.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let found = items.next_element()?;
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_has_steps() {
        let steps = |pointer| steps(pointer).map(|steps| steps.join(" "));
        assert_eq!(steps("").as_deref(), Some(""));
        assert_eq!(steps("/").as_deref(), Some(""));
        assert_eq!(steps("/address/city").as_deref(), Some("address city"));
        assert_eq!(steps("/a~1b/~0~01/ü").as_deref(), Some("a/b ~~1 ü"));
        for wrong in ["balance", "/~", "/~2", "/a~", "a/b", "#/a"] {
            assert_eq!(steps(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_a_pointer_finds_is_as_it_is_written() {
        let json = r#"{"a":[1,{"b/c":"x","ü\"":[]},340282366920938463463374607431768211455],"":-0.10,"n":null}"#;
        let json = serde_json::from_str(json).unwrap();
        let found = |pointer| find(json, &steps(pointer).unwrap()).unwrap().map(RawValue::get);
        assert_eq!(found("/a/2"), Some("340282366920938463463374607431768211455"));
        assert_eq!(found("/a/1/b~1c"), Some(r#""x""#));
        assert_eq!(found("/a/1/ü\""), Some("[]"));
        assert_eq!(found("/"), Some("-0.10"));
        assert_eq!(found("/n"), Some("null"));
        assert_eq!(found(""), Some(json.get()));
        for nowhere in ["/b", "/a/3", "/a/01", "/a/-", "/a/0/0", "/n/x", "/a/b", "/a/1/0"] {
            assert_eq!(found(nowhere), None, "{nowhere}");
        }
    }
}
