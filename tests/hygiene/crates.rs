//! A contract that knows the framework under another name in its manifest, a service that knows it as a part of a crate
//! that re-exports it, and a client that knows the contract alone. None of them depends on `simple_sourcing`, so a path to it
//! in the code of the macros would not compile.

use hygiene_client::send_and_move;
use hygiene_contract::ParcelClient;
use simple_sourcing::Memory;

#[tokio::test]
async fn contract_service_and_client_are_crates_of_their_own() {
    let app = hygiene_service::app().start(Memory::new()).await.unwrap();
    let parcels: ParcelClient = app.client();
    let (sequence, refused) = send_and_move(&parcels).await.unwrap();
    assert_eq!(sequence, 2);
    assert!(refused.contains("the parcel is in Rome"), "{refused}");
}
