//! Fuzzing on stable Rust: inputs of a committed corpus are changed at random and given to a parser, which must neither
//! panic nor take more time or memory than its target allows. What else must hold, a target's own check asserts.
//!
//! A target is a unit test beside the parser that it tests, in a module called `fuzz`; `corpus/NAME` holds its inputs.
//! In `make test` each one runs for a second, in `make fuzz` for its share of the time ([`settings`]).
//!
//! - [`corpus`] reads the files, and keeps inputs that had an outcome not seen before, to be changed further. Which lines
//!   of code an input reaches is not known: that needs a build of its own with a C++ library
//! - [`mutate`] changes an input; [`guard`] runs one and says what went wrong; [`shrink`] makes one that fails small
//! - [`notes`] are the files that a run leaves: inputs that failed
//!
//! Allocations are counted by a global allocator of every test program that this crate is part of. Well-kept fuzzers were
//! looked at first: those that change bytes want instrumented code or a hundred crates, those for stable Rust make
//! inputs from nothing.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher as _},
    time::{Duration, Instant},
};

use rand::{SeedableRng as _, rngs::StdRng};

pub mod corpus;
pub mod guard;
pub mod mutate;
pub mod notes;
pub mod settings;
pub mod shrink;
#[cfg(test)]
mod tests;

use corpus::Corpus;
use guard::{Failure, Guard};
use mutate::Mutator;
use notes::Notes;
use settings::Settings;

/// Something to fuzz, and what one input may cost it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// Words that its inputs are made of.
    pub words: &'static [&'static str],
    /// Longest input, bytes.
    pub longest: usize,
    /// What one input may cost.
    pub bounds: Bounds,
}

/// What one input may cost.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Heap that may be in use at the same time, bytes, whatever the input.
    pub heap: usize,
    /// Heap for each byte of the input, bytes.
    pub heap_a_byte: usize,
    /// Time, whatever the input.
    pub time: Duration,
    /// Time for each KiB of the input.
    pub time_a_kib: Duration,
}

/// Generous: unoptimised code on a machine that does other things too. What is worse than linear is found all the same,
/// and a time counts only if it is exceeded three times.
const USUAL: Bounds = Bounds {
    heap: 64 * 1024,
    heap_a_byte: 64,
    time: Duration::from_millis(200),
    time_a_kib: Duration::from_millis(20),
};

/// Longest input of most targets, bytes: four times the longest file of a corpus.
const USUAL_LENGTH: usize = 16 * 1024;

/// Time between two lines that say how far a long run is.
const SAID_EVERY: Duration = Duration::from_secs(10);

impl Target {
    /// A target with the usual bounds and no words.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            words: &[],
            longest: USUAL_LENGTH,
            bounds: USUAL,
        }
    }

    /// With words that its inputs are made of.
    #[must_use]
    pub const fn words(mut self, words: &'static [&'static str]) -> Self {
        self.words = words;
        self
    }

    /// With inputs of at most so many bytes.
    #[must_use]
    pub const fn longest(mut self, bytes: usize) -> Self {
        self.longest = bytes;
        self
    }

    /// With so much heap, bytes, and so much for each byte of the input.
    #[must_use]
    pub const fn heap(mut self, heap: usize, a_byte: usize) -> Self {
        self.bounds.heap = heap;
        self.bounds.heap_a_byte = a_byte;
        self
    }

    /// With so much time for an input.
    #[must_use]
    pub const fn time(mut self, time: Duration) -> Self {
        self.bounds.time = time;
        self
    }

    /// Runs it: every file of the corpus, then changed ones until the time is over. `check` panics where something does
    /// not hold, else it answers what came of the input, as coarse as inputs are worth keeping apart.
    ///
    /// # Panics
    /// When an input fails; the message says where it lies and how to repeat it.
    pub fn run<O: Hash>(&self, mut check: impl FnMut(&[u8]) -> O) {
        let settings = Settings::from_env();
        if !settings.wants(self.name) {
            eprintln!("skipped: TARGET names another one than {}", self.name);
            return;
        }
        let outcome = |input: &[u8]| {
            let mut hasher = DefaultHasher::new();
            check(input).hash(&mut hasher);
            hasher.finish()
        };
        if let Some(path) = &settings.input {
            let input = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
            let mut outcome = outcome;
            outcome(&input);
            return;
        }
        let run = Run::new(self, &settings, Corpus::read(self.name));
        if let Err(told) = run.until_the_end(outcome) {
            panic!("{told}");
        }
    }
}

/// What sort of message this is: without what it quotes and counts, which differs from input to input.
#[must_use]
pub fn sort_of(message: &dyn fmt::Display) -> String {
    let (mut sort, mut quote, mut escaped) = (String::new(), None, false);
    for c in message.to_string().chars().take(LONGEST_SORT) {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(opened), _) if c == opened => quote = None,
            (Some(_), _) => {}
            (None, '"' | '`') => quote = Some(c),
            (None, _) if c.is_ascii_digit() => {}
            (None, _) => sort.push(c),
        }
    }
    sort
}

/// Most characters of a message that tell its sort.
const LONGEST_SORT: usize = 100;

/// A run of a target.
struct Run<'a> {
    target: &'a Target,
    settings: &'a Settings,
    corpus: Corpus,
    mutator: Mutator,
    began: Instant,
    inputs: u64,
}

impl<'a> Run<'a> {
    fn new(target: &'a Target, settings: &'a Settings, corpus: Corpus) -> Self {
        let random = StdRng::seed_from_u64(settings.seed);
        eprintln!(
            "fuzz {}: {} files, {:.1} s, {}={} repeats this run",
            target.name,
            corpus.files().len(),
            settings.time.as_secs_f64(),
            settings::SEED,
            settings.seed,
        );
        Self {
            mutator: Mutator::new(random, target.words, target.longest),
            target,
            settings,
            corpus,
            began: Instant::now(),
            inputs: 0,
        }
    }

    /// # Errors
    /// What to tell whoever looks at the failure.
    fn until_the_end(mut self, outcome: impl FnMut(&[u8]) -> u64) -> Result<(), String> {
        let notes = Notes::open(self.target.name);
        let mut guard = Guard::new(self.target.bounds, notes, outcome);
        for file in self.corpus.files() {
            match guard.run(&file.bytes) {
                Ok(outcome) => self.corpus.seen(outcome),
                Err(failure) => {
                    let told = self.told(&mut guard, &file.bytes, &failure);
                    return Err(format!("the corpus' {}: {told}", file.name));
                }
            }
        }
        // The corpus takes the time it takes; changed inputs have all of theirs.
        self.began = Instant::now();
        let mut said = self.began;
        while self.began.elapsed() < self.settings.time {
            self.inputs += 1;
            let input = self.mutator.change(&self.corpus);
            match guard.run(&input) {
                Ok(outcome) => self.corpus.keep(outcome, input),
                Err(failure) => return Err(self.told(&mut guard, &input, &failure)),
            }
            if said.elapsed() > SAID_EVERY {
                said = Instant::now();
                self.say();
            }
        }
        self.say();
        Ok(())
    }

    fn say(&self) {
        let took = self.began.elapsed();
        eprintln!(
            "fuzz {}: {} inputs, {:.0}/s, {} outcomes, {:.0} s left",
            self.target.name,
            self.inputs,
            self.inputs as f64 / took.as_secs_f64(),
            self.corpus.outcomes(),
            self.settings.time.saturating_sub(took).as_secs_f64(),
        );
    }

    /// Shrinks an input that failed, writes it and says so.
    fn told<F: FnMut(&[u8]) -> u64>(
        &self,
        guard: &mut Guard<F>,
        input: &[u8],
        failure: &Failure,
    ) -> String {
        eprintln!("fuzz {}: {failure}; shrinking", self.target.name);
        let (small, failure) = shrink::shrink(input, failure, |input| guard.run(input).err());
        let path = guard.notes().failed(&small);
        let (name, path) = (self.target.name, path.display());
        format!(
            "{failure}\n  \
             after {} inputs with {}={}, shrunk from {} to {} bytes: {path}\n  \
             again: make fuzz TARGET={name} INPUT={path}\n  \
             mended, it belongs to the corpus: cp {path} tests/fuzz/corpus/{name}/WHAT-IT-IS",
            self.inputs,
            settings::SEED,
            self.settings.seed,
            input.len(),
            small.len(),
        )
    }
}
