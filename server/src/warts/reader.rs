//! A cursor over bytes that cannot leave them: every read is checked.

use super::fault::Fault;

/// Reads big-endian values from the front of a slice.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(Fault::ShortBody)?;
        self.rest = rest;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(Fault::ShortBody)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Fault> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Fault> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A part of its own, which cannot be read beyond `count` bytes.
    pub(super) fn part(&mut self, count: usize) -> Result<Reader<'a>, Fault> {
        Ok(Reader::new(self.bytes(count)?))
    }

    /// Text up to a zero byte. Bytes that are no UTF-8 become U+FFFD: JSON has no
    /// other way to carry them.
    pub(super) fn text(&mut self, limit: usize) -> Result<String, Fault> {
        let end = self.rest.iter().position(|byte| *byte == 0);
        let text = self.bytes(end.ok_or(Fault::ShortBody)?)?;
        self.u8()?;
        if text.len() > limit {
            return Err(Fault::LongName { limit });
        }
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    pub(super) fn finish(&self) -> Result<(), Fault> {
        match self.left() {
            0 => Ok(()),
            left => Err(Fault::LeftOver(left)),
        }
    }
}
