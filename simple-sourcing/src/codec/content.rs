use serde::Serialize;
use serde_content::{Data, Serializer, Value};

/// A value whose maps are in the order of their keys, for a format that is not known here.
///
/// # Errors
/// When the value can't be written at all.
pub(super) fn ordered<T: Serialize>(value: &T, human_readable: bool) -> Result<Value<'static>, String> {
    let serializer = if human_readable { Serializer::new().human_readable() } else { Serializer::new() };
    let mut value = serializer.serialize(value).map_err(|error| error.to_string())?;
    order(&mut value);
    Ok(value)
}

fn order(value: &mut Value<'_>) {
    match value {
        Value::Seq(values) | Value::Tuple(values) => values.iter_mut().for_each(order),
        Value::Option(Some(value)) => order(value),
        Value::Struct(value) => within(&mut value.data),
        Value::Enum(value) => within(&mut value.data),
        Value::Map(entries) => {
            entries.iter_mut().for_each(|(_, value)| order(value));
            // Stable: what can't be compared, and what a type writes twice, stays where it is.
            entries.sort_by(|(one, _), (other, _)| one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal));
        }
        _ => {}
    }
}

fn within(data: &mut Data<'_>) {
    match data {
        Data::Unit => {}
        Data::NewType { value } => order(value),
        Data::Tuple { values } => values.iter_mut().for_each(order),
        Data::Struct { fields } => fields.iter_mut().for_each(|(_, value)| order(value)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::*;

    #[derive(Serialize)]
    enum Kind {
        Unit,
        Newtype(BTreeMap<(u8, char), f32>),
        Tuple(u8, (u8, String)),
        Struct { b: u128, a: Option<Option<()>> },
    }

    #[test]
    fn what_is_in_order_is_written_as_it_is() {
        let kinds = [
            Kind::Unit,
            Kind::Newtype([((1, '"'), 0.1), ((2, 'a'), 0.2)].into()),
            Kind::Tuple(7, (8, "\n".into())),
            Kind::Struct { b: u128::MAX, a: Some(None) },
        ];
        for kind in kinds {
            let written = postcard::to_stdvec(&ordered(&kind, false).unwrap()).unwrap();
            assert_eq!(written, postcard::to_stdvec(&kind).unwrap());
        }
    }

    #[test]
    fn maps_are_in_order_wherever_they_are() {
        let map = |numbers: [u32; 4]| numbers.map(|n| (n, HashMap::from([(n, "x"), (n + 1, "y")])));
        let [one, other] = [[3, 1, 300, 2], [300, 2, 1, 3]].map(|numbers| {
            let map: HashMap<_, _> = map(numbers).into_iter().collect();
            postcard::to_stdvec(&ordered(&vec![Some(map)], false).unwrap()).unwrap()
        });
        let expected: BTreeMap<_, BTreeMap<_, _>> =
            map([1, 2, 3, 300]).into_iter().map(|(n, inner)| (n, inner.into_iter().collect())).collect();
        assert_eq!(one, postcard::to_stdvec(&vec![Some(expected)]).unwrap());
        assert_eq!(one, other);
    }
}
