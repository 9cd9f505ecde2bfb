//! The names that fjall gives to what it keeps in the directory of a store.

pub(super) const VERSION: &str = "version";
pub(super) const LOCK: &str = "lock";
pub(super) const KEYSPACES: &str = "keyspaces";
pub(super) const CURRENT: &str = "current";
