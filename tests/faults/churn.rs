//! Fault 8: a service process is added and removed every 3 seconds, in turn by SIGTERM and by SIGKILL.

use std::time::{Duration, Instant};

use simple_sourcing_tests::checker::History;
use tokio::time::sleep;

use crate::{
    ground::{Bank, By, SOME},
    table::Row,
};

const TIME: Duration = Duration::from_secs(120);
const EACH: Duration = Duration::from_secs(3);

pub(crate) async fn run() -> Row {
    let bank = Bank::open().await;
    let stays = bank.node("stays", By::Itself);
    let mut load = bank.load().await;
    let (began, mut came) = (Instant::now(), 0);
    while began.elapsed() < TIME {
        let node = bank.node(&format!("guest-{came}"), By::Itself);
        sleep(EACH).await;
        if came % 2 == 0 {
            assert!(node.terminate().success());
        } else {
            node.kill();
        }
        came += 1;
        sleep(EACH).await;
    }
    load.progress(SOME).await;
    let row = bank.check_load(load, History::new(), vec![stays]).await;
    row.with("process added", came).with("process removed", came)
}
