//! A scenario on a running app.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::{Decided, Given, decide, differ, fail, key_from, step::Step};
use crate::{
    Aggregate, AppHandle, AppliedTo, Client, Command, CommandError, CommandId, Context, ErrorOf, Event, EventOf, Key,
    KeyOf, NotAccepted, Recorded, Sequence, Timestamp, Trace, Versioned, codec::json,
};

impl<A: Aggregate> Given<A>
where
    A::Command: Clone,
    ErrorOf<A>: PartialEq,
{
    /// Runs the scenario so far again on a running app: on any backend, and whether this process or another one serves the
    /// aggregate.
    ///
    /// ```
    /// # use simple_sourcing::prelude::*;
    /// # #[event(key = String)]
    /// # pub enum AccountEvent { #[create] Opened, Deposited { amount: u64 } }
    /// # #[command(event = AccountEvent, error = BadAmount)]
    /// # pub enum AccountCommand { #[create] Open, Deposit { amount: u64 } }
    /// # #[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
    /// # #[error("that can't be deposited")]
    /// # pub struct BadAmount;
    /// # #[aggregate(command = AccountCommand)]
    /// # pub struct Account { balance: u64 }
    /// # impl AccountHandler for Account {
    /// #     fn open() -> Decision<Self> { emit(AccountEvent::Opened) }
    /// #     fn deposit(&self, amount: u64) -> Decision<Self> {
    /// #         ensure!(amount > 0 && self.balance.checked_add(amount).is_some(), BadAmount);
    /// #         emit(AccountEvent::Deposited { amount })
    /// #     }
    /// # }
    /// # impl AccountApplier for Account {
    /// #     fn opened() -> Self { Account { balance: 0 } }
    /// #     fn deposited(&mut self, amount: u64) { self.balance += amount }
    /// # }
    /// use simple_sourcing::testing::{Given, given_nothing};
    ///
    /// fn something_is_deposited() -> Given<Account> {
    ///     given_nothing::<Account>()
    ///         .when(AccountCommand::Open)
    ///         .then([AccountEvent::Opened])
    ///         .when(AccountCommand::Deposit { amount: 0 })
    ///         .then_rejected(BadAmount)
    ///         .when(AccountCommand::Deposit { amount: 5 })
    ///         .then([AccountEvent::Deposited { amount: 5 }])
    ///         .then_state(|account| assert_eq!(account.balance, 5))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// something_is_deposited();                       // on the domain alone
    /// let app = App::new("bank").aggregate::<Account>().start(Memory::new()).await?;
    /// something_is_deposited().run_on(&app).await;    // and on the app
    /// # Ok(()) }
    /// ```
    ///
    /// It sends the same commands, and after each compares the outcome, the events in the log and the state with those of the
    /// domain alone. The domain gets the context that the command has in the log, so events and states may contain its time,
    /// id or key. But whether a command is accepted must not depend on the time that has passed: on an app that is the real
    /// time, whatever [`at_time`](Given::at_time) says.
    ///
    /// It uses a key that is made up for each run, or that of [`with_key`](Given::with_key), which nobody may have used before.
    ///
    /// # Panics
    /// When the scenario does not begin with [`given_nothing`](super::given_nothing), because on an app events only come from
    /// commands, or no key can be made up. While it is awaited: when anything differs; the message begins with the line of the
    /// expectation.
    #[track_caller]
    pub fn run_on(self, app: &AppHandle) -> impl Future<Output = ()> {
        let Some(steps) = self.steps else {
            panic!(
                "on an app, events only come from commands: begin the scenario with `given_nothing()` and the commands \
                 that lead to what is given here"
            )
        };
        let key = self.key.unwrap_or_else(unused_key);
        let mut run = Run::<A> { app, commands: app.client(), key, state: None, sequence: Sequence::ZERO };
        async move {
            for step in steps {
                run.take(step).await;
            }
        }
    }
}

/// A running scenario, and what the app must agree with.
struct Run<'a, A: Aggregate> {
    app: &'a AppHandle,
    commands: Client<A::Command>,
    key: KeyOf<A>,
    state: Option<A>,
    sequence: Sequence,
}

impl<A: Aggregate> Run<'_, A>
where
    A::Command: Clone,
    ErrorOf<A>: PartialEq,
{
    async fn take(&mut self, step: Step<A>) {
        let Step { place, command, trace, expected } = step;
        let (name, aggregate, key) = (command.name(), EventOf::<A>::AGGREGATE, self.key.to_text());
        let what = format!("{place}: on the app, `{name}` to {aggregate} `{key}`");

        // An app may require the sequence (`Concurrency::Strict`); it also makes sure that nobody else's command goes unnoticed.
        let mut call = self.commands.send(self.key.clone(), command.clone()).expect_sequence(self.sequence);
        call.envelope.trace = trace.clone();
        let id = call.id();
        match (expected, call.await) {
            (_, Err(error @ CommandError::Conflict { .. })) => panic!(
                "{what} met the commands of others ({error}): a scenario needs a key of its own; with `.with_key(...)`, \
                 name one that nobody has used, or leave it out, and one is made up"
            ),
            (Ok(()), Ok(receipt)) if receipt.is_unchanged() => {
                let decided = self.decide(command, id, Timestamp::now(), trace);
                if !matches!(&decided, Ok(events) if events.is_empty()) {
                    differ(&format!("{what} had nothing to do"), &decided, &receipt);
                }
                let events: Vec<_> = self.events(&what).await;
                assert!(events.is_empty(), "{what} had nothing to do, but the log holds {events:#?}");
            }
            (Ok(()), Ok(_)) => {
                let events = self.events(&what).await;
                self.follow(command, events, &what);
            }
            (Ok(()), Err(error)) => panic!("{what} was not accepted: {error}"),
            (Err(expected), Ok(_)) => {
                let events: Vec<_> = self.events(&what).await.into_iter().map(|recorded| recorded.event).collect();
                differ(&format!("{what} was accepted"), &expected, &events)
            }
            (Err(expected), Err(error)) => {
                // The error may contain what came from the log into the state, such as a time.
                let decided = self.decide(command, id, Timestamp::now(), trace);
                let expected = error_of(decided.err().unwrap_or(expected));
                if error != expected {
                    differ(&format!("{what} was refused for another reason"), &expected, &error);
                }
            }
        }
        self.compare_states(&what).await;
    }

    /// The events of the last command on the app.
    async fn events(&self, what: &str) -> Vec<Recorded<EventOf<A>>> {
        let events = self.app.history(self.key.clone(), self.sequence).try_collect().await;
        events.unwrap_or_else(|error| panic!("{what} was accepted, but its events can't be read: {error}"))
    }

    /// Checks the events of an accepted command, and applies them.
    fn follow(&mut self, command: A::Command, events: Vec<Recorded<EventOf<A>>>, what: &str) {
        let Some(Recorded { meta, .. }) = events.first() else {
            panic!("{what} was accepted, but the log holds no event of it");
        };
        let decided = self.decide(command, meta.command_id, meta.time, meta.trace.clone());
        let written: Vec<_> = events.into_iter().map(|recorded| recorded.event).collect();
        match decided {
            Ok(decided) if decided == written => {}
            Ok(decided) => differ(&format!("{what} was accepted with other events"), &decided, &written),
            Err(refused) => differ(&format!("{what} was accepted"), &refused, &written),
        }
        for event in written {
            self.sequence = self.sequence.next();
            event.apply_to(&mut self.state).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
    }

    /// The decision of the domain alone, in the context that the command has on the app.
    fn decide(
        &self,
        command: A::Command,
        command_id: CommandId,
        time: Timestamp,
        trace: Option<Arc<Trace>>,
    ) -> Decided<A> {
        let context = Context { key: self.key.clone(), sequence: self.sequence, command_id, time, trace };
        decide(command, self.state.as_ref(), &context)
    }

    async fn compare_states(&self, what: &str) {
        let stored = self.app.state::<A>(self.key.clone()).await;
        let stored = stored.unwrap_or_else(|error| panic!("{what}: the state can't be read: {error}"));
        let expected = self.state.as_ref().map(|state| Versioned { sequence: self.sequence, state });
        let (expected, stored) = (json(&expected), json(&stored));
        if expected != stored {
            let what = format!("{what} led to a state that differs from that of its events");
            fail(&what, &format!("{expected:#}\n"), &format!("{stored:#}\n"));
        }
    }
}

/// The error that a client gets for a refusal.
fn error_of<E>(refused: NotAccepted<E>) -> CommandError<E> {
    match refused {
        NotAccepted::Rejected(error) => CommandError::Rejected(error),
        NotAccepted::NotFound => CommandError::NotFound,
        NotAccepted::AlreadyExists => CommandError::AlreadyExists,
    }
}

/// A value as serde writes it, so that states need no equality.
fn json(value: &impl Serialize) -> Value {
    let value = json::encode(value).and_then(|bytes| json::decode(&bytes));
    value.unwrap_or_else(|error| panic!("the state can't be encoded: {error}"))
}

/// A key that no scenario has used before.
#[track_caller]
fn unused_key<K: Key>() -> K {
    let unique = CommandId::new().as_uuid();
    // Its last 62 bits, which fit into every 64-bit integer.
    let number = unique.as_u128() as u64 & (u64::MAX >> 2);
    key_from([unique.to_string(), number.to_string(), (number >> 31).to_string()])
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        Concurrency,
        engine::panic_message,
        prelude::*,
        testing::{given, given_nothing},
    };

    #[event(key = u64)]
    enum LampEvent {
        #[create]
        Hung {
            at: Timestamp,
            by: Option<String>,
        },
        Lit {
            minutes: u64,
        },
        #[delete]
        Removed,
    }

    #[command(event = LampEvent, error = TooLong)]
    enum LampCommand {
        #[create]
        #[context]
        Hang,
        Light {
            minutes: u64,
        },
        Remove,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
    #[error("it is lit for {max} minutes at most")]
    struct TooLong {
        max: u64,
        hung: Timestamp,
    }

    #[aggregate(command = LampCommand)]
    struct Lamp {
        hung: Timestamp,
        minutes: u64,
    }

    impl LampHandler for Lamp {
        fn hang(context: &Context<u64>) -> Decision<Self> {
            emit(LampEvent::Hung { at: context.time(), by: context.correlation_id().map(str::to_owned) })
        }
        fn light(&self, minutes: u64) -> Decision<Self> {
            ensure!(minutes <= 60, TooLong { max: 60, hung: self.hung });
            emit(LampEvent::Lit { minutes })
        }
        fn remove(&self) -> Decision<Self> {
            emit(LampEvent::Removed)
        }
    }

    impl LampApplier for Lamp {
        fn hung(at: Timestamp, _: Option<String>) -> Self {
            Lamp { hung: at, minutes: 0 }
        }
        fn lit(&mut self, minutes: u64) {
            self.minutes += minutes;
        }
    }

    /// The lamp in another version of the service, with a mistake for each number of minutes.
    #[aggregate(command = LampCommand)]
    struct Faulty(Lamp);

    impl LampHandler for Faulty {
        fn hang(context: &Context<u64>) -> Decision<Self> {
            Lamp::hang(context)
        }
        fn light(&self, minutes: u64) -> Decision<Self> {
            match minutes {
                1 => emit([LampEvent::Lit { minutes }, LampEvent::Lit { minutes: 2 }]),
                2 => reject(TooLong { max: 1, hung: self.0.hung }),
                61 => emit(LampEvent::Lit { minutes }),
                62 => reject(TooLong { max: 61, hung: self.0.hung }),
                _ => self.0.light(minutes),
            }
        }
        fn remove(&self) -> Decision<Self> {
            self.0.remove()
        }
    }

    impl LampApplier for Faulty {
        fn hung(at: Timestamp, by: Option<String>) -> Self {
            Faulty(Lamp::hung(at, by))
        }
        fn lit(&mut self, minutes: u64) {
            self.0.lit(if minutes == 3 { 4 } else { minutes });
        }
    }

    fn hung() -> Given<Lamp> {
        let at = Timestamp::from_millis(10);
        given_nothing().at_time(at).when(LampCommand::Hang).then([LampEvent::Hung { at, by: None }])
    }

    async fn app<A: Aggregate>() -> AppHandle {
        App::new("lamps").aggregate::<A>().start(Memory::new()).await.unwrap()
    }

    #[tokio::test]
    async fn an_app_takes_each_step_as_the_domain_alone() {
        let light = |minutes| LampCommand::Light { minutes };
        let life = || {
            let (at, by) = (Timestamp::from_millis(10), Some("alice".to_owned()));
            let trace = Trace { correlation_id: by.clone(), ..Trace::default() };
            given_nothing::<Lamp>()
                .when(light(1))
                .then_not_found()
                .at_time(at)
                .with_trace(trace)
                .when(LampCommand::Hang)
                .then([LampEvent::Hung { at, by }])
                .when(LampCommand::Hang)
                .then_already_exists()
                .when(light(61))
                .then_rejected(TooLong { max: 60, hung: at })
                .when(light(3))
                .then([LampEvent::Lit { minutes: 3 }])
                .then_state(|lamp| assert_eq!(lamp.minutes, 3))
                .when(LampCommand::Remove)
                .then([LampEvent::Removed])
                .then_nothing()
        };
        let app = app::<Lamp>().await;
        life().run_on(&app).await;
        life().with_key(7_u64).run_on(&app).await;
        assert_eq!(app.history::<LampEvent>(7_u64, Sequence::ZERO).try_collect().await.unwrap().len(), 3);

        let strict = App::new("lamps").aggregate_with::<Lamp>(|options| options.concurrency(Concurrency::Strict));
        life().run_on(&strict.start(Memory::new()).await.unwrap()).await;
    }

    /// Runs a scenario on the faulty lamp, and says why it fails.
    async fn failure(scenario: Given<Lamp>) -> String {
        let app = app::<Faulty>().await;
        let run = tokio::spawn(async move { scenario.run_on(&app).await });
        let panic = run.await.expect_err("the scenario fails").into_panic();
        panic_message(&*panic).to_owned()
    }

    #[tokio::test]
    async fn every_difference_fails_with_its_place_and_shows_it() {
        let light = |minutes| hung().when(LampCommand::Light { minutes });
        let lit = |minutes| [LampEvent::Lit { minutes }];
        let too_long = || TooLong { max: 60, hung: Timestamp::from_millis(10) };

        let (line, scenario) = (line!(), light(1).then(lit(1)));
        let events = failure(scenario).await;
        assert!(events.starts_with(&format!("{}:{line}:", file!())), "{events}");
        assert!(events.contains("`Light` to lamp `") && events.contains("was accepted with other events"), "{events}");
        assert!(events.contains("+         minutes: 2"), "{events}");

        let refused = failure(light(2).then(lit(2))).await;
        assert!(refused.contains("was not accepted: rejected: it is lit for 1 minutes"), "{refused}");

        let accepted = failure(light(61).then_rejected(too_long())).await;
        assert!(accepted.contains("was accepted (-") && accepted.contains("+     Lit"), "{accepted}");

        let otherwise = failure(light(62).then_rejected(too_long())).await;
        assert!(otherwise.contains("was refused for another reason"), "{otherwise}");
        assert!(otherwise.contains("-         max: 60") && otherwise.contains("+         max: 61"), "{otherwise}");

        let state = failure(light(3).then(lit(3))).await;
        assert!(state.contains("led to a state that differs from that of its events"), "{state}");
        assert!(state.contains("-     \"minutes\": 3") && state.contains("+     \"minutes\": 4"), "{state}");
    }

    #[tokio::test]
    async fn a_scenario_needs_a_key_of_its_own() {
        let app = app::<Lamp>().await;
        hung().with_key(7_u64).run_on(&app).await;
        let again = tokio::spawn(async move { hung().with_key(7_u64).run_on(&app).await });
        let panic = again.await.expect_err("the key was used").into_panic();
        let message = panic_message(&*panic);
        assert!(message.contains("`7` met the commands of others") && message.contains("with_key"), "{message}");
    }

    #[tokio::test]
    #[should_panic = "begin the scenario with `given_nothing()`"]
    async fn events_that_no_command_has_made_are_not_given_to_an_app() {
        let at = Timestamp::from_millis(10);
        given::<Lamp>([LampEvent::Hung { at, by: None }]).run_on(&app::<Lamp>().await).await;
    }

    #[test]
    fn a_key_is_made_up_for_each_run() {
        fn differ<K: Key>() {
            assert_ne!(unused_key::<K>(), unused_key::<K>());
        }
        differ::<String>();
        differ::<Uuid>();
        differ::<u64>();
        differ::<i64>();
        differ::<i32>();
    }

    #[test]
    #[should_panic = "name one with `.with_key(...)`"]
    fn a_small_key_has_to_be_named() {
        unused_key::<u8>();
    }
}
