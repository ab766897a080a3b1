//! Cuts the input into records, and finds the next record after damage.
//!
//! A record is a u16 magic, a u16 type, a u32 body length, and the body.

use super::fault::Fault;
use super::reader::Reader;

const MAGIC: u16 = 0x1205;
/// Bytes of a record header.
const HEADER: usize = 8;
/// Types that can be real. Scamper 20211212 ends at 14 and later ones go on slowly;
/// only the search after damage asks.
const HIGHEST_TYPE: u16 = 64;

/// The front of the input, cut off.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut<'a> {
    /// A header whose body is all there.
    Whole {
        kind: u16,
        /// Header and body.
        bytes: &'a [u8],
        body: &'a [u8],
    },
    /// Anything else, up to where the next record seems to begin.
    Broken {
        kind: Option<u16>,
        bytes: &'a [u8],
        fault: Fault,
    },
}

/// Cuts off the front of `input`, at least one byte of it.
pub(super) fn cut(input: &[u8]) -> Cut<'_> {
    let Some((kind, length)) = header(input) else {
        return Cut::Broken {
            kind: None,
            bytes: up_to_next(input, 1),
            fault: Fault::NoHeader,
        };
    };
    match whole(input, length) {
        Some((bytes, body)) => Cut::Whole { kind, bytes, body },
        None => Cut::Broken {
            kind: Some(kind),
            bytes: up_to_next(input, HEADER),
            fault: Fault::Truncated {
                length,
                left: input.len().saturating_sub(HEADER),
            },
        },
    }
}

/// Whether `rest`, what follows a record, is what should follow one.
pub(super) fn follows(rest: &[u8]) -> bool {
    rest.is_empty() || rest.starts_with(&MAGIC.to_be_bytes())
}

/// The bytes of `input` before the next plausible record, looking from the end of the
/// header at its front. For a body that made no sense and whose length may not either.
pub(super) fn distrust_length(input: &[u8]) -> &[u8] {
    up_to_next(input, HEADER)
}

fn up_to_next(input: &[u8], from: usize) -> &[u8] {
    let plausible = |at: &usize| input.get(*at..).is_some_and(is_plausible);
    let end = (from..input.len()).find(plausible).unwrap_or(input.len());
    input.get(..end).unwrap_or(input)
}

/// The magic alone appears by chance, so a record found by searching must also have
/// a real type and be followed by another record or the end.
fn is_plausible(input: &[u8]) -> bool {
    header(input).is_some_and(|(kind, length)| {
        let end = whole(input, length).map(|(bytes, _)| bytes.len());
        (1..=HIGHEST_TYPE).contains(&kind)
            && end.and_then(|end| input.get(end..)).is_some_and(follows)
    })
}

fn header(input: &[u8]) -> Option<(u16, u32)> {
    let mut reader = Reader::new(input);
    let magic = reader.u16().ok()?;
    let kind = reader.u16().ok()?;
    let length = reader.u32().ok()?;
    (magic == MAGIC).then_some((kind, length))
}

fn whole(input: &[u8], length: u32) -> Option<(&[u8], &[u8])> {
    let end = usize::try_from(length).ok()?.checked_add(HEADER)?;
    let bytes = input.get(..end)?;
    Some((bytes, bytes.get(HEADER..)?))
}
