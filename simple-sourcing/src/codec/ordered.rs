//! A value whose maps are written in the order of their keys. A `HashMap` yields its entries in another order each time, but a
//! command that is sent again must have the same bytes. Everything else is left to the inner serializer, which must be that of
//! `serde_json`: the entries of a map are kept as JSON until all are there.

use std::fmt;

use serde::{
    Serialize, Serializer,
    ser::{
        Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};
use serde_json::value::{RawValue, to_raw_value};

/// The value.
pub(super) struct Ordered<'a, T: ?Sized>(pub(super) &'a T);

impl<T: Serialize + ?Sized> Serialize for Ordered<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Ordering(serializer))
    }
}

/// A serializer that puts maps into order.
struct Ordering<S>(S);

/// A sequence, a tuple or a struct: what it holds may be a map.
struct Within<C>(C);

/// A map whose entries are not sorted yet.
struct Map<S> {
    serializer: S,
    entries: Vec<(String, Box<RawValue>)>,
    /// The key of the entry whose value comes next.
    key: Option<String>,
}

/// Values that hold no other.
macro_rules! plain {
    ($($method:ident($type:ty)),* $(,)?) => {$(
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.0.$method(value)
        }
    )*};
}

impl<S: Serializer> Serializer for Ordering<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Within<S::SerializeSeq>;
    type SerializeTuple = Within<S::SerializeTuple>;
    type SerializeTupleStruct = Within<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Within<S::SerializeTupleVariant>;
    type SerializeMap = Map<S>;
    type SerializeStruct = Within<S::SerializeStruct>;
    type SerializeStructVariant = Within<S::SerializeStructVariant>;

    plain! {
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_i128(i128),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_u128(u128),
        serialize_f32(f32),
        serialize_f64(f64),
        serialize_char(char),
        serialize_str(&str),
        serialize_bytes(&[u8]),
        serialize_unit_struct(&'static str),
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_none()
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Ordered(value))
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Ordered(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_variant(name, index, variant, &Ordered(value))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.0.serialize_seq(length).map(Within)
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.0.serialize_tuple(length).map(Within)
    }

    fn serialize_tuple_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.0.serialize_tuple_struct(name, length).map(Within)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.0.serialize_tuple_variant(name, index, variant, length).map(Within)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        Ok(Map { serializer: self.0, entries: Vec::with_capacity(length.unwrap_or_default()), key: None })
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeStruct, S::Error> {
        self.0.serialize_struct(name, length).map(Within)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.0.serialize_struct_variant(name, index, variant, length).map(Within)
    }
}

impl<S: Serializer> SerializeMap for Map<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.key = Some(text_of(key).map_err(Error::custom)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        let key = self.key.take().ok_or_else(|| Error::custom("a value of a map came without its key"))?;
        self.entries.push((key, to_raw_value(&Ordered(value)).map_err(Error::custom)?));
        Ok(())
    }

    fn end(mut self) -> Result<S::Ok, S::Error> {
        // Stable: if a type writes a key twice, the order stays.
        self.entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut map = self.serializer.serialize_map(Some(self.entries.len()))?;
        for (key, value) in &self.entries {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// The text of a map's key. `serde_json` knows which values have one, but only tells within a map.
fn text_of<T: Serialize + ?Sized>(key: &T) -> serde_json::Result<String> {
    let mut buffer = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut buffer);
    let mut map = Serializer::serialize_map(&mut serializer, Some(1))?;
    map.serialize_entry(key, &())?;
    SerializeMap::end(map)?;
    let end = buffer.len() - ":null}".len();
    serde_json::from_slice(&buffer["{".len()..end])
}

macro_rules! within {
    ($($trait:ident :: $method:ident($($name:ident)?)),* $(,)?) => {$(
        impl<C: $trait> $trait for Within<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, $($name: &'static str,)? value: &T) -> Result<(), C::Error> {
                self.0.$method($($name,)? &Ordered(value))
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.0.end()
            }
        }
    )*};
}
within! {
    SerializeSeq::serialize_element(),
    SerializeTuple::serialize_element(),
    SerializeTupleStruct::serialize_field(),
    SerializeTupleVariant::serialize_field(),
    SerializeStruct::serialize_field(name),
    SerializeStructVariant::serialize_field(name),
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::*;

    #[derive(Serialize)]
    struct Order {
        z: u8,
        a: Vec<Option<BTreeMap<i32, bool>>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<u8>,
        nested: Kind,
    }

    #[derive(Serialize)]
    enum Kind {
        Unit,
        Newtype(HashMap<char, f32>),
        Tuple(u8, (u8, String)),
        Struct { b: u128, a: () },
    }

    fn json(value: &impl Serialize) -> String {
        serde_json::to_string(&Ordered(value)).unwrap()
    }

    #[test]
    fn all_but_maps_is_as_serde_json_writes_it() {
        let kinds = [
            Kind::Unit,
            Kind::Newtype(HashMap::from([('"', 0.1)])),
            Kind::Tuple(7, (8, "\n".into())),
            Kind::Struct { b: u128::MAX, a: () },
        ];
        for nested in kinds {
            let order = Order { z: 1, a: vec![None, Some(BTreeMap::from([(7, true)]))], left_out: None, nested };
            assert_eq!(json(&order), serde_json::to_string(&order).unwrap());
        }
    }

    #[test]
    fn maps_are_in_order_wherever_they_are() {
        let inner: HashMap<String, u8> = (0..9).map(|n| (n.to_string(), n)).collect();
        let outer: HashMap<u32, _> = (0..12).map(|n| (n, inner.clone())).collect();
        let inner = r#"{"0":0,"1":1,"2":2,"3":3,"4":4,"5":5,"6":6,"7":7,"8":8}"#;
        let keys = ["0", "1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9"];
        let expected: Vec<_> = keys.iter().map(|key| format!(r#""{key}":{inner}"#)).collect();
        assert_eq!(json(&vec![outer]), format!("[{{{}}}]", expected.join(",")));
        assert!(serde_json::to_string(&Ordered(&HashMap::from([(vec![1], 1)]))).is_err(), "a key that is no text");
    }

    #[test]
    fn a_struct_with_flattened_fields_is_a_map() {
        #[derive(Serialize)]
        struct Flat {
            z: u8,
            #[serde(flatten)]
            more: HashMap<String, u8>,
        }
        let more: HashMap<_, _> = [("y".to_owned(), 1), ("a".to_owned(), 2)].into();
        assert_eq!(json(&Flat { z: 3, more }), r#"{"a":2,"y":1,"z":3}"#);
    }
}
