//! The accounts with the largest balances.

use std::{error::Error, process::ExitCode};

use simple_sourcing::AppHandle;

use crate::{Done, cli::Connection, output::say, read_model::ReadModel};

pub async fn run(connection: &Connection, count: u32) -> Done {
    let app = connection.start().await?;
    let shown = read(&app, connection, count).await;
    app.shutdown().await?;
    shown?;
    Ok(ExitCode::SUCCESS)
}

async fn read(app: &AppHandle, connection: &Connection, count: u32) -> Result<(), Box<dyn Error>> {
    let read_model = ReadModel::start(app, connection).await?;
    show(&read_model, count).await
}

/// Prints them, as of now.
pub async fn show(read_model: &ReadModel, count: u32) -> Result<(), Box<dyn Error>> {
    read_model.caught_up().await?;
    for (account, balance) in read_model.top(count).await? {
        say!("{account:<20} {balance:>20}");
    }
    Ok(())
}
