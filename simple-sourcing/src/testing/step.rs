use std::{panic::Location, sync::Arc};

use crate::{Aggregate, ErrorOf, NotAccepted, Trace};

/// A step of a scenario that went as expected on the domain alone.
pub(super) struct Step<A: Aggregate> {
    /// Where the test states the expectation.
    pub(super) place: &'static Location<'static>,
    pub(super) command: A::Command,
    pub(super) trace: Option<Arc<Trace>>,
    /// Accepted, or why not. The events are not kept: they may differ in the context that the command has on the app.
    pub(super) expected: Result<(), NotAccepted<ErrorOf<A>>>,
}
