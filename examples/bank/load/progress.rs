//! The progress bar, which polls the progress of the lanes. It is only shown on a terminal.

use std::{sync::Arc, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use super::plan::Work;

const LOOK_EVERY: Duration = Duration::from_millis(100);
const TEMPLATE: &str = "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}";

pub struct Progress {
    bar: ProgressBar,
    looking: JoinHandle<()>,
}

impl Progress {
    pub fn show(what: &'static str, work: Arc<Work>) -> Self {
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(work.count()).with_style(style).with_message(what);
        let looking = tokio::spawn({
            let bar = bar.clone();
            async move {
                loop {
                    bar.set_position(work.taken());
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        });
        Progress { bar, looking }
    }

    pub fn end(self) {
        self.looking.abort();
        self.bar.finish_and_clear();
    }
}
