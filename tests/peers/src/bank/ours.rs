//! The bank of the examples, on any of our backends.

use simple_sourcing::{AppHandle, port::Backend, prelude::*};
use simple_sourcing_tests::{
    bank::domain::{Account, AccountClient, AccountCommand},
    benchmark::load,
};

use super::Bank;

#[derive(Clone)]
pub struct Ours {
    accounts: AccountClient,
}

pub async fn start(backend: impl Backend) -> AppHandle {
    App::new("bank").aggregate::<Account>().start(backend).await.unwrap()
}

impl Ours {
    pub fn of(app: &AppHandle) -> Self {
        Ours { accounts: app.client() }
    }
}

impl Bank for Ours {
    fn execute(&self, account: usize, command: AccountCommand) -> impl Future<Output = ()> + Send + use<> {
        let answer = self.accounts.send(load::key(account), command).into_future();
        async { _ = answer.await.unwrap() }
    }
}
