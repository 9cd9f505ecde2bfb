use crate::follow::OnFailure;

/// How a projection runs; see [`AppHandle::project_with`](crate::AppHandle::project_with).
#[derive(Debug, Clone, Default)]
pub struct ProjectionOptions {
    pub(super) on_failure: OnFailure,
}

impl ProjectionOptions {
    /// What happens at an event that can't be projected; [`Stop`](OnFailure::Stop) by default.
    #[must_use]
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }
}
