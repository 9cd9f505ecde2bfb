/// What an event does to the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventRole {
    /// `#[create]`: makes it.
    Create,
    /// Unmarked: changes it.
    Change,
    /// `#[delete]`: removes it.
    Delete,
}

/// What a command expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommandRole {
    /// `#[create]`: no aggregate, else [`CommandError::AlreadyExists`](crate::CommandError::AlreadyExists).
    Create,
    /// Unmarked: an aggregate, else [`CommandError::NotFound`](crate::CommandError::NotFound).
    Update,
    /// `#[upsert]`: either.
    Upsert,
}
