//! The `install-deps` function as a Lambda executable.

fn main() -> Result<(), lambda_runtime::Error> {
    towpath_tool::seal_process()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(towpath_job::run(install_deps::InstallDeps))
}
