//! The command line: the only crate that prints, prompts and exits.
//!
//! A library so that the tests of the whole can build the same program.

mod arguments;
mod exit;
mod function;
mod interrupts;
mod loopback;
mod release;
mod run;
mod state;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::exit::Exit;

/// The program.
pub fn main() -> ExitCode {
    // A function process is this same program. It is told apart before anything else happens,
    // because it is started for every job.
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == function::COMMAND) {
        return function::main(words.next());
    }
    let arguments = Arguments::parse();
    // Whoever has a terminal that knows no colours means it, also where CI is set.
    if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        anstream::ColorChoice::Never.write_global();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return exit::complain(&anyhow::Error::new(error), Exit::Failed),
    };
    let ended = match arguments.command {
        Command::Run(arguments) => runtime.block_on(run::main(arguments)),
        Command::Loopback(arguments) => runtime.block_on(loopback::main(arguments)),
        Command::Release(arguments) => runtime.block_on(release::main(&arguments)),
    };
    runtime.shutdown_background();
    match ended {
        Ok(exit) => exit.into(),
        Err(exit::Error { exit, error }) => exit::complain(&error, exit),
    }
}
