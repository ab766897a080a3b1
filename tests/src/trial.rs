//! Runs tests: each is an async function with a runtime of its own under a deadline.
//!
//! A test that this machine cannot run is listed as ignored with the reason, never as ok.

use std::{process::ExitCode, time::Duration};

use libtest_mimic::{Arguments, Failed};

pub use libtest_mimic::Trial;

/// Longest a test may take unless it says otherwise.
pub const USUAL_LIMIT: Duration = Duration::from_secs(90);
/// Threads of a test's runtime: clients must not be what is slow.
const WORKERS: usize = 2;
/// Longest what a test left running may take to end.
const WIND_UP: Duration = Duration::from_secs(2);

/// A test to be.
#[derive(Debug)]
pub struct Case {
    name: String,
    limit: Duration,
    missing: Option<String>,
}

impl Case {
    /// A test; `name` is its path with modules, the crate's name is left out.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let name = name
            .split_once("::")
            .map_or(name, |(_, rest)| rest)
            .to_owned();
        Self {
            name,
            limit: USUAL_LIMIT,
            missing: None,
        }
    }

    /// Gives it more time, or less.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Says what is missing on this machine, if anything is.
    #[must_use]
    pub fn unless(mut self, missing: Option<String>) -> Self {
        self.missing = self.missing.or(missing);
        self
    }

    /// The test itself.
    #[must_use]
    pub fn run<F>(self, test: impl FnOnce() -> F + Send + 'static) -> Trial
    where
        F: Future<Output = ()>,
    {
        let Self {
            name,
            limit,
            missing,
        } = self;
        match missing {
            Some(why) => {
                let kind = format!("skipped: {why}");
                Trial::test(name, move || Err(Failed::from(why)))
                    .with_kind(kind)
                    .with_ignored_flag(true)
            }
            None => Trial::test(name, move || {
                block_on(limit, test);
                Ok(())
            }),
        }
    }
}

/// Panics while the test is still whole, so that its processes show their logs when they are dropped.
fn block_on<F: Future<Output = ()>>(limit: Duration, test: impl FnOnce() -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut test = std::pin::pin!(test());
        tokio::select! {
            () = &mut test => {}
            () = tokio::time::sleep(limit) => panic!("the test took longer than {limit:?}"),
        }
    });
    runtime.shutdown_timeout(WIND_UP);
}

/// Trials from functions of this module; those of another kind than usual say first what all of them are:
/// `trials![|it| it.within(LIMIT).unless(mongod::missing()); a_test, another]`.
#[macro_export]
macro_rules! trials {
    ($($test:ident),+ $(,)?) => {
        $crate::trials![|it| it; $($test),+]
    };
    ($kind:expr; $($test:ident),+ $(,)?) => {{
        let kind = $crate::trial::kind($kind);
        vec![$(kind($crate::Case::new(concat!(module_path!(), "::", stringify!($test)))).run($test)),+]
    }};
}

/// For [`trials!`]: lets a closure be written without its types.
#[doc(hidden)]
pub fn kind<F: Fn(Case) -> Case>(kind: F) -> F {
    kind
}

/// Runs tests as `cargo test` wants it; so many at the same time unless the command line says otherwise.
#[must_use]
pub fn main(trials: Vec<Trial>, at_once: usize) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(at_once);
    for trial in trials.iter().filter(|trial| trial.has_ignored_flag()) {
        eprintln!("{} will not run: {}", trial.name(), trial.kind());
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
