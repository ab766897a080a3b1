//! A glance at a warts(5) file: which measurements it holds, and whether scamper could make them. Nothing is decoded
//! beyond that; the hub does the rest.

/// What scamper made of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glance {
    /// A measurement, whatever it found.
    Measured,
    /// scamper could not probe.
    Error,
}

const MAGIC: u16 = 0x1205;
const HEADER: usize = 8;

const TRACE: u16 = 6;
const PING: u16 = 7;

/// The stop reason that says scamper could not probe, per record type.
const TRACE_ERROR: u8 = 6;
const PING_ERROR: u8 = 2;

/// Position of the stop reason among the parameters, the same for both types; before it come numbers of this length.
const STOP_REASON: usize = 6;
const BEFORE: [usize; STOP_REASON - 1] = [4, 4, 4, 4, 8];

/// The ping and trace records of a file, in order. What is no warts ends the list.
#[must_use]
pub fn glance(mut file: &[u8]) -> Vec<Glance> {
    let mut found = Vec::new();
    while let Some((kind, body, rest)) = record(file) {
        file = rest;
        let error = match kind {
            TRACE => TRACE_ERROR,
            PING => PING_ERROR,
            _ => continue,
        };
        let failed = stop_reason(body) == Some(error);
        found.push(if failed {
            Glance::Error
        } else {
            Glance::Measured
        });
    }
    found
}

fn record(file: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (header, rest) = file.split_at_checked(HEADER)?;
    let [m0, m1, t0, t1, l0, l1, l2, l3] = header.try_into().ok()?;
    if u16::from_be_bytes([m0, m1]) != MAGIC {
        return None;
    }
    let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).ok()?;
    let (body, rest) = rest.split_at_checked(length)?;
    Some((u16::from_be_bytes([t0, t1]), body, rest))
}

/// Flags of seven a byte until one without the top bit, a length, then the values in order.
fn stop_reason(body: &[u8]) -> Option<u8> {
    let first = *body.first()?;
    let flag_bytes = body.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let set = |id: usize| first >> (id - 1) & 1 == 1;
    if !set(STOP_REASON) {
        return None;
    }
    let before: usize = (1..STOP_REASON)
        .filter(|&id| set(id))
        .map(|id| BEFORE[id - 1])
        .sum();
    body.get(flag_bytes + 2 + before).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_warts_holds_nothing() {
        assert_eq!(glance(b""), []);
        assert_eq!(glance(b"hello, this is no warts"), []);
        assert_eq!(glance(&[0x12, 0x05, 0, 7, 0xff, 0xff, 0xff, 0xff, 1]), []);
    }

    #[test]
    fn the_stop_reason_tells_whether_scamper_could_probe() {
        // list and start are set; so is the stop reason, with and without a second flag byte.
        let ping = |flags: &[u8], reason| {
            let mut body = flags.to_vec();
            body.extend([0, 13, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, reason]);
            let mut file = vec![0x12, 0x05, 0, 7, 0, 0, 0, body.len() as u8];
            file.extend(body);
            file
        };
        assert_eq!(glance(&ping(&[0b0011_0001], 1)), [Glance::Measured]);
        assert_eq!(glance(&ping(&[0b0011_0001], 2)), [Glance::Error]);
        assert_eq!(glance(&ping(&[0b1011_0001, 0], 2)), [Glance::Error]);
        let two = [ping(&[0b0011_0001], 2), ping(&[0b0011_0001], 1)].concat();
        assert_eq!(glance(&two), [Glance::Error, Glance::Measured]);
    }
}
