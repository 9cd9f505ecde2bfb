//! What the app is doing.

use std::process::ExitCode;

use simple_sourcing::Status;

use crate::{
    Done,
    cli::Connection,
    output::{OutputError, say},
};

pub async fn run(connection: &Connection, json: bool) -> Done {
    let app = connection.start().await?;
    let status = app.status().await;
    app.shutdown().await?;
    let status = status?;
    if json {
        say!("{}", serde_json::to_string(&status)?);
    } else {
        show(&status)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints it for people.
pub fn show(status: &Status) -> Result<(), OutputError> {
    say!("{}", status.to_string().trim_end());
    Ok(())
}
