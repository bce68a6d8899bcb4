//! An agent's tool that runs shell commands, and leaves nothing of them behind.
//!
//! The engine ends an attempt by dropping its future. A child process does not notice that, and its own children even less. So
//! the tool starts each command as the leader of a process group, and a guard kills that whole group when it is dropped: at the
//! time limit, when the call is cancelled or dropped, and when the command has ended but left something in the background.
//!
//! ```text
//! cargo run -p sandbox-examples --example shell
//! ```
//!
//! Watch how each command ends, what is kept of its output, also when it ran into the time limit, and the failures that the
//! breaker counts: a command that fails is the caller's mistake. After each command, the process table shows whether a process
//! of its group is left. The exit code is 1 if one is, or if a command did not end as scripted.
//!
//! Code that may hang belongs in a child process. `tokio::task::spawn_blocking` keeps it away from the threads that serve
//! other calls, but nothing can kill a thread: after the time limit it goes on, holds its memory, its locks and one of the
//! blocking threads, and a runtime that shuts down waits for it. A process can be killed at any point, and the kernel takes
//! back what it held.
//!
//! Some things are out of reach for a process group. A process that leaves it (`setsid`) or becomes another user (`sudo`) is
//! not killed, and can delay the end of the command up to the time limit; a container or a cgroup holds those as well. And an
//! agent that is itself killed with SIGKILL drops nothing.

use std::process::ExitCode;

#[cfg(unix)]
#[tokio::main]
async fn main() -> ExitCode {
    ExitCode::from(u8::from(!script::play_all().await))
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    eprintln!("This example needs `sh` and process groups: it runs on Unix only.");
    ExitCode::FAILURE
}

// ---- The tool -------------------------------------------------------------------------------------------------------

#[cfg(unix)]
mod tool {
    use std::fmt;
    use std::io;
    use std::process::{ExitStatus, Stdio};

    use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop, ProcessGroup};
    use sandbox_runtime::{CircuitBreaker, ErrorVerdict, SandboxError, sandboxed};
    use thiserror::Error;
    use tokio::io::{AsyncRead, AsyncReadExt};
    use tokio::runtime::Handle;
    use tokio_util::sync::CancellationToken;

    /// How much is kept of each of stdout and stderr: a model's context is small, and a command may print for ever.
    pub(super) const KEPT_KIB: usize = 16;

    pub(super) static SHELL: CircuitBreaker = CircuitBreaker::new(5);

    #[derive(Debug, Error, ErrorVerdict)]
    pub(super) enum ShellError {
        /// Not every command that fails is wrong, but the shell that ran it is healthy.
        #[error("{0}: {1}")]
        #[verdict(ignore)]
        Failed(ExitStatus, String),
        /// Nothing has run: another attempt does no harm.
        #[error("cannot start a shell: {0}")]
        #[verdict(retry, safe)]
        Start(#[source] io::Error),
        #[error("lost the command while it ran: {0}")]
        #[verdict(fail)]
        Lost(#[from] io::Error),
        #[error(transparent)]
        Sandbox(#[from] SandboxError),
    }

    /// What the caller has of a command, however it ends: an attempt that is cut returns nothing, but what it has written to a
    /// `&mut` argument stays.
    #[derive(Debug, Default)]
    pub(super) struct Output {
        pub(super) group: Option<u32>,
        pub(super) stdout: Kept,
        pub(super) stderr: Kept,
    }

    #[sandboxed(timeout_ms = 1_500, max_retries = 1, idempotent = false, cancel = cancel, breaker = &SHELL)]
    pub(super) async fn run(command: &str, output: &mut Output, cancel: &CancellationToken) -> Result<(), ShellError> {
        let mut child = shell(command).spawn().map_err(ShellError::Start)?;
        output.group = child.id();
        let (stdout, stderr) = (child.stdout().take(), child.stderr().take());
        // A process in the background holds the pipes open. They are closed when the leader has ended, as that kills the others.
        let leader = Group(Some(child)).leader_exit();
        let (status, (), ()) = tokio::try_join!(leader, output.stdout.fill(stdout), output.stderr.fill(stderr))?;
        if status.success() {
            Ok(())
        } else {
            Err(ShellError::Failed(status, output.stderr.to_string()))
        }
    }

    fn shell(command: &str) -> CommandWrap {
        let mut shell = CommandWrap::with_new("sh", |shell| {
            shell.arg("-c").arg(command).stdin(Stdio::null());
            shell.stdout(Stdio::piped()).stderr(Stdio::piped());
        });
        // `KillOnDrop` kills the leader only. It is for a panic between the start and the guard.
        shell.wrap(ProcessGroup::leader()).wrap(KillOnDrop);
        shell
    }

    /// The guard: all processes of a command that stay in its group, which none of them outlives.
    struct Group(Option<Box<dyn ChildWrapper>>);

    impl Group {
        /// Waits for the leader alone (the wrapper may wait for the others, too), and kills the others by its drop: at once, because
        /// the number of a group that has become empty is free for another.
        async fn leader_exit(mut self) -> io::Result<ExitStatus> {
            let Some(child) = &mut self.0 else {
                unreachable!("only `drop` takes the child")
            };
            child.inner_mut().wait().await
        }
    }

    impl Drop for Group {
        /// A killed process stays in the process table until its parent reaps it. The leader's parent is this process. Its
        /// children become those of the init process; in a container that can be this process, so it waits for the whole group.
        /// Without a runtime, nobody is there to wait: they are reaped when this process ends.
        fn drop(&mut self) {
            let Some(mut child) = self.0.take() else { return };
            // An error means that the group has no process left that can be killed.
            let _ = child.start_kill();
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(async move { child.wait().await });
            }
        }
    }

    /// The beginning of what a command prints.
    #[derive(Debug, Default)]
    pub(super) struct Kept {
        bytes: Vec<u8>,
        cut: bool,
    }

    impl Kept {
        /// Reads to the end, so that the command does not wait for a reader.
        async fn fill(&mut self, pipe: Option<impl AsyncRead + Unpin>) -> io::Result<()> {
            let Some(mut pipe) = pipe else { return Ok(()) };
            let mut beginning = (&mut pipe).take(KEPT_KIB as u64 * 1024);
            beginning.read_to_end(&mut self.bytes).await?;
            self.cut = pipe.read(&mut [0]).await? > 0;
            tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
            Ok(())
        }
    }

    impl fmt::Display for Kept {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(String::from_utf8_lossy(&self.bytes).trim_end())?;
            if self.cut {
                write!(f, "\n[cut: there was more than {KEPT_KIB} KiB]")?;
            }
            Ok(())
        }
    }
}

// ---- The script -----------------------------------------------------------------------------------------------------

#[cfg(unix)]
mod script {
    use std::fs;
    use std::pin::pin;
    use std::process;
    use std::time::{Duration, Instant};

    use sandbox_runtime::SandboxError;
    use tokio::time::{sleep, timeout};
    use tokio_util::sync::CancellationToken;

    use super::tool::{KEPT_KIB, Output, SHELL, ShellError, run};

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Ending {
        Answered,
        Exited(i32),
        TimedOut,
        Cancelled,
        Dropped,
        Other,
    }
    use Ending::{Answered, Cancelled, Dropped, Exited, Other, TimedOut};

    /// Long enough for a shell to start its children on a busy machine, and shorter than the time limit.
    const PATIENCE: Duration = Duration::from_millis(750);

    pub(super) async fn play_all() -> bool {
        let mut as_scripted = true;

        println!("Commands that end. What a failed one prints to stderr is the text of its error.");
        as_scripted &= play("echo works", Answered, 0, "works").await;
        as_scripted &= play("echo begun; echo no such page >&2; exit 3", Exited(3), 0, "begun").await;

        println!("\nCommands that print more than is kept: one ends, one is killed at the time limit.");
        let cut = "y\n".repeat(KEPT_KIB * 512) + &format!("[cut: there was more than {KEPT_KIB} KiB]");
        as_scripted &= play("yes | head -c 5000000", Answered, 0, &cut).await;
        as_scripted &= play("yes", TimedOut, 1, &cut).await;

        println!("\nA command that hangs, with a child in the background: timed out, cancelled, dropped.");
        let hangs = "sleep 1000 & echo started; sleep 1000";
        as_scripted &= play(hangs, TimedOut, 2, "started").await;
        as_scripted &= play(hangs, Cancelled, 2, "started").await;
        as_scripted &= play(hangs, Dropped, 2, "started").await;

        println!("\nA command that ends at once and leaves a child behind.");
        as_scripted &= play("sleep 1000 & echo started", Answered, 0, "started").await;
        as_scripted
    }

    /// Runs a command, and checks how it ends, how many failures the breaker counts then, what is kept of stdout, and that no
    /// process is left.
    async fn play(command: &str, ending: Ending, failures: u32, stdout: &str) -> bool {
        let start = Instant::now();
        let mut output = Output::default();
        let (ended, error) = call(command, &mut output, ending).await;
        let elapsed = start.elapsed().as_millis();
        let kept = output.stdout.to_string();
        let counted = SHELL.failure_count();
        let left = left_of(output.group).await;

        println!("  {command:<42} {elapsed:>5} ms  failures {counted}  left {left:?}  {ended:?} {error}");
        println!("      {}", kept.lines().last().unwrap_or_default());
        let as_scripted = ended == ending && counted == failures && kept == stdout && left.is_empty();
        if !as_scripted {
            eprintln!("NOT AS SCRIPTED, expected: {ending:?}, failures {failures}; processes left: {left:?}");
        }
        as_scripted
    }

    /// Loses its patience if the script says so: it cancels the call, or drops its future.
    async fn call(command: &str, output: &mut Output, ending: Ending) -> (Ending, String) {
        let cancel = CancellationToken::new();
        let patience = if matches!(ending, Cancelled | Dropped) {
            PATIENCE
        } else {
            Duration::MAX
        };
        let mut call = pin!(run(command, output, &cancel));
        let result = match timeout(patience, &mut call).await {
            Ok(result) => result,
            Err(_) if ending == Cancelled => {
                cancel.cancel();
                call.await
            }
            Err(_) => return (Dropped, String::new()),
        };
        let Err(error) = result else {
            return (Answered, String::new());
        };
        let ended = match &error {
            ShellError::Failed(status, _) => status.code().map_or(Other, Exited),
            ShellError::Sandbox(SandboxError::Timeout { .. }) => TimedOut,
            ShellError::Sandbox(SandboxError::Cancelled) => Cancelled,
            _ => Other,
        };
        (ended, error.to_string())
    }

    /// The processes of the group that are left, after a moment for the kernel to end them and for their parents to reap them.
    async fn left_of(group: Option<u32>) -> Vec<String> {
        let Some(group) = group else { return Vec::new() };
        let start = Instant::now();
        loop {
            let left = members(group);
            if left.is_empty() || start.elapsed() > Duration::from_millis(500) {
                return left;
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// As `/proc` shows them, which only Linux has in this form; elsewhere none are found.
    fn members(group: u32) -> Vec<String> {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let stats = processes.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
        let members = stats.filter(|stat| is_member(stat, group));
        members.map(|stat| stat.chars().take(32).collect()).collect()
    }

    /// Reads `PID (NAME) STATE PARENT GROUP ..`. A dead process that waits for another parent than this process is not counted:
    /// not every container has an init process that reaps.
    fn is_member(stat: &str, group: u32) -> bool {
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let fields: Vec<_> = fields.split(' ').take(3).collect();
        let [state, parent, its_group] = fields[..] else {
            return false;
        };
        its_group == group.to_string() && (state != "Z" || parent == process::id().to_string())
    }
}
