//! The `towpath` program, built together with the tests of the whole.

fn main() -> std::process::ExitCode {
    towpath::main()
}
