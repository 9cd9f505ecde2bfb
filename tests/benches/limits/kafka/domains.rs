//! What the two services do: the bank, with small records, and notes, with records of any length.

use simple_sourcing::{Aggregate, Client, Command, Event, EventOf, prelude::*};

use crate::{
    domain::{Account, AccountClient, AccountCommand, AccountError, AccountEvent},
    load,
};

/// A domain that the hand-written loop supports too.
pub trait Domain: Aggregate<Command: Command<Event: Event<Key = String>>> {
    const NAME: &'static str;

    fn client(app: &AppHandle) -> Client<Self::Command>;
    fn create() -> Self::Command;
    fn change(number: usize) -> Self::Command;

    /// By hand: the outcome of a command, and the type of its event.
    fn decide(state: &mut Option<Self>, command: Self::Command) -> (EventOf<Self>, &'static str);
}

impl Domain for Account {
    const NAME: &'static str = "account";

    fn client(app: &AppHandle) -> Client<AccountCommand> {
        Client::clone(&app.client::<AccountClient>())
    }

    fn create() -> AccountCommand {
        AccountCommand::Open { owner: "Owner".into() }
    }

    fn change(number: usize) -> AccountCommand {
        load::deposit(number)
    }

    fn decide(state: &mut Option<Self>, command: AccountCommand) -> (AccountEvent, &'static str) {
        match (command, state) {
            (AccountCommand::Open { owner }, state) => {
                *state = Some(Account { owner: owner.clone(), balance: 0 });
                (AccountEvent::Opened { owner }, "account.Opened")
            }
            (AccountCommand::Deposit { amount }, Some(account)) => {
                account.balance += amount;
                (AccountEvent::Deposited { amount }, "account.Deposited")
            }
            _ => unreachable!("accounts are opened first, and then there are only deposits"),
        }
    }
}

#[event(key = String)]
pub enum NoteEvent {
    #[create]
    Written {
        text: String,
    },
    Changed {
        text: String,
    },
}

#[command(event = NoteEvent, error = AccountError)]
pub enum NoteCommand {
    #[create]
    Write {
        text: String,
    },
    Change {
        text: String,
    },
}

#[aggregate(command = NoteCommand)]
pub struct Note {
    text: String,
}

impl NoteHandler for Note {
    fn write(text: String) -> Decision<Self> {
        emit(NoteEvent::Written { text })
    }

    fn change(&self, text: String) -> Decision<Self> {
        emit(NoteEvent::Changed { text })
    }
}

impl NoteApplier for Note {
    fn written(text: String) -> Self {
        Note { text }
    }

    fn changed(&mut self, text: String) {
        self.text = text;
    }
}

/// 1 KB of text that LZ4 can hardly compress.
fn text(number: usize) -> String {
    let mut seed = number as u64;
    let digit = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + (seed >> 58) as u8)
    };
    std::iter::repeat_with(digit).map(|digit| if digit == '\\' { '-' } else { digit }).take(1000).collect()
}

impl Domain for Note {
    const NAME: &'static str = "note";

    fn client(app: &AppHandle) -> Client<NoteCommand> {
        Client::clone(&app.client::<NoteClient>())
    }

    fn create() -> NoteCommand {
        NoteCommand::Write { text: text(0) }
    }

    fn change(number: usize) -> NoteCommand {
        NoteCommand::Change { text: text(number) }
    }

    fn decide(state: &mut Option<Self>, command: NoteCommand) -> (NoteEvent, &'static str) {
        let (NoteCommand::Write { text } | NoteCommand::Change { text }) = &command;
        *state = Some(Note { text: text.clone() });
        match command {
            NoteCommand::Write { text } => (NoteEvent::Written { text }, "note.Written"),
            NoteCommand::Change { text } => (NoteEvent::Changed { text }, "note.Changed"),
        }
    }
}
