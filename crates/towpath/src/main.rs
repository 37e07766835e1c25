//! The `towpath` program.

fn main() -> std::process::ExitCode {
    towpath::main()
}
