//! Makes an input that fails small, as long as it fails in the same way.

use std::time::{Duration, Instant};

use crate::guard::Failure;

/// Longest that shrinking may take. What is left is then as small as it got.
const WITHIN: Duration = Duration::from_secs(10);
/// What bytes become where it makes no difference.
const PLAIN: [u8; 3] = [b'0', b'a', 0];

/// A smaller input that fails like this one, and how it fails.
pub fn shrink(
    input: &[u8],
    failure: &Failure,
    mut fails: impl FnMut(&[u8]) -> Option<Failure>,
) -> (Vec<u8>, Failure) {
    let deadline = Instant::now() + WITHIN;
    let (mut small, mut last) = (input.to_vec(), failure.clone());
    let mut still = |candidate: &[u8], last: &mut Failure| {
        let found = fails(candidate).filter(|found| found.is_like(failure));
        found.map(|found| *last = found).is_some()
    };
    loop {
        let before = small.clone();
        let mut size = small.len();
        while size > 0 {
            let mut at = 0;
            while at < small.len() {
                if Instant::now() > deadline {
                    return (small, last);
                }
                let end = (at + size).min(small.len());
                let candidate = [&small[..at], &small[end..]].concat();
                if still(&candidate, &mut last) {
                    small = candidate;
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
        for at in 0..small.len() {
            for plain in PLAIN {
                let old = small[at];
                if old == plain || Instant::now() > deadline {
                    break;
                }
                small[at] = plain;
                if still(&small, &mut last) {
                    break;
                }
                small[at] = old;
            }
        }
        if small == before {
            return (small, last);
        }
    }
}
