//! Whatever the input: no panic, no byte lost, no output out of proportion.

use proptest::collection::vec;
use proptest::prelude::*;

use super::samples::SAMPLES;
use crate::warts::{Limits, Record, decode};

/// JSON bytes per input byte. The densest are empty unknown records: 8 bytes become
/// an object of about 150.
const JSON_FACTOR: usize = 64;
/// Dump bytes per input byte. The densest is a trace whose only hop is the 255th.
const DUMP_FACTOR: usize = 32;
/// What even an empty input may print: the comment of the dump, and some room.
const ALLOWANCE: usize = 4_096;

pub(super) fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let decoded = decode(bytes, &Limits::default());
    let json = decoded.to_json().to_string();
    prop_assert!(json.len() <= ALLOWANCE + JSON_FACTOR * bytes.len());
    let dump = decoded.to_dump();
    prop_assert!(dump.len() <= ALLOWANCE + DUMP_FACTOR * bytes.len());
    let mut end = 0;
    for record in &decoded.records {
        if let Record::Undecoded(raw) = record {
            prop_assert!(raw.offset >= end && !raw.bytes.is_empty());
            end = raw.offset + raw.bytes.len();
            prop_assert_eq!(bytes.get(raw.offset..end), Some(&raw.bytes[..]));
        }
    }
    prop_assert!(bytes.is_empty() || !decoded.records.is_empty());
    Ok(())
}

fn sample() -> impl Strategy<Value = Vec<u8>> {
    (0..SAMPLES.len()).prop_map(|index| SAMPLES[index].warts.to_vec())
}

proptest! {
    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..512)) {
        check(&bytes)?;
    }

    #[test]
    fn random_bodies(kind in 1..16_u16, body in vec(any::<u8>(), 0..256)) {
        check(&super::build::record(kind, &body))?;
    }

    #[test]
    fn truncated(bytes in sample(), at in any::<prop::sample::Index>()) {
        let length = at.index(bytes.len() + 1);
        check(&bytes[..length])?;
    }

    #[test]
    fn flipped(mut bytes in sample(), flips in vec((any::<prop::sample::Index>(), 0..8_u8), 1..6)) {
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        check(&bytes)?;
    }

    #[test]
    fn overwritten(
        mut bytes in sample(),
        at in any::<prop::sample::Index>(),
        with in vec(prop::sample::select(vec![0, 1, 4, 0x12, 0x7f, 0x80, 0xff]), 1..5),
    ) {
        let at = at.index(bytes.len());
        for (byte, new) in bytes.iter_mut().skip(at).zip(with) {
            *byte = new;
        }
        check(&bytes)?;
    }

    #[test]
    fn spliced(first in sample(), second in sample(), at in any::<prop::sample::Index>()) {
        let at = at.index(first.len() + 1);
        let (head, tail) = first.split_at(at);
        check(&[head, &second, tail].concat())?;
    }
}
