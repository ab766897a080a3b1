//! Reads the text that dig prints: question by question, what was answered, or why nothing was.
//!
//! It is text for people, so the reader looks for the few lines it knows and passes over the rest: comments, warnings,
//! usage texts, sections nobody asked for. One pass, one line at a time; what it keeps are slices of the text.

use super::dns::{Answer, Query};

mod banner;

/// Most answers kept of one text, whatever the number of its questions.
const MAX_ANSWERS_IN_ALL: usize = 20_000;

/// What a text says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parsed<'a> {
    /// Questions in the order of the text.
    pub(super) queries: Vec<Query<'a>>,
    /// Questions that were not kept.
    pub(super) omitted: u64,
}

/// Reads a text; keeps so many questions, and so many answers to each.
pub(super) fn parse(text: &str, most_queries: usize, most_answers: usize) -> Parsed<'_> {
    let mut reader = Reader {
        parsed: Parsed::default(),
        current: Query::default(),
        section: Section::Free,
        banner: None,
        most_queries,
        most_answers,
        answers_left: MAX_ANSWERS_IN_ALL,
    };
    text.lines().for_each(|line| reader.line(line));
    reader.finish();
    reader.name_the_unanswered();
    reader.parsed
}

/// Where in a message the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    /// Outside of any: records are those of a zone transfer, which has no sections.
    Free,
    Question,
    Answer,
    /// Authority, additional and the like.
    Other,
}

struct Reader<'a> {
    parsed: Parsed<'a>,
    current: Query<'a>,
    section: Section,
    /// What dig was asked, as it repeats it.
    banner: Option<&'a str>,
    most_queries: usize,
    most_answers: usize,
    answers_left: usize,
}

impl<'a> Reader<'a> {
    fn line(&mut self, line: &'a str) {
        let line = line.trim_end();
        if line.is_empty() {
            if self.section != Section::Free {
                self.section = Section::Other;
            }
        } else if let Some(note) = line.strip_prefix(";;") {
            self.note(note.trim_start());
        } else if let Some(note) = line.strip_prefix(';') {
            self.remark(note);
        } else if matches!(self.section, Section::Free | Section::Answer) {
            self.record(line);
        }
    }

    /// A line that begins with one semicolon.
    fn remark(&mut self, note: &'a str) {
        let text = note.trim_start();
        if self.section == Section::Question {
            let mut words = text.split_whitespace();
            self.current.name = words.next().map(str::to_owned);
            self.current.record_type = words.last().map(str::to_owned);
        } else if text.starts_with("Transfer failed") {
            self.current.error = Some("transfer failed");
            self.finish();
        } else if let Some((_, asked)) = text
            .strip_prefix("<<>> DiG ")
            .and_then(|rest| rest.split_once("<<>>"))
        {
            self.banner.get_or_insert(asked);
        }
    }

    /// A line that begins with two.
    fn note(&mut self, note: &'a str) {
        if note.starts_with("Got answer:") || note.starts_with("->>HEADER<<-") {
            self.header(note);
        } else if let Some(title) = note.strip_suffix("SECTION:") {
            self.section = match title.trim_end() {
                "QUESTION" => Section::Question,
                "ANSWER" => Section::Answer,
                _ => Section::Other,
            };
        } else if let Some(time) = note.strip_prefix("Query time:") {
            self.current.time_ms = milliseconds(time);
        } else if let Some(server) = note.strip_prefix("SERVER:") {
            self.current.server = server
                .trim_start()
                .split(['(', ' '])
                .next()
                .map(str::to_owned);
        } else if note.starts_with("MSG SIZE") {
            self.finish();
        } else if note.starts_with("XFR size") {
            self.transferred();
        } else {
            self.trouble(note);
        }
    }

    /// A response came.
    fn header(&mut self, note: &'a str) {
        if self.current.status.is_some() || !self.current.answers.is_empty() {
            self.finish();
        }
        // An error before it was that of a try, and another try got this response.
        self.current.error = None;
        self.section = Section::Other;
        if let Some((_, rest)) = note.split_once("status: ") {
            self.current.status = rest.split(',').next();
        }
    }

    /// The end of a zone transfer, which has no header: that it is complete means that all went well.
    fn transferred(&mut self) {
        self.current.status.get_or_insert("NOERROR");
        if let (None, Some(first)) = (&self.current.name, self.current.answers.first()) {
            self.current.name = Some(first.name.to_owned());
            self.current.record_type = Some("AXFR".to_owned());
        }
        self.finish();
    }

    fn trouble(&mut self, note: &'a str) {
        let over = note.contains("no servers could be reached");
        let known =
            over || note.starts_with("communications error to ") || note.contains(" failed: ");
        if !known {
            return;
        }
        if self.current.status.is_some() {
            self.finish(); // without the lines that usually end it
        }
        if let Some((server, reason)) = note
            .strip_prefix("communications error to ")
            .and_then(|rest| rest.rsplit_once(": "))
        {
            self.current.server = Some(server.to_owned());
            self.current.error = Some(reason);
        } else if let Some((what, reason)) = note.split_once(" failed: ") {
            // "UDP setup with 192.0.2.53#53(192.0.2.53) for a.example failed: network unreachable."
            let (setup, name) = what.rsplit_once(" for ").unzip();
            let mut words = setup.unwrap_or(what).split_whitespace();
            let server = words.rfind(|word| word.contains('#'));
            self.current.server = server
                .and_then(|it| it.split('(').next())
                .map(str::to_owned);
            self.current.name = name.map(str::to_owned);
            self.current.error = Some(reason.trim_end_matches('.'));
        } else if note.starts_with("connection timed out") {
            self.current.error = Some("timed out");
        } else {
            self.current.error.get_or_insert(note);
        }
        if over {
            self.finish();
        }
    }

    fn record(&mut self, line: &'a str) {
        let Some(answer) = record(line) else { return };
        if self.current.answers.len() < self.most_answers && self.answers_left > 0 {
            self.answers_left = self.answers_left.saturating_sub(1);
            self.current.answers.push(answer);
        } else {
            self.current.omitted = self.current.omitted.saturating_add(1);
        }
    }

    /// The text has no more about the current question.
    fn finish(&mut self) {
        let query = std::mem::take(&mut self.current);
        self.section = Section::Free;
        let said = query.status.is_some() || query.error.is_some() || !query.answers.is_empty();
        // Where no socket can be had, dig says so once for each of its tries.
        let again = query.name.is_some()
            && query.error.is_some()
            && self.parsed.queries.last() == Some(&query);
        if !said || again {
            return;
        }
        if self.parsed.queries.len() < self.most_queries {
            self.parsed.queries.push(query);
        } else {
            self.parsed.omitted = self.parsed.omitted.saturating_add(1);
        }
    }

    /// Only a response repeats its question. What was asked in vain is known where dig repeats its arguments and
    /// they are as many as the outcomes.
    fn name_the_unanswered(&mut self) {
        let asked = banner::questions(self.banner.unwrap_or_default(), self.most_queries);
        if asked.len() != self.parsed.queries.len() || self.parsed.omitted > 0 {
            return;
        }
        for (query, (name, record_type)) in self.parsed.queries.iter_mut().zip(asked) {
            query.name.get_or_insert(name);
            query.record_type.get_or_insert(record_type);
        }
    }
}

/// `4 msec`, or `4123 usec` where microseconds were asked for.
fn milliseconds(text: &str) -> Option<u64> {
    let mut words = text.split_whitespace();
    let number = words.next()?.parse::<u64>().ok()?;
    match words.next() {
        Some("usec") => Some(number / 1000),
        _ => Some(number),
    }
}

/// A line of a zone file with all its fields: name, seconds, class, type, data.
fn record(line: &str) -> Option<Answer<'_>> {
    let (name, rest) = word(line)?;
    let (ttl, rest) = word(rest)?;
    let (class, rest) = word(rest)?;
    let (record_type, data) = word(rest)?;
    let known = matches!(class, "IN" | "CH" | "HS" | "ANY" | "NONE") || class.starts_with("CLASS");
    known.then_some(())?;
    Some(Answer {
        name,
        ttl: Some(ttl.parse().ok()?),
        class,
        record_type,
        data,
    })
}

/// The first word, and what follows the blanks after it.
fn word(text: &str) -> Option<(&str, &str)> {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    (!word.is_empty()).then(|| (word, rest.trim_start()))
}

#[cfg(test)]
mod tests;
