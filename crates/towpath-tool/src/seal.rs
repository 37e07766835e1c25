//! What a process does to itself before it runs code that nobody here wrote.

use std::io;

/// Keeps the process's memory and environment from its children, and makes it the parent of their orphans.
///
/// To be called first thing in a function's `main`, before any thread starts. On Linux:
/// - **Not dumpable.** A child of the same user cannot read `/proc/<parent>/environ` or `/proc/<parent>/mem`,
///   nor attach to the process; without this, a cleared environment keeps nothing from a build script. It holds for
///   ordinary users, as in Lambda. A child that runs as **root** (with `CAP_SYS_PTRACE`) may read them still: the
///   kernel knows no secret from root.
/// - **No core dumps** (`RLIMIT_CORE` 0; children inherit it).
/// - **Sub-reaper.** A daemon that a tool starts by forking twice becomes a child of this process instead of
///   init's, so that [`run`](crate::run) can find and kill it.
///
/// On other systems only core dumps are switched off: a child can read what the system lets a user read of their
/// own processes, and a daemon that leaves its process group survives. Those systems are for development.
///
/// A process that could not be sealed must not run tools: the error says what failed, and is for `main` to end with.
pub fn seal_process() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let no_core = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
    done("switch core dumps off", no_core)?;
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{
            DumpableBehavior, getpid, set_child_subreaper, set_dumpable_behavior,
        };
        done(
            "make the process not dumpable",
            set_dumpable_behavior(DumpableBehavior::NotDumpable),
        )?;
        done("become a sub-reaper", set_child_subreaper(Some(getpid())))?;
    }
    crate::survivors::process_is_sealed();
    Ok(())
}

fn done(what: &str, result: rustix::io::Result<()>) -> io::Result<()> {
    result.map_err(|error| {
        io::Error::new(
            io::Error::from(error).kind(),
            format!("failed to {what}: {error}"),
        )
    })
}
