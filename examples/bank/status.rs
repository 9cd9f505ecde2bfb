//! What the app is doing.

use std::{error::Error, process::ExitCode};

use simple_sourcing::{AppHandle, Status};

use crate::{
    Done,
    cli::Connection,
    output::{OutputError, say},
};

pub async fn run(connection: &Connection, json: bool) -> Done {
    let app = connection.start().await?;
    let shown = read(&app, connection, json).await;
    app.shutdown().await?;
    shown?;
    Ok(ExitCode::SUCCESS)
}

#[cfg_attr(not(feature = "sql"), expect(unused_variables, reason = "only a database is asked"))]
async fn read(app: &AppHandle, connection: &Connection, json: bool) -> Result<(), Box<dyn Error>> {
    let status = app.status().await?;
    if json {
        say!("{}", serde_json::to_string(&status)?);
    } else {
        show(&status)?;
    }
    #[cfg(feature = "sql")]
    if let Some(database) = &connection.read_model {
        for status in database.read(app).await?.status().await? {
            if json {
                say!("{}", serde_json::to_string(&status)?);
            } else {
                say!("{}", status.to_string().trim_end());
            }
        }
    }
    Ok(())
}

/// Prints it for people.
pub fn show(status: &Status) -> Result<(), OutputError> {
    say!("{}", status.to_string().trim_end());
    Ok(())
}
