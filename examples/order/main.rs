//! A life cycle on Simple Sourcing. Start with `domain.rs`, which is all that a user has to write; `scenarios.rs` has its
//! rules, as the tests run them. This program tells the lives of two orders: `cargo run --example order`.
#![allow(clippy::print_stdout, reason = "a program that talks to people")]
#![allow(unreachable_pub, reason = "the domain is written as in a library")]

// As compact as in the README: a method a line.
#[rustfmt::skip]
mod domain;

use std::error::Error;

use domain::{Order, OrderClient, OrderCommand, OrderError, OrderEvent, OrderId};
use simple_sourcing::prelude::*;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = App::new("shop").aggregate::<Order>().start(Memory::new()).await?;

    println!("An order is shipped. What its state does not allow, it refuses.");
    let id = OrderId(1);
    let parcel = OrderCommand::Ship { tracking: "P-7".into() };
    let life = [add("a teapot"), add("two cups"), parcel.clone(), OrderCommand::Place, add("sugar"), parcel];
    tell(&app, id, life).await?;

    println!("\nIt is too late to cancel it, but the client knows where it is.");
    let orders: OrderClient = app.client();
    match orders.cancel(id).await {
        Err(CommandError::Rejected(OrderError::AlreadyShipped { tracking })) => {
            println!("  Look for parcel {tracking}.")
        }
        other => drop(other?),
    }

    println!("\nAnother is given up as a draft, drafted again, and cancelled.");
    let life = [add("a kettle"), OrderCommand::Cancel, add("a samovar"), OrderCommand::Place, OrderCommand::Cancel];
    tell(&app, OrderId(2), life).await?;
    Ok(app.shutdown().await?)
}

fn add(item: &str) -> OrderCommand {
    OrderCommand::AddItem { item: item.into() }
}

/// Sends the commands, and prints what comes of each: the events and what they make of the order, or why there are none.
async fn tell(
    app: &AppHandle,
    id: OrderId,
    commands: impl IntoIterator<Item = OrderCommand>,
) -> Result<(), Box<dyn Error>> {
    let orders: OrderClient = app.client();
    let mut seen = Sequence::ZERO;
    for command in commands {
        println!("  {command:?}");
        match orders.send(id, command).await {
            Ok(receipt) => {
                for event in app.history::<OrderEvent>(id, seen).try_collect().await? {
                    println!("    {:>2}  {:?}", event.meta.sequence, event.event);
                }
                seen = receipt.sequence;
                match app.state::<Order>(id).await? {
                    Some(order) => println!("     =  {:?}", order.state),
                    None => println!("     =  no order"),
                }
            }
            Err(error @ CommandError::Rejected(_)) => println!("     {error}"),
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
