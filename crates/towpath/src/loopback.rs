//! `towpath loopback`: the server alone.

use std::fmt::Write as _;

use std::path::Path;

use anyhow::Context as _;
use towpath_loopback::{FaultFile, Loopback, Settings};

use crate::exit::{Error, Exit, Usage};
use crate::interrupts::Interrupts;
use crate::run::print;
use crate::{arguments, state::State};

pub(crate) async fn main(arguments: arguments::Loopback) -> Result<Exit, Error> {
    let mut interrupts = Interrupts::listen()?;
    let faults = faults(arguments.faults.as_deref()).usage()?;
    let state = State::open(&std::env::current_dir()?).usage()?;
    let mut settings = Settings::new(state.world());
    settings.port = arguments.port;
    settings.region = arguments.region;
    let loopback = Loopback::start(settings).await.usage()?;
    loopback.follow(&faults);
    print(&exports(&loopback))?;
    eprintln!(
        "serving {}; state in {}; Ctrl-C ends it",
        loopback.endpoint(),
        state.run().display()
    );
    interrupts.next().await;
    loopback.shutdown().await;
    Ok(Exit::Succeeded)
}

/// Reads the file that the option names; without one nothing goes wrong.
pub(crate) fn faults(file: Option<&Path>) -> anyhow::Result<FaultFile> {
    let Some(file) = file else {
        return Ok(FaultFile::default());
    };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("failed to read faults from {}", file.display()))?;
    FaultFile::parse(&text).with_context(|| format!("{} cannot be used", file.display()))
}

/// The variables that point clients at the loopback, for a shell to read, and the secret that its control asks for.
pub(crate) fn exports(loopback: &Loopback) -> String {
    let mut exports = String::new();
    let token = (
        "TOWPATH_CONTROL_TOKEN".to_owned(),
        loopback.control_token().to_owned(),
    );
    for (name, value) in loopback.environment().into_iter().chain([token]) {
        let _ = writeln!(exports, "export {name}={}", quoted(&value));
    }
    exports
}

/// A value that a shell reads back as it is.
fn quoted(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&byte);
    if value.bytes().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_value_is_safe_in_a_shell() {
        for (value, expected) in [
            ("http://127.0.0.1:1", "http://127.0.0.1:1"),
            ("", ""),
            ("x y;rm", "'x y;rm'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(quoted(value), expected);
        }
    }
}
