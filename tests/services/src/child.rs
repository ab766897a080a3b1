//! Child processes that do not outlive the test process, however that ends.
//!
//! The kernel kills them when their parent dies (`setpriv --pdeathsig`, which is how one asks for that without unsafe
//! code). For the kernel the parent is the *thread* that started them, and threads of tests and of their runtimes end
//! early. So one thread starts all children, and it stays until the process ends.

use std::{
    io,
    process::{Child, Command},
    sync::{LazyLock, mpsc},
    thread,
};

/// The tool that sets what signal a child gets when its parent dies; it is part of Debian's util-linux.
pub(crate) const SETPRIV: &str = "setpriv";

/// A command, and where its child is waited for.
type Order = (Command, mpsc::SyncSender<io::Result<Child>>);

static STARTER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
    let (orders, inbox) = mpsc::channel::<Order>();
    thread::Builder::new()
        .name("child starter".to_owned())
        .spawn(move || {
            // The sender lives in a static: this never ends.
            for (mut command, answer) in inbox {
                // Who does not wait any more dropped the other end; then the child has no owner and must not stay.
                if let Err(mpsc::SendError(Ok(mut child))) = answer.send(command.spawn()) {
                    child.kill().ok();
                    child.wait().ok();
                }
            }
        })
        .expect("a thread");
    orders
});

/// A command for a program that is killed with this process.
pub(crate) fn command(program: &std::path::Path) -> Command {
    let mut command = Command::new(SETPRIV);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Starts what [`command`] made, from the thread that stays. Takes about a millisecond.
///
/// # Errors
/// Those of [`Command::spawn`].
pub(crate) fn start(command: Command) -> io::Result<Child> {
    let (answer, answered) = mpsc::sync_channel(1);
    STARTER.send((command, answer)).expect("the starter stays");
    answered.recv().expect("the starter answers")
}
