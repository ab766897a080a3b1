//! Changes inputs: bits, bytes, pieces, words, numbers.

use rand::{RngExt as _, rngs::StdRng};

use crate::corpus::Corpus;

/// Most changes of one input. Half of all inputs have one, a quarter two, and so on.
const MOST_CHANGES: u32 = 8;
/// Most bytes that are inserted from nothing.
const MOST_NEW: usize = 8;

/// Bytes with a meaning somewhere.
const BYTES: &[u8] = b"\0\x01\x1e\x7f\x80\xff\"\\{}[]:,.-+/ %&=?#\n\r\t09aAzZ_";

/// Numbers as text, at bounds where code likes to be wrong.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "00",
    "127",
    "128",
    "255",
    "256",
    "32768",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "1.5",
    "-0.0",
    "1e5",
    "1e308",
    "1e400",
    "0.1e-400",
    "NaN",
];

/// Texts that are wrong in most places.
const TEXTS: &[&str] = &[
    "\u{e9}",
    "\u{ff11}",
    "\u{2028}",
    "\u{feff}",
    "\u{10ffff}",
    "\\u0000",
    "\\ud800",
    "%00",
    "%ff",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "'; reboot; '",
    "$(reboot)",
    "-x",
    "../",
];

/// Changes inputs at random, but the same way for the same seed.
#[derive(Debug)]
pub struct Mutator {
    random: StdRng,
    words: &'static [&'static str],
    longest: usize,
}

impl Mutator {
    /// Knows these words; makes nothing longer than so many bytes.
    #[must_use]
    pub fn new(random: StdRng, words: &'static [&'static str], longest: usize) -> Self {
        Self {
            random,
            words,
            longest,
        }
    }

    /// A changed input.
    pub fn change(&mut self, corpus: &Corpus) -> Vec<u8> {
        let mut input = corpus.one(&mut self.random).to_vec();
        for _ in 0..MOST_CHANGES {
            self.change_once(&mut input, corpus);
            if self.random.random() {
                break;
            }
        }
        input.truncate(self.longest);
        input
    }

    fn change_once(&mut self, input: &mut Vec<u8>, corpus: &Corpus) {
        match self.random.random_range(0..15) {
            0 => self.flip(input),
            1 => self.overwrite(input),
            2 => self.insert_bytes(input),
            3 => self.delete(input),
            4 => self.repeat(input),
            5 => self.move_piece(input),
            6 => self.splice(input, corpus),
            7 => self.insert_of_another(input, corpus),
            8 => input.truncate(self.up_to(input.len())),
            9 | 10 => self.put_word(input),
            11 | 12 => self.change_number(input),
            13 => self.put_binary_number(input),
            _ => self.insert_text(input),
        }
    }

    /// Zero to `most`, both included.
    fn up_to(&mut self, most: usize) -> usize {
        self.random.random_range(0..=most)
    }

    fn pick<'t, T: ?Sized>(&mut self, from: &[&'t T]) -> &'t T {
        from[self.random.random_range(0..from.len())]
    }

    /// A part of the input, more often a short one.
    fn piece(&mut self, input: &[u8]) -> std::ops::Range<usize> {
        let from = self.up_to(input.len());
        let left = input.len() - from;
        let most = if self.random.random() {
            left.min(MOST_NEW)
        } else {
            left
        };
        from..from + self.up_to(most)
    }

    fn insert(&mut self, input: &mut Vec<u8>, bytes: &[u8]) {
        let at = self.up_to(input.len());
        input.splice(at..at, bytes.iter().copied());
    }

    fn flip(&mut self, input: &mut [u8]) {
        if !input.is_empty() {
            let at = self.up_to(input.len() - 1);
            input[at] ^= 1 << self.random.random_range(0..8);
        }
    }

    fn byte(&mut self) -> u8 {
        if self.random.random() {
            BYTES[self.random.random_range(0..BYTES.len())]
        } else {
            self.random.random()
        }
    }

    fn overwrite(&mut self, input: &mut [u8]) {
        let piece = self.piece(input);
        let same = self.random.random::<bool>().then(|| self.byte());
        for at in piece.take(MOST_NEW) {
            input[at] = same.unwrap_or_else(|| self.byte());
        }
    }

    fn insert_bytes(&mut self, input: &mut Vec<u8>) {
        let count = 1 + self.up_to(MOST_NEW - 1);
        let bytes: Vec<u8> = (0..count).map(|_| self.byte()).collect();
        self.insert(input, &bytes);
    }

    fn delete(&mut self, input: &mut Vec<u8>) {
        let piece = self.piece(input);
        input.drain(piece);
    }

    /// Repeats a piece, sometimes until the input is as long as may be.
    fn repeat(&mut self, input: &mut Vec<u8>) {
        let piece = self.piece(input);
        let bytes = input[piece.clone()].to_vec();
        if bytes.is_empty() {
            return;
        }
        let room = self.longest.saturating_sub(input.len()) / bytes.len();
        let doublings = self.random.random_range(0..=room.max(1).ilog2());
        let times = (1_usize << doublings).min(room);
        input.splice(piece.end..piece.end, bytes.repeat(times));
    }

    fn move_piece(&mut self, input: &mut Vec<u8>) {
        let piece = self.piece(input);
        let bytes: Vec<u8> = input.drain(piece).collect();
        self.insert(input, &bytes);
    }

    /// The front of this input and the back of another.
    fn splice(&mut self, input: &mut Vec<u8>, corpus: &Corpus) {
        let other = corpus.one(&mut self.random);
        input.truncate(self.up_to(input.len()));
        let from = self.up_to(other.len());
        input.extend_from_slice(&other[from..]);
    }

    fn insert_of_another(&mut self, input: &mut Vec<u8>, corpus: &Corpus) {
        let other = corpus.one(&mut self.random);
        let piece = self.piece(other);
        self.insert(input, &other[piece]);
    }

    /// A word of the target, between two bytes or in place of some.
    fn put_word(&mut self, input: &mut Vec<u8>) {
        if self.words.is_empty() {
            return self.flip(input);
        }
        let word = self.pick(self.words);
        let mut piece = self.piece(input);
        if self.random.random() {
            piece.end = piece.start;
        }
        input.splice(piece, word.bytes());
    }

    /// Puts another number where one is written in digits.
    fn change_number(&mut self, input: &mut Vec<u8>) {
        let is_start = |at: &usize| {
            input[*at].is_ascii_digit() && (*at == 0 || !input[*at - 1].is_ascii_digit())
        };
        let starts: Vec<usize> = (0..input.len()).filter(is_start).collect();
        if starts.is_empty() {
            return self.put_binary_number(input);
        }
        let from = starts[self.up_to(starts.len() - 1)];
        let digits = input[from..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let text = String::from_utf8_lossy(&input[from..from + digits]).into_owned();
        let near = text.parse::<u64>().ok().filter(|_| self.random.random());
        let number = match near {
            Some(number) if self.random.random() => number.wrapping_add(1).to_string(),
            Some(number) => number.saturating_sub(1).to_string(),
            None => self.pick(NUMBERS).to_owned(),
        };
        input.splice(from..from + digits, number.bytes());
    }

    /// Writes a number of one to eight bytes over what is there.
    fn put_binary_number(&mut self, input: &mut [u8]) {
        let width = 1_usize << self.random.random_range(0..4);
        if input.len() < width {
            return;
        }
        let at = self.up_to(input.len() - width);
        let bits = width as u32 * 8;
        let highest = u64::MAX >> (64 - bits);
        let number = match self.random.random_range(0..6) {
            0 => 0,
            1 => highest,
            2 => highest >> 1,
            3 => (highest >> 1) + 1,
            4 => input.len() as u64,
            _ => self.random.random_range(0..64),
        };
        let bytes = if self.random.random() {
            number.to_be_bytes()[8 - width..].to_vec()
        } else {
            number.to_le_bytes()[..width].to_vec()
        };
        input[at..at + width].copy_from_slice(&bytes);
    }

    fn insert_text(&mut self, input: &mut Vec<u8>) {
        let text = self.pick(TEXTS);
        self.insert(input, text.as_bytes());
    }
}
