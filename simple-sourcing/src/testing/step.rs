use std::{panic::Location, sync::Arc};

use crate::{Aggregate, ErrorOf, NotAccepted, Trace};

/// A step of a scenario, after the domain alone has taken it as expected.
pub(super) struct Step<A: Aggregate> {
    /// Where the test says what is expected.
    pub(super) place: &'static Location<'static>,
    pub(super) command: A::Command,
    pub(super) trace: Option<Arc<Trace>>,
    /// Accepted, or why not. The events are not kept: in the context that the command has on the app they may be others.
    pub(super) expected: Result<(), NotAccepted<ErrorOf<A>>>,
}
