//! `manual` can only contain derives that the macros add.
use simple_sourcing::prelude::*;

#[event(key = String, manual(Debug, Hash))]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

impl std::fmt::Debug for AccountEvent {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

fn main() {}
