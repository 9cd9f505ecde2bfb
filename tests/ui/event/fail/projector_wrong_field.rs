//! A method of a view has the metadata and the fields of its event.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

pub struct Total(u64);

impl AccountProjector for Total {
    fn deposited(&mut self, amount: u64) {
        self.0 += amount;
    }
}

fn main() {}
