//! A life cycle on Simple Sourcing. Start with `domain.rs`, which is all that a user has to write. `scenarios.rs` has
//! its rules, as the tests run them. This program follows two orders: `cargo run --example order`.
#![allow(unreachable_pub, reason = "the domain is written as in a library")]

// As compact as in the README: one line per method.
#[rustfmt::skip]
mod domain;

use std::{
    error::Error,
    io::{self, Write},
};

use domain::{Order, OrderClient, OrderCommand, OrderError, OrderEvent, OrderId};
use simple_sourcing::prelude::*;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = App::new("shop").aggregate::<Order>().start(Memory::new()).await?;

    // Not `println!`, which panics when the pipe is closed.
    let mut out = io::stdout();
    writeln!(out, "An order is shipped. What its state does not allow, it refuses.")?;
    let id = OrderId(1);
    let parcel = OrderCommand::Ship { tracking: "P-7".into() };
    let life = [add("a teapot"), add("two cups"), parcel.clone(), OrderCommand::Place, add("sugar"), parcel];
    tell(&mut out, &app, id, life).await?;

    writeln!(out, "\nIt is too late to cancel it, but the client knows where it is.")?;
    let orders: OrderClient = app.client();
    match orders.cancel(id).await {
        Err(CommandError::Rejected(OrderError::AlreadyShipped { tracking })) => {
            writeln!(out, "  Look for parcel {tracking}.")?;
        }
        other => drop(other?),
    }

    writeln!(out, "\nAnother is given up as a draft, drafted again, and cancelled.")?;
    let life = [add("a kettle"), OrderCommand::Cancel, add("a samovar"), OrderCommand::Place, OrderCommand::Cancel];
    tell(&mut out, &app, OrderId(2), life).await?;
    Ok(app.shutdown().await?)
}

fn add(item: &str) -> OrderCommand {
    OrderCommand::AddItem { item: item.into() }
}

/// Sends the commands, and prints the result of each: its events and the new state of the order, or why there are none.
async fn tell(
    out: &mut impl Write,
    app: &AppHandle,
    id: OrderId,
    commands: impl IntoIterator<Item = OrderCommand>,
) -> Result<(), Box<dyn Error>> {
    let orders: OrderClient = app.client();
    let mut seen = Sequence::ZERO;
    for command in commands {
        writeln!(out, "  {command:?}")?;
        match orders.send(id, command).await {
            Ok(receipt) => {
                for event in app.history::<OrderEvent>(id, seen).try_collect().await? {
                    writeln!(out, "    {:>2}  {:?}", event.meta.sequence, event.event)?;
                }
                seen = receipt.sequence;
                match app.state::<Order>(id).await? {
                    Some(order) => writeln!(out, "     =  {:?}", order.state)?,
                    None => writeln!(out, "     =  no order")?,
                }
            }
            Err(error @ CommandError::Rejected(_)) => writeln!(out, "     {error}")?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tale_comes_to_its_end() {
        super::main().unwrap();
    }
}
