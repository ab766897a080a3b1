//! Cron schedules: the dialect that every end of the system reads alike, and its arithmetic.
//!
//! Five fields (minute, hour, day of month, month, day of week) in UTC. `*`, numbers, `a-b`, `*/n`, `a-b/n`, lists of
//! these with `,` (`*` only alone), names `jan`–`dec` and `sun`–`sat`; Sunday is 0 or 7, and no range ends with `sun`.
//! Where both day fields are restricted a day matches by either (crontab(5)); a day field that covers every day counts
//! as `*`. Six fields, `@daily`, `L`, `#`, `W`, `?`, `5/15` and steps that leave the field are refused.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveTime, Timelike, Utc};
use serde::{Deserialize, Serialize};

/// A cron expression that is valid and has a next instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
}

/// Why a text is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Longer than any useful expression.
    #[error("must not be longer than {LONGEST_TEXT} characters")]
    TooLong,
    /// Not five fields.
    #[error("must have five fields: minute, hour, day of month, month, day of week")]
    FieldCount,
    /// One field is wrong.
    #[error(
        "the {field} field must be '*', numbers from {min} to {max}, ranges a-b, steps */n or a-b/n, or a list of these"
    )]
    Field {
        /// Which field.
        field: &'static str,
        /// Lowest number.
        min: u32,
        /// Highest number.
        max: u32,
    },
    /// No such date exists, as in `0 0 30 2 *`.
    #[error("never matches any date")]
    Never,
}

struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    /// Names of the values from `min` on.
    names: &'static [&'static str],
}

const MINUTE: Field = Field {
    name: "minute",
    min: 0,
    max: 59,
    names: &[],
};
const HOUR: Field = Field {
    name: "hour",
    min: 0,
    max: 23,
    names: &[],
};
const DAY: Field = Field {
    name: "day of month",
    min: 1,
    max: 31,
    names: &[],
};
const MONTH: Field = Field {
    name: "month",
    min: 1,
    max: 12,
    names: &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
};
const SUNDAY: &str = "sun";
const WEEKDAY: Field = Field {
    name: "day of week",
    min: 0,
    max: 7,
    names: &[SUNDAY, "mon", "tue", "wed", "thu", "fri", "sat"],
};

/// Longest expression worth reading, bytes: every value of every field listed by number stays below it.
const LONGEST_TEXT: usize = 512;

/// Days to look ahead for the next instant: 29 February is at most eight years away (around 2100).
const HORIZON_DAYS: u32 = 8 * 366 + 1;

/// Days after which the calendar repeats, weekdays included: 400 years.
const CYCLE_DAYS: i64 = 146_097;

const MINUTES_A_DAY: u32 = 24 * 60;

/// All bits of the days of a month, 1 to 31.
const EVERY_DAY: u64 = 0xffff_fffe;
/// All bits of the days of a week, 0 to 6.
const EVERY_WEEKDAY: u64 = 0x7f;

impl Field {
    fn parse(&self, text: &str) -> Option<u64> {
        text.split(',').try_fold(0, |bits, item| {
            // Not every reader takes a bare `*` for an item of a list.
            let bare = item == "*" && text != "*";
            Some(bits | self.item(item).filter(|_| !bare)?)
        })
    }

    fn item(&self, item: &str) -> Option<u64> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(number(step)?)),
            None => (item, None),
        };
        let (from, to) = match (range, range.split_once('-')) {
            ("*", _) => (self.min, self.last()),
            // Some readers take this one for 0, some for 7.
            (_, Some((_, to))) if to.eq_ignore_ascii_case(SUNDAY) => return None,
            (_, Some((from, to))) => (self.value(from)?, self.value(to)?),
            (_, None) if step.is_none() => self.value(range).map(|value| (value, value))?,
            _ => return None,
        };
        let step = step.unwrap_or(1);
        // A step beyond the field is fatal to some cron readers.
        let fits =
            (self.min..=self.max).contains(&to) && from <= to && (1..=self.last()).contains(&step);
        fits.then(|| {
            (from..=to)
                .step_by(step as usize)
                .fold(0, |bits, value| bits | 1 << self.folded(value))
        })
    }

    /// Highest distinct value: 7 is Sunday again.
    fn last(&self) -> u32 {
        if self.max == 7 { 6 } else { self.max }
    }

    fn folded(&self, value: u32) -> u32 {
        if self.max == 7 { value % 7 } else { value }
    }

    fn value(&self, text: &str) -> Option<u32> {
        let named = self
            .names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text));
        let value = match named {
            Some(index) => self.min + u32::try_from(index).ok()?,
            None => number(text)?,
        };
        (self.min..=self.max).contains(&value).then_some(value)
    }

    fn error(&self) -> CronError {
        CronError::Field {
            field: self.name,
            min: self.min,
            max: self.max,
        }
    }
}

fn number(text: &str) -> Option<u32> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        if text.len() > LONGEST_TEXT {
            return Err(CronError::TooLong);
        }
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let &[minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(CronError::FieldCount);
        };
        let read = |field: &Field, text| field.parse(text).ok_or_else(|| field.error());
        let cron = Self {
            text: fields.join(" "),
            minutes: read(&MINUTE, minute)?,
            hours: read(&HOUR, hour)?,
            days: read(&DAY, day)?,
            months: read(&MONTH, month)?,
            weekdays: read(&WEEKDAY, weekday)?,
        };
        if cron.next_after(DateTime::UNIX_EPOCH).is_none() {
            return Err(CronError::Never);
        }
        Ok(cron)
    }
}

impl Cron {
    /// The expression, fields separated by single blanks.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first instant strictly after `time`; `None` only beyond the calendar's end.
    #[must_use]
    pub fn next_after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let from = minute_after(time)?;
        let mut day = from.date_naive();
        for _ in 0..=HORIZON_DAYS {
            if self.matches_day(day) {
                let start = if day == from.date_naive() {
                    from.hour() * 60 + from.minute()
                } else {
                    0
                };
                if let Some(minute) =
                    (start..MINUTES_A_DAY).find(|&minute| self.matches_minute(minute))
                {
                    return at(day, minute);
                }
            }
            day = day.succ_opt()?;
        }
        None
    }

    /// How many instants t there are with `after < t < before`. Costs a step a day, not a step an instant, and never
    /// more than two calendar cycles of days.
    #[must_use]
    pub fn count_between(&self, after: DateTime<Utc>, before: DateTime<Utc>) -> u64 {
        // Minutes since 1970 as plain numbers: the calendar's last days have no next day to compare with.
        let first = after.timestamp().div_euclid(60) + 1;
        let on_the_minute = before.timestamp() % 60 == 0 && before.timestamp_subsec_nanos() == 0;
        let end = before.timestamp().div_euclid(60) + i64::from(!on_the_minute);
        if first >= end {
            return 0;
        }
        let (first_day, first_minute) = day_and_minute(first);
        let (end_day, end_minute) = day_and_minute(end);
        if first_day == end_day {
            return self.count_on(first_day, first_minute, end_minute);
        }
        let per_day = u64::from(self.minutes.count_ones()) * u64::from(self.hours.count_ones());
        self.count_on(first_day, first_minute, MINUTES_A_DAY)
            + per_day * self.count_days(first_day + 1, end_day)
            + self.count_on(end_day, 0, end_minute)
    }

    /// How many days from `first` to before `end` (days since 1970) match.
    fn count_days(&self, first: i64, end: i64) -> u64 {
        let count = |from: i64, to: i64| {
            let matching = (from..to).filter(|&day| self.matches_day_number(day));
            matching.count() as u64
        };
        let cycles = (end - first) / CYCLE_DAYS;
        if cycles < 2 {
            return count(first, end);
        }
        let rest = first + cycles * CYCLE_DAYS;
        cycles.unsigned_abs() * count(first, first + CYCLE_DAYS) + count(rest, end)
    }

    /// How many instants the day has from minute `start` to before `stop`.
    fn count_on(&self, day: i64, start: u32, stop: u32) -> u64 {
        if self.matches_day_number(day) {
            self.count_minutes(start, stop)
        } else {
            0
        }
    }

    fn matches_day_number(&self, day: i64) -> bool {
        DateTime::from_timestamp(day * 86_400, 0)
            .is_some_and(|midnight| self.matches_day(midnight.date_naive()))
    }

    fn count_minutes(&self, start: u32, stop: u32) -> u64 {
        (start..stop)
            .map(|minute| u64::from(self.matches_minute(minute)))
            .sum()
    }

    fn matches_minute(&self, minute_of_day: u32) -> bool {
        self.hours >> (minute_of_day / 60) & 1 == 1 && self.minutes >> (minute_of_day % 60) & 1 == 1
    }

    fn matches_day(&self, date: NaiveDate) -> bool {
        let by_day = self.days >> date.day() & 1 == 1;
        let by_weekday = self.weekdays >> date.weekday().num_days_from_sunday() & 1 == 1;
        let day = match (self.days == EVERY_DAY, self.weekdays == EVERY_WEEKDAY) {
            (true, _) => by_weekday,
            (_, true) => by_day,
            (false, false) => by_day || by_weekday,
        };
        day && self.months >> date.month() & 1 == 1
    }
}

/// The day since 1970 and the minute of that day of a minute since 1970.
fn day_and_minute(minute: i64) -> (i64, u32) {
    let a_day = i64::from(MINUTES_A_DAY);
    (minute.div_euclid(a_day), minute.rem_euclid(a_day) as u32)
}

/// The first whole minute strictly after `time`.
fn minute_after(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let minute = time.with_second(0)?.with_nanosecond(0)?;
    minute.checked_add_signed(Duration::minutes(1))
}

fn at(day: NaiveDate, minute_of_day: u32) -> Option<DateTime<Utc>> {
    let time = NaiveTime::from_hms_opt(minute_of_day / 60, minute_of_day % 60, 0)?;
    Some(day.and_time(time).and_utc())
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Cron {
    type Error = CronError;

    fn try_from(text: String) -> Result<Self, CronError> {
        text.parse()
    }
}

impl From<Cron> for String {
    fn from(cron: Cron) -> Self {
        cron.text
    }
}

#[cfg(test)]
mod tests;
