//! The item is annotated with one of the macros.
pub const CODE: &str = simple_sourcing_derive::expansion! {
    pub enum AccountEvent {
        Opened,
    }
};

fn main() {}
