//! The `approve` function as a Lambda executable.

#[tokio::main]
async fn main() -> Result<(), towpath_job::RunError> {
    approve::run().await
}
