//! `towpath loopback`: the server alone.

use towpath_loopback::{Loopback, Settings};

use crate::exit::{Error, Exit, Usage};
use crate::interrupts::Interrupts;
use crate::{arguments, state::State};

pub(crate) async fn main(arguments: arguments::Loopback) -> Result<Exit, Error> {
    let mut interrupts = Interrupts::listen()?;
    let state = State::open(&std::env::current_dir()?).usage()?;
    let mut settings = Settings::new(state.world());
    settings.port = arguments.port;
    settings.region = arguments.region;
    let loopback = Loopback::start(settings).await.usage()?;
    for (name, value) in loopback.environment() {
        println!("export {name}={value}");
    }
    eprintln!(
        "serving {}; state in {}; Ctrl-C ends it",
        loopback.endpoint(),
        state.run().display()
    );
    interrupts.next().await;
    loopback.shutdown().await;
    Ok(Exit::Succeeded)
}
