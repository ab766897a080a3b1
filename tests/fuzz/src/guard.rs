//! Runs one input and says what went wrong: a panic, too much time, too much memory. An input that never ends is found
//! by a thread beside, which ends the process.

use std::{
    cell::{Cell, RefCell},
    fmt, fs, panic, process,
    sync::{Arc, Condvar, Mutex, Once, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{Bounds, notes::Notes};

/// Time after which an input will never end.
const STUCK: Duration = Duration::from_secs(60);
/// How often an input must be too slow: a machine may be slow once, as when it reads a file for the first time.
const SLOW_TIMES: u32 = 3;
/// Where Linux tells for how long this thread has computed, nanoseconds, and how long it had to wait until it could.
const COMPUTED: &str = "/proc/thread-self/schedstat";
/// What the process ends with when an input never ends, as a test program does that fails.
const FAILED: i32 = 101;
/// Most characters of a panic's message that are shown.
const LONGEST_MESSAGE: usize = 2_000;

/// What was wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The parser, or a check of what it made.
    Panic {
        /// File and line.
        at: String,
        /// What it said.
        message: String,
    },
    /// It took too long.
    Slow {
        /// How long.
        took: Duration,
        /// How long it may take.
        most: Duration,
    },
    /// It took too much memory.
    Greedy {
        /// Bytes in use at the same time.
        used: u64,
        /// Bytes it may use.
        most: u64,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic { at, message } => write!(f, "panicked at {at}: {message}"),
            Self::Slow { took, most } => write!(f, "took {took:.1?}, may take {most:.1?}"),
            Self::Greedy { used, most } => {
                write!(f, "used {used} bytes of heap, may use {most}")
            }
        }
    }
}

impl Failure {
    /// Whether both are of one cause, as far as one can tell.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Panic { at, .. }, Self::Panic { at: other, .. }) => at == other,
            (Self::Slow { .. }, Self::Slow { .. }) | (Self::Greedy { .. }, Self::Greedy { .. }) => {
                true
            }
            _ => false,
        }
    }
}

thread_local! {
    /// Whether panics of this thread are caught here, and need not be shown.
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<Option<Failure>> = const { RefCell::new(None) };
}

/// Notes panics of threads that fuzz, instead of showing each of the hundreds that shrinking makes.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_WATCHED.get() {
                return usual(info);
            }
            let message = info.payload_as_str().unwrap_or("no message");
            let at = info.location().map_or_else(String::new, |at| {
                format!("{}:{}:{}", at.file(), at.line(), at.column())
            });
            LAST_PANIC.set(Some(Failure::Panic {
                at,
                message: message.chars().take(LONGEST_MESSAGE).collect(),
            }));
        }));
    });
}

/// Runs inputs, one after the other.
pub struct Guard<F> {
    bounds: Bounds,
    outcome: F,
    watch: Arc<Watch>,
}

/// What the thread beside looks at.
struct Watch {
    notes: Notes,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    began: Option<Instant>,
    input: Vec<u8>,
    ended: bool,
}

impl<F: FnMut(&[u8]) -> u64> Guard<F> {
    /// Will hold inputs to these bounds.
    #[must_use]
    pub fn new(bounds: Bounds, notes: Notes, outcome: F) -> Self {
        watch_panics();
        let watch = Arc::new(Watch {
            notes,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let beside = watch.clone();
        thread::spawn(move || beside.until_the_end());
        Self {
            bounds,
            outcome,
            watch,
        }
    }

    /// The files of the run.
    #[must_use]
    pub fn notes(&self) -> &Notes {
        &self.watch.notes
    }

    /// Runs an input; answers its outcome.
    ///
    /// # Errors
    /// What went wrong.
    pub fn run(&mut self, input: &[u8]) -> Result<u64, Failure> {
        let a_byte = self.bounds.heap_a_byte.saturating_mul(input.len());
        let heap = self.bounds.heap.saturating_add(a_byte) as u64;
        let kib = u32::try_from(input.len().div_ceil(1024)).unwrap_or(u32::MAX);
        let most = self.bounds.time + self.bounds.time_a_kib.saturating_mul(kib);
        let mut quickest = Duration::MAX;
        for _ in 0..SLOW_TIMES {
            let (outcome, took, used) = self.once(input);
            let outcome = outcome?;
            if used > heap {
                return Err(Failure::Greedy { used, most: heap });
            }
            quickest = quickest.min(took);
            if quickest <= most {
                return Ok(outcome);
            }
        }
        Err(Failure::Slow {
            took: quickest,
            most,
        })
    }

    /// Outcome, time, and heap in use at the same time, bytes.
    fn once(&mut self, input: &[u8]) -> (Result<u64, Failure>, Duration, u64) {
        self.watch.runs(input);
        let mut outcome = Ok(0);
        IS_WATCHED.set(true);
        let began = Clock::now();
        let counted = allocation_counter::measure(|| {
            let outcome_of = &mut self.outcome;
            let run = panic::AssertUnwindSafe(|| outcome_of(input));
            outcome = panic::catch_unwind(run).map_err(drop);
        });
        let took = began.elapsed();
        IS_WATCHED.set(false);
        self.watch.rests();
        let failure = || {
            LAST_PANIC.take().unwrap_or_else(|| Failure::Panic {
                at: "another thread".to_owned(),
                message: String::new(),
            })
        };
        (outcome.map_err(|()| failure()), took, counted.bytes_max)
    }
}

/// What the time of an input is taken by.
struct Clock {
    wall: Instant,
    computed: Option<Duration>,
}

impl Clock {
    fn now() -> Self {
        Self {
            computed: computed(),
            wall: Instant::now(),
        }
    }

    /// For how long this thread has computed since; where that is not known, how long ago it was.
    fn elapsed(&self) -> Duration {
        let wall = self.wall.elapsed();
        let spent = |(before, now): (Duration, Duration)| now.saturating_sub(before);
        self.computed.zip(computed()).map_or(wall, spent).min(wall)
    }
}

/// For how long this thread has computed: what others do on this machine does not count.
fn computed() -> Option<Duration> {
    let told = fs::read_to_string(COMPUTED).ok()?;
    let nanoseconds = told.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

impl<F> Drop for Guard<F> {
    fn drop(&mut self) {
        self.watch.change(|state| state.ended = true);
    }
}

impl Watch {
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        if state.ended {
            self.changed.notify_all();
        }
    }

    fn runs(&self, input: &[u8]) {
        self.notes.runs(input);
        self.change(|state| {
            state.began = Some(Instant::now());
            state.input.clear();
            state.input.extend_from_slice(input);
        });
    }

    fn rests(&self) {
        self.change(|state| state.began = None);
    }

    /// Looks now and then whether the input that runs will ever end.
    fn until_the_end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.ended {
            if state.began.is_some_and(|began| began.elapsed() > STUCK) {
                let path = self.notes.failed(&state.input);
                eprintln!(
                    "fuzz: an input has not ended after {STUCK:?}: {}",
                    path.display()
                );
                process::exit(FAILED);
            }
            let waited = self.changed.wait_timeout(state, Duration::from_secs(1));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
