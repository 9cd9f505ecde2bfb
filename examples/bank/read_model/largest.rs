//! The balances in memory. It knows the events, and neither the state nor the handlers.

use std::collections::HashMap;

use simple_sourcing::prelude::*;

use crate::domain::AccountProjector;

/// The balance of every open account.
#[derive(Debug, Default)]
pub struct LargestBalances {
    balances: HashMap<String, u64>,
}

impl LargestBalances {
    /// The accounts with the largest balances, the largest first.
    pub fn top(&self, count: usize) -> Vec<(String, u64)> {
        let mut accounts: Vec<_> = self.balances.iter().map(|(key, balance)| (key.clone(), *balance)).collect();
        accounts.sort_by(|(key, balance), (other_key, other)| other.cmp(balance).then(key.cmp(other_key)));
        accounts.truncate(count);
        accounts
    }

    fn balance(&mut self, meta: &EventMeta<String>) -> &mut u64 {
        self.balances.entry(meta.key.clone()).or_default()
    }
}

impl AccountProjector for LargestBalances {
    fn opened(&mut self, meta: &EventMeta<String>, _owner: String) {
        *self.balance(meta) = 0;
    }

    fn deposited(&mut self, meta: &EventMeta<String>, amount: u64) {
        *self.balance(meta) += amount;
    }

    fn withdrawn(&mut self, meta: &EventMeta<String>, amount: u64) {
        *self.balance(meta) -= amount;
    }

    fn closed(&mut self, meta: &EventMeta<String>) {
        self.balances.remove(&meta.key);
    }
}
