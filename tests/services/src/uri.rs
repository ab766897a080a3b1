//! Names and passwords in URIs.

/// Text as it stands in a URI.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_in_a_uri_is_escaped() {
        assert_eq!(escaped("p@ss:/w%é"), "p%40ss%3A%2Fw%25%C3%A9");
    }
}
