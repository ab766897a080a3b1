//! What dig was asked, from the line in which it repeats its arguments: `-q a.example -t mx -x 192.0.2.1`.

use probe_protocol::reverse_name;

/// Options of dig that are followed by a value without meaning for a question.
const WITH_VALUE: &[&str] = &["-b", "-c", "-f", "-k", "-p", "-y"];

/// Types that may stand among the arguments without `-t`; other words there are names.
const TYPES: &[&str] = &[
    "a", "aaaa", "any", "axfr", "caa", "cname", "dnskey", "ds", "hinfo", "https", "mx", "ns",
    "ptr", "soa", "srv", "txt",
];

/// Names and types, in the order they were asked for; at most so many.
pub(super) fn questions(arguments: &str, most: usize) -> Vec<(String, String)> {
    let mut questions: Vec<(String, String)> = Vec::new();
    let mut default = "A".to_owned();
    let mut words = arguments.split_whitespace();
    while let Some(word) = words.next() {
        if questions.len() > most {
            break; // more than outcomes are kept: the caller can use none of them
        }
        let flag = word.get(..2).filter(|_| word.starts_with('-'));
        let attached = word.get(2..).filter(|value| !value.is_empty());
        match flag {
            Some("-q" | "-t" | "-x") => {
                let Some(value) = attached.or_else(|| words.next()) else {
                    break;
                };
                match flag {
                    Some("-q") => questions.push((value.to_owned(), default.clone())),
                    Some("-x") => questions.push((reverse(value), "PTR".to_owned())),
                    _ => set_type(&mut questions, &mut default, value),
                }
            }
            Some(flag) if WITH_VALUE.contains(&flag) && attached.is_none() => _ = words.next(),
            Some(_) => {}
            None if word.starts_with(['@', '+']) => {}
            None if TYPES.contains(&word.to_ascii_lowercase().as_str()) => {
                set_type(&mut questions, &mut default, word);
            }
            None => questions.push((word.to_owned(), default.clone())),
        }
    }
    questions
}

/// A type is that of the name before it; before all names, it is that of all.
fn set_type(questions: &mut [(String, String)], default: &mut String, record_type: &str) {
    let place = questions.last_mut().map_or(default, |(_, of_last)| of_last);
    *place = record_type.to_ascii_uppercase();
}

/// The name under which the DNS keeps an address; what is none stays as it is.
fn reverse(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), reverse_name)
}
