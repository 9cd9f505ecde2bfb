//! Keeps the read model up to date until it is stopped: on Kafka, as a process of its own beside services and clients.

use crate::{Done, cli::Connection, read_model::ReadModel, serve};

pub async fn run(connection: &Connection) -> Done {
    if connection.database().is_none() {
        let options = "`--read-model sqlite:FILE` or `--read-model postgres:URL`";
        return Err(format!("say where the read model is kept, with {options}").into());
    }
    serve::until_stopped(connection, async |app| {
        let read_model = ReadModel::start(app, connection).await?;
        read_model.caught_up().await?;
        Ok(read_model)
    })
    .await
}
