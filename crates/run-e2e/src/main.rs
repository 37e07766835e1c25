//! The `run-e2e` function as a Lambda executable.

#[tokio::main]
async fn main() -> Result<(), towpath_job::RunError> {
    towpath_tool::seal_process()?;
    run_e2e::run().await
}
