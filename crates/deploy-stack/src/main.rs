//! The `deploy-stack` function as a Lambda executable.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    deploy_stack::run().await
}
