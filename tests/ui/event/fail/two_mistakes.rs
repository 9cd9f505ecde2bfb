// errors: 2, because there are two mistakes
//! All mistakes are reported at once.
use simple_sourcing::prelude::*;

#[event(key = String, nme = "account")]
pub enum AccountEvent {
    #[create]
    #[delete]
    Opened { owner: String },
}

fn main() {}
