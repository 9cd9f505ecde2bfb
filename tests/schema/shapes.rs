//! What serde writes is what the schema says.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use serde::Serialize;
use simple_sourcing::{CommandId, Described, Position, Sequence, Timestamp, schema::Registry};

use crate::{
    domain::{
        Currency, Everything, Flat, Id, Known, Money, Page, Payment, Tagged, ThingError, ThingEvent, Tree, Unit,
        Unknown, Wrapper,
    },
    fits::Types,
};

#[track_caller]
fn assert_fits<T: Described + Serialize>(value: &T) {
    let mut registry = Registry::new();
    let ty = T::describe(&mut registry);
    let json = serde_json::to_value(value).unwrap();
    assert_eq!(Types(registry.into_types()).fits(&ty, &json), Ok(()), "{json}");
}

fn money(note: Option<&str>) -> Money {
    Money { in_cents: -5, currency: Currency::Usd, note: note.map(str::to_owned), rate: 2.0, cache: 9 }
}

fn tree() -> Tree {
    let leaf = Tree { name: "leaf".to_owned(), ..Tree::default() };
    Tree { children: vec![leaf.clone(), Tree::default()], parent: Some(Box::new(leaf)), ..Tree::default() }
}

fn known() -> Known {
    let receipt = "account/3:1842@7;018bcfe5-6800-7000-8000-000000000001".parse().unwrap();
    Known(
        BTreeMap::from([(1, BTreeSet::from(['a', 'b'])), (2, BTreeSet::new())]),
        Duration::from_millis(1500),
        SystemTime::UNIX_EPOCH,
        "a/b".into(),
        "::1".parse().unwrap(),
        (true, ()),
        CommandId::new(),
        Sequence::new(7),
        Timestamp::from_millis(8),
        Position { partition: 1, offset: 2 },
        receipt,
        -1..1,
    )
}

#[test]
fn structs() {
    assert_fits(&money(None));
    assert_fits(&money(Some("paid")));
    assert_fits(&tree());
    assert_fits(&Unit);
    assert_fits(&Wrapper { inner: uuid::Uuid::nil() });
    assert_fits(&Tagged { text: "a".into() });
    assert_fits(&Flat { id: 1, money: money(None), more: BTreeMap::from([("more".to_owned(), 7.into())]) });
    assert_fits(&Page::<_, 2> { items: vec![money(None)], sizes: [1, 2] });
    assert_fits(&known());
}

#[test]
fn enums() {
    for currency in [Currency::Eur, Currency::Usd, Currency::Old, Currency::Unknown] {
        assert_fits(&currency);
    }
    let both = Payment::Both(money(None), money(Some("b")));
    for payment in [Payment::Cash, Payment::Card { number: "1".to_owned() }, both, Payment::One(money(None))] {
        assert_fits(&payment);
    }
    for id in [Id::Number(1), Id::Text("a".to_owned()), Id::Pair { left: 1, right: 2 }] {
        assert_fits(&id);
    }
    assert_fits(&ThingError::No);
    assert_fits(&ThingError::TooLittle(5));
    assert_fits(&[Ok(1), Err("no".to_owned())]);
}

#[test]
fn events() {
    let events = [
        ThingEvent::FirstMade { owned_by: "a".to_owned(), money: money(None), tree: tree() },
        ThingEvent::Paid {
            payment: Payment::Cash,
            id: Id::Number(1),
            pair: (1, 2).try_into().unwrap(),
            wrapped: Wrapper { inner: uuid::Uuid::nil() },
        },
        ThingEvent::Listed {
            page: Page { items: vec![money(None)], sizes: [1, 2] },
            other: Page { items: vec![Some(Unit), None], sizes: [1, 2] },
            flat: Flat { id: 1, money: money(None), more: BTreeMap::new() },
            tagged: Tagged { text: "a".into() },
        },
        ThingEvent::Odd { unknown: Unknown, maybe: Some(vec![Unknown]), custom: Unknown },
        ThingEvent::Known(Box::new(Everything { known: known() })),
        ThingEvent::Gone,
    ];
    events.iter().for_each(assert_fits);
}

/// Tests the test itself: what another type writes does not fit.
#[test]
fn what_is_not_in_the_schema_does_not_fit() {
    let mut registry = Registry::new();
    let ty = Money::describe(&mut registry);
    let types = Types(registry.into_types());
    let json = serde_json::to_value(money(None)).unwrap();
    for (field, value) in [("more", Some(1)), ("inCents", None), ("CURRENCY", Some(5))] {
        let mut json = json.as_object().unwrap().clone();
        match value {
            Some(value) => json.insert(field.to_owned(), value.into()),
            None => json.remove(field),
        };
        assert!(types.fits(&ty, &json.clone().into()).is_err(), "{field} {json:?}");
    }
}
