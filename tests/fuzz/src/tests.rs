//! The fuzzer itself: finds what is there to find, the same with the same seed; and the corpora are as they should be.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{corpus::File, *};

/// Longest file of a corpus, bytes.
const LONGEST_FILE: usize = 4 * 1024;
/// All files together, bytes.
const MOST_BYTES: usize = 200 * 1024;

/// A target of these tests.
const TRIAL: Target = Target::new(TRIAL_NAME)
    .words(&["panic"])
    .time(Duration::from_millis(5));
/// Not written in [`TRIAL`], so that this is not taken for a target with a folder.
const TRIAL_NAME: &str = "trial";

fn settings(seed: u64) -> Settings {
    Settings {
        seed,
        time: Duration::from_secs(30),
        ..Settings::from_env()
    }
}

fn run(seed: u64, check: impl FnMut(&[u8]) -> u64) -> Result<(), String> {
    let settings = settings(seed);
    let files = ["0", "12 * *", "[{\"a\":5}]"].map(|text| File {
        name: text.to_owned(),
        bytes: text.into(),
    });
    Run::new(&TRIAL, &settings, Corpus::of(files.into())).until_the_end(check)
}

fn holds(input: &[u8], word: &[u8]) -> bool {
    input.windows(word.len()).any(|window| window == word)
}

/// The file that a report names.
fn written(told: &str) -> Vec<u8> {
    let path = told
        .split("bytes: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let input = fs::read(path).unwrap();
    fs::remove_file(path).unwrap();
    input
}

#[test]
fn a_panic_is_found_shrunk_and_written() {
    let check = |input: &[u8]| {
        assert!(!holds(input, b"panic"), "there it is");
        0
    };
    let told = run(1, check).unwrap_err();
    assert!(told.contains("there it is"), "{told}");
    assert_eq!(written(&told), b"panic");
}

#[test]
fn what_has_a_new_outcome_is_a_step_further() {
    // Each byte is found by chance; all of them sooner from where the one before was.
    let check = |input: &[u8]| {
        let right = input.iter().zip(b":,]").take_while(|(a, b)| a == b);
        let right = right.count() as u64;
        assert!(right < 3, "all right");
        right
    };
    let told = run(2, check).unwrap_err();
    assert!(told.contains("all right"), "{told}");
    assert_eq!(written(&told), b":,]");
}

#[test]
fn too_much_memory_is_found() {
    let check = |input: &[u8]| {
        let bytes = if holds(input, b"panic") {
            10_000_000
        } else {
            10
        };
        std::hint::black_box(vec![1_u8; bytes]).len() as u64
    };
    let told = run(3, check).unwrap_err();
    assert!(told.contains("bytes of heap"), "{told}");
    assert_eq!(written(&told), b"panic");
}

#[test]
fn too_much_time_is_found() {
    let check = |input: &[u8]| {
        let began = Instant::now();
        while holds(input, b"panic") && began.elapsed() < Duration::from_millis(100) {
            std::hint::spin_loop();
        }
        0
    };
    let told = run(4, check).unwrap_err();
    assert!(told.contains("may take"), "{told}");
    assert!(holds(&written(&told), b"panic"));
}

#[test]
fn a_seed_repeats_a_run() {
    let first_inputs = |seed| {
        let mut inputs = Vec::new();
        let told = run(seed, |input| {
            inputs.push(input.to_vec());
            assert!(inputs.len() < 500, "enough");
            inputs.len() as u64 % 7
        });
        let _ = written(&told.unwrap_err());
        inputs.truncate(500);
        inputs
    };
    assert_eq!(first_inputs(5), first_inputs(5));
    assert_ne!(first_inputs(5), first_inputs(6));
}

#[test]
fn messages_are_sorted_without_what_they_quote() {
    for message in [
        r#"invalid type: string "a\"b `c", expected u32 at line 1 column 23"#,
        r#"invalid type: string "", expected u32 at line 7 column 5"#,
    ] {
        let sort = "invalid type: string , expected u at line  column ";
        assert_eq!(sort_of(&message), sort);
    }
}

#[test]
fn the_corpora_are_small() {
    let mut all = 0;
    for target in corpus::targets() {
        for file in Corpus::read(&target).files() {
            assert!(file.bytes.len() < LONGEST_FILE, "{target}/{}", file.name);
            all += file.bytes.len();
        }
    }
    assert!(all < MOST_BYTES, "{all} bytes");
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_corpus_has_its_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for part in ["server/src", "probe/src", "probe-protocol/src"] {
        sources(&root.join(part), &mut files);
    }
    let mut named = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        // Where `Target` is something to measure, it is called `Fuzzed`.
        let text = text.replace("Fuzzed::new(", "Target::new(");
        let names = text.split("Target::new(\"").skip(1);
        named.extend(names.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
    }
    assert_eq!(named, corpus::targets().into_iter().collect());
}
