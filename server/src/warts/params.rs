//! The parameter block: which optional values follow, and the values.
//!
//! Flag bytes carry seven flags each, lowest bit first; the top bit says that
//! another flag byte follows. A single zero byte means no parameters at all;
//! otherwise a u16 length comes next, then the values in the order of their ids.

use super::fault::Fault;
use super::reader::Reader;

/// Flag bytes of one block. Known records need five; 18 fit the bit set below.
const MAX_FLAG_BYTES: u32 = 18;

/// The ids set in a block, handed out in order, and the bytes of their values.
#[derive(Debug)]
pub(super) struct Params<'a> {
    ids: u128,
    /// The values. Ids that a record type does not know are skipped by leaving them
    /// in here, so a newer scamper's additions cost nothing.
    pub(super) values: Reader<'a>,
}

impl<'a> Params<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let first = reader.u8()?;
        if first == 0 {
            return Ok(Self {
                ids: 0,
                values: Reader::new(&[]),
            });
        }
        let mut ids = u128::from(first & 0x7f);
        let mut byte = first;
        let mut count = 1;
        while byte & 0x80 != 0 {
            if count == MAX_FLAG_BYTES {
                return Err(Fault::LongFlags);
            }
            byte = reader.u8()?;
            ids |= u128::from(byte & 0x7f) << (7 * count);
            count += 1;
        }
        let length = usize::from(reader.u16()?);
        Ok(Self {
            ids,
            values: reader.part(length)?,
        })
    }

    /// The next id that is set, counted from 1.
    pub(super) fn next_id(&mut self) -> Option<u32> {
        if self.ids == 0 {
            return None;
        }
        let bit = self.ids.trailing_zeros();
        self.ids &= self.ids - 1;
        Some(bit + 1)
    }
}
