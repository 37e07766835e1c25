//! What a log shows is no secret: no parameter's value, no credentials, no event.

use crate::{SOUND, arguments, project};

#[test]
fn neither_parameters_nor_credentials_are_logged() {
    let secret = "correct-horse-battery-staple";
    for script in [SOUND, "test -n \"$PASSWORD\" && exit 1"] {
        let towpath = project(script);
        let password = format!("Password={secret}");
        let finished = towpath.run(&arguments(&["--approve", "all", "--parameter", &password]));
        let logs: Vec<_> = towpath
            .state_files()
            .into_iter()
            .filter(|path| path.components().any(|part| part.as_os_str() == "logs"))
            .collect();
        assert!(!logs.is_empty(), "{finished:?}");
        let told = [finished.stdout, finished.stderr].into_iter();
        let logged = logs
            .iter()
            .map(|path| std::fs::read_to_string(path).expect("a log"));
        let mut shown = 0;
        for text in told.chain(logged) {
            shown += text.len();
            for word in [
                secret,
                "Env.PASSWORD",
                "artifactCredentials",
                "secretAccessKey",
                "sessionToken",
                "ASIA",
                "AKIA",
            ] {
                assert!(!text.contains(word), "`{word}` in {text}");
            }
        }
        assert!(shown > 500, "there was something to look at");
    }
}
