//! The service: it knows the contract, and the framework as a part of another crate.

use hygiene_contract::{ParcelApplier, ParcelCommand, ParcelError, ParcelEvent, ParcelHandler};
use hygiene_facade::events::{App, Decision, aggregate, emit, ensure};

/// The state of a parcel.
#[aggregate(command = ParcelCommand, crate = "hygiene_facade::events")]
pub struct Parcel {
    /// Where it is.
    pub place: String,
}

impl ParcelHandler for Parcel {
    fn send(to: String) -> Decision<Self> {
        emit(ParcelEvent::Sent { to })
    }

    fn r#move(&self, to: String) -> Decision<Self> {
        ensure!(self.place != to, ParcelError::AlreadyThere { place: to });
        emit(ParcelEvent::Moved { to })
    }

    fn deliver(&self) -> Decision<Self> {
        emit(ParcelEvent::Delivered)
    }
}

impl ParcelApplier for Parcel {
    fn sent(_: String) -> Self {
        Parcel { place: "the depot".to_owned() }
    }

    fn moved(&mut self, to: String) {
        self.place = to;
    }
}

/// The app that serves parcels.
pub fn app() -> App {
    App::new("parcels").aggregate::<Parcel>()
}
