//! The benchmarks: every published figure, by one command.
//!
//! A figure is a ratio against a named peer, or a size; both sides run interleaved in one process,
//! so that the machine's mood cancels. Nothing here is a test: nothing fails for being slow.

mod artifacts;
mod counted;
mod deploy;
mod figure;
mod functions;
mod install;
mod loopback;
mod package;
mod pipeline;
mod programs;
mod runtime_api;
mod served;

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

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Unpacking and packing, from and to a disk and a store behind a network, against the floor and against others
    Artifacts(artifacts::Options),
    /// A hit in the dependency cache against a cold `npm ci`, and against a restore by tar and zstd
    Install,
    /// Packaging an application that has not changed, against hashing its files; and its memory
    Package,
    /// `towpath run` of the sample application against the same npm commands by hand
    Pipeline,
    /// The functions' size, start and memory against a Node.js handler with the AWS SDK
    Functions,
    /// A deployment of ten minutes and one of 500 resources: calls, billed time and memory, against the AWS CLI
    Deploy,
    /// The loopback's start, and what it adds to a job
    Loopback,
}

fn main() -> ExitCode {
    // What is measured runs as a process of its own, and some of it is this program.
    let own: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    match own.first().and_then(|first| first.to_str()) {
        Some(artifacts::MEASURED) => return artifacts::wrapper(&own[1..]),
        Some(artifacts::WORKER) => {
            let own: Vec<String> = std::env::args().skip(2).collect();
            return artifacts::worker(&own);
        }
        Some(install::WORKER) => {
            let own: Vec<String> = std::env::args().skip(2).collect();
            return install::worker(&own);
        }
        Some(package::WORKER) => {
            let own: Vec<String> = std::env::args().skip(2).collect();
            return package::worker(&own);
        }
        _ => {}
    }
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
            What::Artifacts(options) => artifacts::measure(&options, arguments.quick),
            What::Install => install::measure(arguments.quick).await,
            What::Package => package::measure(arguments.quick).await,
            What::Pipeline => pipeline::measure(arguments.quick),
            What::Functions => functions::measure(arguments.quick).await,
            What::Deploy => deploy::measure(arguments.quick),
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
