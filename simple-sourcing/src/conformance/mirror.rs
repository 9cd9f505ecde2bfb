use std::collections::HashMap;

use super::domain::{Account, AccountApplier, AccountProjector, Stamp};
use crate::prelude::*;

/// The accounts as a projector sees them. Every other way of reading must agree with it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Mirror {
    pub(super) accounts: HashMap<String, (Sequence, Option<Account>)>,
}

impl Mirror {
    /// The account, created if necessary.
    fn change(&mut self, meta: &EventMeta<String>, change: impl FnOnce(Option<Account>) -> Option<Account>) {
        let entry = self.accounts.entry(meta.key.clone()).or_default();
        *entry = (meta.sequence, change(entry.1.take()));
    }

    fn with(&mut self, meta: &EventMeta<String>, change: impl FnOnce(&mut Account)) {
        self.change(meta, |account| {
            let mut account = account.expect("there is an account where an event changes one");
            change(&mut account);
            Some(account)
        });
    }

    pub(super) fn balance(&self, key: &str) -> Option<u64> {
        Some(self.accounts.get(key)?.1.as_ref()?.balance)
    }
}

impl AccountProjector for Mirror {
    fn opened(&mut self, meta: &EventMeta<String>, owner: String) {
        self.change(meta, |_| Some(AccountApplier::opened(owner)));
    }

    fn deposited(&mut self, meta: &EventMeta<String>, amount: u64) {
        self.with(meta, |account| account.deposited(amount));
    }

    fn withdrawn(&mut self, meta: &EventMeta<String>, amount: u64) {
        self.with(meta, |account| account.withdrawn(amount));
    }

    fn noted(&mut self, meta: &EventMeta<String>, number: u64) {
        self.with(meta, |account| account.noted(number));
    }

    fn stamped(&mut self, meta: &EventMeta<String>, stamp: Stamp) {
        self.with(meta, |account| account.stamped(stamp));
    }

    fn grown(&mut self, meta: &EventMeta<String>, bytes: usize) {
        self.with(meta, |account| account.grown(bytes));
    }

    fn labelled(&mut self, meta: &EventMeta<String>, labels: HashMap<String, u64>) {
        self.with(meta, |account| account.labelled(labels));
    }

    fn rated(&mut self, meta: &EventMeta<String>, rate: f64) {
        self.with(meta, |account| account.rated(rate));
    }

    fn padded(&mut self, meta: &EventMeta<String>, padding: String) {
        self.with(meta, |account| account.padded(padding));
    }

    fn touched(&mut self, meta: &EventMeta<String>) {
        self.with(meta, Account::touched);
    }

    fn closed(&mut self, meta: &EventMeta<String>) {
        self.change(meta, |_| None);
    }
}
