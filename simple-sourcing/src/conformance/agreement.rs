//! Responses, events, states and views agree.

use super::{
    Subject,
    domain::{AccountClient, AccountEvent},
    fixture::{Fixture, history, is_end, state, within},
    laws::{check_answers, check_log, fold},
    load::Load,
    mirror::Mirror,
};
use crate::{Recorded, Sequence};

pub(super) async fn receipts_events_states_and_views_agree_after_a_load<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    // One view that sees everything arrive, and one that starts later.
    let early = app.view::<AccountEvent, _>(Mirror::default());
    let load = Load::new(2, 1000);

    let sent = load.send((0..8).map(|_| app.client()).collect()).await;
    let accounts: AccountClient = app.client();
    let settled = load.settle(sent, &accounts).await;

    let log = fixture.read_log(&app).await;
    check_log(&log);
    check_answers(&log, &settled);
    let folded = fold(&log);
    assert!(!log.is_empty() && folded.accounts.len() > 5, "the load did something");

    for (key, (sequence, account)) in &folded.accounts {
        let stored = state(&app, key).await;
        assert_eq!(stored, account.clone().map(|account| (*sequence, account)), "the state of {key}");
        let events: Vec<Recorded<_>> = log.iter().filter(|event| event.meta.key == *key).cloned().collect();
        assert_eq!(history(&app, key).await, events, "the history of {key}");
        assert_eq!(events.len() as u64, sequence.get());
        let tail = app.history::<AccountEvent>(key.as_str(), Sequence::new(sequence.get() / 2)).try_collect();
        let tail = within("a history", tail).await.expect("it can be read");
        assert_eq!(tail, events[(sequence.get() / 2) as usize..], "the second half of the history of {key}");
    }

    let late = app.view::<AccountEvent, _>(Mirror::default());
    for receipt in fixture.touch_each_partition(&app).await {
        early.wait_for(&receipt).await.expect("the view is there in time");
        late.wait_for(&receipt).await.expect("the view is there in time");
    }
    for view in [early, late] {
        let mut content = view.read(Mirror::clone);
        content.accounts.retain(|key, _| !is_end(key));
        assert_eq!(content, folded);
    }
    // How the partitions are mixed may differ.
    let [log, again] = [log, fixture.read_log(&app).await].map(|mut log| {
        log.sort_by_key(|event| event.meta.partition);
        log
    });
    assert_eq!(again, log, "each partition reads the same each time");
}
