//! Every exact value is read back from JSON unchanged. The engine relies on it.

use proptest::{collection::vec, prelude::*};
use simple_sourcing::{Event, Sequence, Timestamp, codec::json, prelude::*};

/// Every type that is known to be exact, in every place of an event.
#[event(key = u8)]
enum Exactly {
    #[create]
    Numbers(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize),
    Texts {
        text: String,
        character: char,
        flag: bool,
        maybe: Option<String>,
        many: Vec<Option<String>>,
    },
    Nested(Box<Option<Vec<Option<char>>>>),
    Ours {
        id: Option<CommandId>,
        sequence: Sequence,
        time: Timestamp,
    },
    Nothing,
}

fn events() -> impl Strategy<Value = Exactly> {
    prop_oneof![
        any::<(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize)>()
            .prop_map(|(a, b, c, d, e, f, g, h, i, j)| Exactly::Numbers(a, b, c, d, e, f, g, h, i, j)),
        any::<(String, char, bool, Option<String>, Vec<Option<String>>)>()
            .prop_map(|(text, character, flag, maybe, many)| Exactly::Texts { text, character, flag, maybe, many }),
        proptest::option::of(vec(any::<Option<char>>(), 0..4)).prop_map(|list| Exactly::Nested(Box::new(list))),
        any::<(bool, u64, u64)>().prop_map(|(id, sequence, time)| {
            let (sequence, time) = (Sequence::new(sequence), Timestamp::from_millis(time));
            Exactly::Ours { id: id.then(CommandId::new), sequence, time }
        }),
        Just(Exactly::Nothing),
    ]
}

proptest! {
    #[test]
    fn what_is_exact_is_read_back_as_it_was_written(event in events()) {
        prop_assert!(Exactly::EXACT);
        let bytes = json::encode(&event).expect("it has a form");
        let read = json::read_back(&event, &bytes);
        prop_assert_eq!(read.as_ref(), Ok(&event));
    }
}
