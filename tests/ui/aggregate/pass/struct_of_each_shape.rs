//! A state is a struct of any shape, or an enum.
use simple_sourcing::prelude::*;

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("no")]
pub struct Never;

macro_rules! domain {
    ($module:ident, $state:expr, $($item:tt)*) => {
        mod $module {
            use super::*;

            #[event(key = u8)]
            pub enum AEvent {
                #[create]
                Made,
            }

            #[command(event = AEvent, error = Never)]
            pub enum ACommand {
                #[create]
                Make,
            }

            #[aggregate(command = ACommand)]
            $($item)*

            impl AHandler for A {
                fn make() -> Decision<Self> {
                    emit(AEvent::Made)
                }
            }

            impl AApplier for A {
                fn made() -> Self {
                    $state
                }
            }
        }
    };
}

domain!(unit, A, pub struct A;);
domain!(tuple, A(1), pub struct A(u8););
domain!(named, A { a: 1 }, pub struct A { a: u8 });
domain!(life_cycle, A::Draft, pub enum A { Draft, Placed { at: u64 } });

fn main() {}
