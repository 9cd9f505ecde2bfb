use std::env;

/// The options of the command line.
#[derive(Debug, Clone)]
pub struct Options {
    pub(super) rounds: usize,
    /// Less of everything: the figures then mean little.
    pub quick: bool,
    /// A part of what stands above a table.
    pub(super) only: Option<String>,
    pub(super) json: Option<String>,
    pub(super) plots: Option<String>,
}

impl Options {
    pub(super) fn from_arguments() -> Result<Self, String> {
        let mut options = Options { rounds: 5, quick: false, only: None, json: None, plots: None };
        let mut arguments = env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("`{argument}` needs a value"));
            match argument.as_str() {
                // Cargo's own.
                "--bench" => {}
                "--quick" => (options.quick, options.rounds) = (true, 1),
                "--rounds" => options.rounds = value()?.parse().map_err(|error| format!("`--rounds`: {error}"))?,
                "--only" => options.only = Some(value()?),
                "--json" => options.json = Some(value()?),
                "--plots" => options.plots = Some(value()?),
                other => {
                    return Err(format!(
                        "`{other}`? There are --quick, --rounds N, --only TITLE, --json FILE and --plots DIRECTORY"
                    ));
                }
            }
        }
        Ok(options)
    }

    /// A number of commands; a thirtieth of it in a quick run.
    #[must_use]
    pub fn scaled(&self, commands: usize) -> usize {
        if self.quick { commands / 30 } else { commands }
    }
}
