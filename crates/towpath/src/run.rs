//! `towpath run`: loopback, template, source, execution, report. There is no other way through.

mod approval;
mod definition;
mod document;
mod functions;
pub(crate) mod progress;
mod provision;
mod secrets;
mod shelf;
mod source;
mod view;
mod watch;

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use aws_sdk_codepipeline::Client as CodePipeline;
use towpath_loopback::{FaultFile, Loopback, Settings};

use crate::arguments;
use crate::exit::{Error, Exit, Usage};
use crate::interrupts::Interrupts;
use crate::run::definition::Definition;
use crate::run::functions::Functions;
use crate::run::progress::{Event, Reporter};
use crate::run::watch::Ending;
use crate::state::State;

/// How long the local CodePipeline waits before it calls a function again. AWS publishes no
/// number; here nobody gains by waiting.
const REINVOCATION: Duration = Duration::from_millis(20);

/// What the command line says, read.
struct Given {
    arguments: arguments::Run,
    source: source::Source,
    definition: Definition,
    functions: Functions,
    faults: FaultFile,
}

pub(crate) async fn main(arguments: arguments::Run) -> Result<Exit, Error> {
    let mut interrupts = Interrupts::listen()?;
    let reporter = Reporter::for_stderr();
    // What can be wrong without a server is found before there is one.
    let source = source::Source::read(&arguments.source).usage()?;
    let definition = Definition::load(arguments.template.as_deref()).usage()?;
    if let Some(stage) = &arguments.until {
        definition.check_stage(stage).usage()?;
    }
    let functions = Functions::new(arguments.functions.as_deref()).usage()?;
    let secrets = secrets::Secrets::read(arguments.secrets.as_deref()).usage()?;
    let faults = crate::loopback::faults(arguments.faults.as_deref()).usage()?;
    let state = State::open(&std::env::current_dir()?).usage()?;
    let given = Given {
        arguments,
        source,
        definition,
        functions,
        faults,
    };

    let mut settings = Settings::new(state.world());
    settings.reinvocation_interval = REINVOCATION;
    settings.async_retry_delay = Duration::from_secs(1);
    settings.function_environment.insert(
        "TOWPATH_TOOL_CACHE".to_owned(),
        state.cache().display().to_string(),
    );
    let loopback = Loopback::start(settings).await?;
    secrets.put(&provision::config(&loopback)).await?;
    reporter.event(&Event::Note(format!("AWS is {}", loopback.endpoint())));

    // From here on everything ends with the loopback's shutdown, whatever happens in between.
    let ended = tokio::select! {
        ended = execute(&given, &reporter, &state, &loopback) => ended,
        () = interrupts.next() => {
            reporter.clear();
            reporter.event(&Event::Note("interrupted: stopping every process".to_owned()));
            Ok(Exit::Interrupted)
        }
    };
    reporter.clear();
    // A failed run is held too: that is when one wants to ask the application.
    if given.arguments.hold && ended.as_ref().is_ok_and(|exit| *exit != Exit::Interrupted) {
        reporter.event(&Event::Note(format!(
            "holding: the application and the loopback stay up until Ctrl-C; for the AWS CLI:\n{}",
            crate::loopback::exports(&loopback)
        )));
        interrupts.next().await;
    }
    loopback.shutdown().await;
    ended
}

/// Writes to stdout. A reader that has gone away is not our failure.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("failed to write to stdout")
        }
        _ => Ok(()),
    }
}

async fn execute(
    given: &Given,
    reporter: &Reporter,
    state: &State,
    loopback: &Loopback,
) -> Result<Exit, Error> {
    let Given {
        arguments,
        source,
        definition,
        functions,
        faults,
    } = given;
    let began = Instant::now();
    let config = provision::config(loopback);
    let world = provision::Provision {
        config: &config,
        loopback,
        reporter,
    };
    let pipeline = world
        .pipeline(definition, functions, &arguments.parameters)
        .await
        .usage()?;
    let approvals = approval::Approvals::new(&arguments.approve);
    approvals.check(&pipeline.approvals).usage()?;
    world.hand_over(&pipeline, source).await.usage()?;
    let shelf = shelf::Shelf::of(&config, &state.dependencies()).await;
    if let Some(shelf) = &shelf {
        match shelf.lay_out().await {
            Ok(0) => {}
            Ok(count) => {
                let entries = if count == 1 { "entry" } else { "entries" };
                let note = format!("cache: {count} {entries} from earlier runs");
                reporter.event(&Event::Note(note));
            }
            Err(error) => reporter.event(&Event::Note(format!("cache: none is used: {error:#}"))),
        }
    }

    let client = CodePipeline::new(&config);
    if let Some(stage) = &arguments.until {
        pipeline.stage(stage).usage()?;
        world.stop_after(&client, &pipeline, stage).await?;
    }
    // Not before: what is made until here is not the application's.
    loopback.follow(faults);
    let execution = world.start(&client, &pipeline).await?;
    let watched = watch::watch(&watch::Watch {
        client: &client,
        pipeline: &pipeline,
        execution: &execution,
        until: arguments.until.as_deref(),
        approvals,
        reporter,
    })
    .await?;
    reporter.clear();
    if let Some(shelf) = &shelf
        && let Err(error) = shelf.take_in().await
    {
        reporter.event(&Event::Note(format!("cache: nothing was kept: {error:#}")));
    }

    // A misspelt name would look like a pipeline that withstands the fault.
    for rule in loopback.unmet() {
        reporter.event(&Event::Note(format!(
            "faults: nothing met the rule for {rule}"
        )));
    }

    let report = document::Report::gather(
        &config,
        loopback,
        &pipeline,
        &execution,
        &watched,
        state,
        began.elapsed(),
    )
    .await?;
    let page = if arguments.json {
        report.to_json() + "\n"
    } else {
        report.to_text(state, loopback.endpoint(), arguments.hold)
    };
    print(&page)?;
    let exit = match watched.ending {
        Ending::Succeeded | Ending::Reached => Exit::Succeeded,
        Ending::Failed => Exit::Failed,
        Ending::Stopped | Ending::Rejected => Exit::Stopped,
        Ending::Unattended => Exit::Unattended,
    };
    Ok(exit)
}
