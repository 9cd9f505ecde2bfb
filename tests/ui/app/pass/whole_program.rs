//! A domain, its clients and its views.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("no")]
pub struct AccountError;

#[command(event = AccountEvent, error = AccountError)]
pub enum AccountCommand {
    #[create]
    Open { owner: String },
    Deposit { amount: u64 },
    Close,
}

#[aggregate(command = AccountCommand)]
pub struct Account {
    owner: String,
}

impl AccountHandler for Account {
    fn open(owner: String) -> Decision<Self> {
        emit(AccountEvent::Opened { owner })
    }

    fn deposit(&self, amount: u64) -> Decision<Self> {
        emit(AccountEvent::Deposited { amount })
    }

    fn close(&self) -> Decision<Self> {
        emit(AccountEvent::Closed)
    }
}

impl AccountApplier for Account {
    fn opened(owner: String) -> Self {
        Account { owner }
    }

    fn deposited(&mut self, _: u64) {}
}

#[derive(Default)]
pub struct Total(u64);

impl AccountProjector for Total {
    fn deposited(&mut self, _: &EventMeta<String>, amount: u64) {
        self.0 += amount;
    }
}

pub async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let app = App::new("bank").aggregate::<Account>().start(Memory::new()).await?;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_string()).await?;
    let receipt = accounts.deposit("alice", 5).await?;
    let total = app.view::<AccountEvent, _>(Total::default());
    total.wait_for(&receipt).await?;
    let _ = app.state::<Account>("alice").await?;
    Ok(())
}

fn main() {}
