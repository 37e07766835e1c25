//! The `test-and-package` function as a Lambda executable.

fn main() -> Result<(), lambda_runtime::Error> {
    // Before any thread starts, and long before any tool.
    towpath_tool::seal_process()?;
    tokio::runtime::Runtime::new()?.block_on(towpath_job::run(test_and_package::TestAndPackage))
}
