//! The handle: starts a world on a port, and ends it without a trace.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::faults::{FaultFile, FaultRule};
use crate::server::serve;
use crate::{Settings, World};

/// How long background work may take to notice that the world ends.
const GRACE: Duration = Duration::from_secs(10);

/// Why a loopback does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else listens there.
    #[error("port {port} on 127.0.0.1 is taken; choose another, or none for a free one")]
    PortTaken {
        /// As it was asked for.
        port: u16,
    },
    /// The port cannot be listened on for another reason.
    #[error("failed to listen on 127.0.0.1:{port}")]
    Listen {
        /// As it was asked for; 0 is a free one.
        port: u16,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The state directory cannot be made.
    #[error("failed to create the state directory `{}`", path.display())]
    StateDirectory {
        /// As it was asked for.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A running AWS on 127.0.0.1.
///
/// Dropping it stops serving; [`Loopback::shutdown`] also waits until nothing is left behind.
pub struct Loopback {
    world: Arc<World>,
    port: u16,
    server: JoinHandle<()>,
}

impl Loopback {
    /// Starts serving: when this returns, the port answers.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        std::fs::create_dir_all(&settings.state_dir).map_err(|source| {
            StartError::StateDirectory {
                path: settings.state_dir.clone(),
                source,
            }
        })?;
        let asked = settings.port.unwrap_or(0);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, asked));
        let listen = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => StartError::PortTaken { port: asked },
            _ => StartError::Listen {
                port: asked,
                source,
            },
        };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let port = listener.local_addr().map_err(listen)?.port();
        let world = Arc::new(World::new(settings, port));
        let server = tokio::spawn(serve(listener, world.clone()));
        Ok(Self {
            world,
            port,
            server,
        })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.world.endpoint
    }

    /// The port, also when it was chosen free.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What `/_towpath/*` asks for in the header `x-towpath-token`.
    pub fn control_token(&self) -> &str {
        &self.world.control_token
    }

    /// Access key id and secret of credentials that may do anything.
    pub fn root_credentials(&self) -> (&str, &str) {
        self.world.identity.root_credentials()
    }

    /// The variables that point an AWS SDK or the AWS CLI here.
    pub fn environment(&self) -> Vec<(String, String)> {
        let (access_key_id, secret_access_key) = self.root_credentials();
        [
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", access_key_id),
            ("AWS_SECRET_ACCESS_KEY", secret_access_key),
            // A token left over from another session would be sent along, and refused.
            ("AWS_SESSION_TOKEN", ""),
            ("AWS_REGION", &self.world.settings.region),
            ("AWS_DEFAULT_REGION", &self.world.settings.region),
            // Nobody should ask the machine's own metadata service for other credentials.
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// The services, for who runs in the same process.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// Makes calls fail as the rule says.
    pub fn inject(&self, rule: FaultRule) {
        self.world.faults.add(rule);
    }

    /// Lets go wrong what a file says, from now on.
    pub fn follow(&self, file: &FaultFile) {
        for rule in &file.calls {
            self.world.faults.add(rule.clone());
        }
        for rule in &file.resources {
            self.world.cloudformation.scripts.add(rule.clone());
        }
    }

    /// The rules that nothing has met so far, in words.
    pub fn unmet(&self) -> Vec<String> {
        let mut unmet = self.world.faults.unmet();
        unmet.extend(self.world.cloudformation.scripts.unmet());
        unmet
    }

    /// Ends a session's credentials now, as if their hour were over.
    pub fn expire(&self, access_key_id: &str) {
        self.world.identity.expire(access_key_id);
    }

    /// Delivers a function's next asynchronous event twice, as Lambda's queue may do.
    pub fn duplicate_next(&self, function: &str) {
        self.world.lambda.duplicate_next(function);
    }

    /// The ids of all builds of CodeBuild so far, the oldest first.
    pub fn builds(&self) -> Vec<String> {
        self.world.codebuild.ids()
    }

    /// Forgets a build of CodeBuild, as if somebody had deleted it. It runs on.
    pub fn forget_build(&self, id: &str) {
        self.world.codebuild.forget(id);
    }

    /// Stops: ends every function's and build's process, waits for every task, closes the port.
    pub async fn shutdown(mut self) {
        self.world.stopping.cancel();
        self.world.lambda.shutdown().await;
        self.world.codebuild.shutdown().await;
        if (&mut self.server).await.is_err() {
            tracing::warn!("the server failed before it was stopped");
        }
        self.world.tasks.close();
        if tokio::time::timeout(GRACE, self.world.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                tasks = self.world.tasks.len(),
                "background tasks outlived the loopback"
            );
        }
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.world.stopping.cancel();
    }
}
