//! The benchmarks: every published figure, by one command.
//!
//! A figure is a ratio against a named peer, or a size; both sides run interleaved in one process,
//! so that the machine's mood cancels. Nothing here is a test: nothing fails for being slow.

mod figure;
mod functions;
mod loopback;
mod pipeline;
mod programs;
mod runtime_api;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::figure::Figure;

/// Measures Towpath against its peers.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Fewer rounds: to see that it works, not to quote
    #[arg(long, global = true)]
    quick: bool,
    /// Print one JSON document
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum What {
    /// `towpath run` of the sample application against the same npm commands by hand
    Pipeline,
    /// The functions' size, start and memory against a Node.js handler with the AWS SDK
    Functions,
    /// The loopback's start, and what it adds to a job
    Loopback,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let measured = runtime.block_on(async {
        match arguments.what {
            What::Pipeline => pipeline::measure(arguments.quick),
            What::Functions => functions::measure(arguments.quick).await,
            What::Loopback => loopback::measure(arguments.quick).await,
        }
    });
    match measured {
        Ok(figures) => {
            println!("{}", figure::show(&figures, arguments.json));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
