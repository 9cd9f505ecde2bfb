//! Trials that need something which may not be there, such as a broker: without it they are ignored, with the reason, or fail where
//! it is demanded.

use std::{env, error::Error, fmt};

use libtest_mimic::{Arguments, Failed, Trial};

/// Why something could not be had, in words for the test report.
#[derive(Debug, Clone)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Unavailable {}

/// What trials need.
#[derive(Debug, Clone, Copy)]
pub struct Needed {
    /// What it is, after 'no'.
    pub what: &'static str,
    /// The variable that demands it, when it is `required`.
    pub variable: &'static str,
}

impl Needed {
    /// The trials; where what they need is not there, trials that say so. It is started only when one of them is to run.
    pub fn trials<'a>(
        self,
        arguments: &Arguments,
        trials: Vec<Trial>,
        start: impl FnOnce() -> Result<(), &'a Unavailable>,
    ) -> Vec<Trial> {
        let Needed { what, variable } = self;
        if !trials.iter().any(|trial| will_run(arguments, trial)) {
            return trials;
        }
        let Err(Unavailable(reason)) = start() else { return trials };
        let required = env::var(variable).is_ok_and(|value| value == "required");
        if !required {
            report(what, reason);
        }
        let first_line = reason.lines().next().unwrap_or_default();
        let unavailable = trials.into_iter().map(|trial| {
            // It fails also where ignored trials are asked for.
            let reason = reason.clone();
            let failing = Trial::test(trial.name(), move || Err(Failed::from(format!("there is no {what}: {reason}"))));
            if required {
                failing
            } else {
                failing.with_ignored_flag(true).with_kind(format!("no {what}: {first_line}"))
            }
        });
        unavailable.collect()
    }
}

#[expect(clippy::print_stderr, reason = "the harness shows one line of it only")]
fn report(what: &str, reason: &str) {
    eprintln!("a part of the suite is ignored, because there is no {what}: {reason}");
}

/// Whether the harness will run this trial.
fn will_run(arguments: &Arguments, trial: &Trial) -> bool {
    let name = trial.name();
    let matches = |pattern: &String| if arguments.exact { name == pattern } else { name.contains(pattern.as_str()) };
    let asked_for = arguments.include_ignored || arguments.ignored == trial.has_ignored_flag();
    !arguments.list && asked_for && arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches)
}
