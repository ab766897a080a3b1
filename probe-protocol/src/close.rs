//! Why the hub ended a session, as a websocket close code that tells the probe when to come back.

use std::time::Duration;

/// Websocket code for a message that is too long (RFC 6455 section 7.4.1); no [`Close`], and means now.
pub const TOO_LONG: u16 = 1009;

/// When a probe may connect again after a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Return {
    /// At once, after a short random pause.
    Now,
    /// After minutes: the hub or this probe is in trouble that a quick return would make worse.
    Later,
    /// Not without a person: stop the agent.
    Never,
}

impl Return {
    /// The shortest pause before connecting again; the probe adds jitter. `None` means never.
    #[must_use]
    pub fn pause(self) -> Option<Duration> {
        match self {
            Self::Now => Some(Duration::from_millis(500)),
            Self::Later => Some(Duration::from_secs(60)),
            Self::Never => None,
        }
    }
}

macro_rules! close_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $word:literal, $return:ident, $meaning:literal;)*) => {
        /// Why the hub ended a session.
        ///
        /// Codes 4000–4099 mean come back now, 4100–4199 later, 4500–4599 never; a probe that meets a code it does
        /// not know goes by its range. Any other websocket code (1001, 1006, 1009 …) means now.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Close {
            $($(#[$doc])* #[doc = $meaning] $name,)*
        }

        impl Close {
            /// Every reason, in the order of the codes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The websocket close code.
            #[must_use]
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code,)* }
            }

            /// The word sent as the close frame's reason.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// One sentence for people, as in `docs/protocol.md`.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }

            /// When the probe may come back.
            #[must_use]
            pub const fn comes_back(self) -> Return {
                match self { $(Self::$name => Return::$return,)* }
            }
        }
    };
}

close_codes! {
    Restart = 4000, "restart", Now, "The hub is stopping or restarting.";
    Slow = 4001, "slow", Now, "The probe did not read what was sent to it; its queue was full or a write timed out.";
    Silent = 4002, "silent", Now, "Nothing was heard from the probe for longer than the heartbeat allows.";
    HelloTimeout = 4003, "hello_timeout", Now, "No `hello` arrived in time after the connection was opened.";
    Overloaded = 4100, "overloaded", Later, "The hub cannot take more work at the moment.";
    Unavailable = 4101, "unavailable", Later, "The hub's store does not answer.";
    ProtocolError = 4102, "protocol_error", Later, "The probe sent too many frames that could not be read, or a first frame that was no `hello`.";
    Replaced = 4103, "replaced", Later, "A newer connection with the same token took this one's place.";
    Revoked = 4501, "revoked", Never, "The probe's token was rotated or the probe was deleted.";
}

/// When to come back after a close frame with this code, known or not.
#[must_use]
pub const fn return_after(code: u16) -> Return {
    match code {
        4100..=4199 => Return::Later,
        4500..=4599 => Return::Never,
        _ => Return::Now,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_lies_in_the_range_of_its_return() {
        for close in Close::ALL {
            assert_eq!(return_after(close.code()), close.comes_back(), "{close:?}");
            let range = match close.comes_back() {
                Return::Now => 4000..4100,
                Return::Later => 4100..4200,
                Return::Never => 4500..4600,
            };
            assert!(range.contains(&close.code()), "{close:?}");
        }
    }

    #[test]
    fn codes_and_words_are_unique_and_in_order() {
        let words: HashSet<&str> = Close::ALL.iter().map(|close| close.word()).collect();
        assert_eq!(words.len(), Close::ALL.len());
        assert!(Close::ALL.is_sorted_by(|a, b| a.code() < b.code()));
        for close in Close::ALL {
            // RFC 6455 leaves 123 bytes for the reason.
            assert!((1..=123).contains(&close.word().len()));
            assert!(
                close
                    .word()
                    .bytes()
                    .all(|c| c.is_ascii_lowercase() || c == b'_')
            );
            assert!(close.meaning().ends_with('.') && !close.meaning().contains('|'));
        }
    }

    #[test]
    fn unknown_codes_go_by_their_range() {
        for (code, back) in [
            (1000, Return::Now),
            (1006, Return::Now),
            (TOO_LONG, Return::Now),
            (4099, Return::Now),
            (4100, Return::Later),
            (4199, Return::Later),
            (4200, Return::Now),
            (4499, Return::Now),
            (4500, Return::Never),
            (4599, Return::Never),
            (4600, Return::Now),
            (0, Return::Now),
            (u16::MAX, Return::Now),
        ] {
            assert_eq!(return_after(code), back, "{code}");
        }
        assert!(Return::Now.pause() < Return::Later.pause());
        assert_eq!(Return::Never.pause(), None);
    }
}
