//! A client: it knows the contract, and neither the framework nor the service.

use hygiene_contract::{Number, ParcelClient, ParcelError};

/// Sends a parcel and brings it to a place twice; gives the number of events, and what the second time said.
///
/// # Errors
/// When something else went wrong.
pub async fn send_and_move(parcels: &ParcelClient) -> Result<(u64, String), Box<dyn std::error::Error>> {
    parcels.send(Number(1), "Alice".to_owned()).await?;
    let receipt = parcels.r#move(Number(1), "Rome".to_owned()).await?;
    let refused = match parcels.r#move(Number(1), "Rome".to_owned()).await {
        Ok(_) => "moved".to_owned(),
        Err(error) => error.to_string(),
    };
    let expected = ParcelError::AlreadyThere { place: "Rome".to_owned() }.to_string();
    assert!(refused.contains(&expected), "{refused}");
    Ok((receipt.sequence.get(), refused))
}
