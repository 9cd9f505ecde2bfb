//! The laws compare errors.
use simple_sourcing::{prelude::*, testing::{laws, proptest::strategy::Just}};

#[event(key = String)]
pub enum LampEvent {
    #[create]
    Hung,
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("no")]
pub struct LampError;

#[command(event = LampEvent, error = LampError)]
pub enum LampCommand {
    #[create]
    Hang,
}

#[aggregate(command = LampCommand)]
pub struct Lamp;

impl LampHandler for Lamp {
    fn hang() -> Decision<Self> {
        emit(LampEvent::Hung)
    }
}

impl LampApplier for Lamp {
    fn hung() -> Self {
        Lamp
    }
}

fn main() {
    laws::<Lamp>(Just(LampCommand::Hang));
}
