//! Times in UTC, as text that sorts by time. They are to the microsecond, as in PostgreSQL.

const MICROS_PER_SECOND: i128 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// `2026-01-31T23:59:59.000000Z`. None outside the years 1 to 9999, for which databases have no text in common.
pub(super) fn from_millis(millis: i128) -> Option<String> {
    text(millis.checked_mul(1_000)?)
}

/// The same of a text with an offset, as RFC 3339 has it. What is shorter than a microsecond is cut off.
pub(super) fn from_rfc3339(time: &str) -> Option<String> {
    let (date, time) = time.split_once(['T', 't', ' '])?;
    let (time, offset) = split_offset(time)?;
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(seconds, ':', [2, 2, 2])?;
    let is_time = hour < 24 && minute < 60 && second <= 60 && !fraction.is_empty();
    if !is_time || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let micros: i128 = format!("{fraction:0<6}")[..6].parse().ok()?;
    let seconds = days_since_1970(year, month, day) * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second - offset;
    text(i128::from(seconds) * MICROS_PER_SECOND + micros)
}

/// A time of the day, and its offset in seconds.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let at = time.rfind(['+', '-'])?;
    let [hours, minutes] = numbers(&time[at + 1..], ':', [2, 2])?;
    let sign = if time[at..].starts_with('-') { -1 } else { 1 };
    (hours < 24 && minutes < 60).then_some((&time[..at], sign * (hours * 3_600 + minutes * 60)))
}

/// Numbers with so many digits each.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part =
            parts.next().filter(|part| part.len() == digits && part.bytes().all(|digit| digit.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn days_in(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// In the Gregorian calendar, with years that begin in March, so that the day that some have more is their last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// Year, month and day: the reverse of [`days_since_1970`].
fn date(days: i64) -> (i64, i64, i64) {
    const DAYS_PER_ERA: i64 = 146_097;
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = 400 * era + year + i64::from(month <= 2);
    (year, month, day_of_year - (153 * from_march + 2) / 5 + 1)
}

fn text(micros: i128) -> Option<String> {
    let seconds = i64::try_from(micros.div_euclid(MICROS_PER_SECOND)).ok()?;
    let micros = micros.rem_euclid(MICROS_PER_SECOND);
    let (days, second) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z");
    (1..=9_999).contains(&year).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_a_time() {
        let time = |millis| from_millis(millis);
        assert_eq!(time(0).as_deref(), Some("1970-01-01T00:00:00.000000Z"));
        assert_eq!(time(-1).as_deref(), Some("1969-12-31T23:59:59.999000Z"));
        assert_eq!(time(1_769_903_999_123).as_deref(), Some("2026-01-31T23:59:59.123000Z"));
        assert_eq!(time(253_402_300_799_999).as_deref(), Some("9999-12-31T23:59:59.999000Z"));
        assert_eq!(time(-62_135_596_800_000).as_deref(), Some("0001-01-01T00:00:00.000000Z"));
        for unknown in [253_402_300_800_000, -62_135_596_800_001, u64::MAX.into(), i128::MAX, i128::MIN] {
            assert_eq!(time(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn each_day_of_nine_centuries_has_a_date_and_back() {
        for days in -200_000..130_000 {
            let (year, month, day) = date(days);
            assert!((1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day), "{year}-{month}-{day}");
            assert_eq!(days_since_1970(year, month, day), days);
        }
    }

    #[test]
    fn a_text_with_an_offset_is_a_time_in_utc() {
        let time = |text| from_rfc3339(text);
        assert_eq!(time("2024-02-29T23:59:59Z").as_deref(), Some("2024-02-29T23:59:59.000000Z"));
        assert_eq!(time("2026-01-01T00:30:00.1234567+01:00").as_deref(), Some("2025-12-31T23:30:00.123456Z"));
        assert_eq!(time("2025-12-31t23:30:00.5-00:45").as_deref(), Some("2026-01-01T00:15:00.500000Z"));
        assert_eq!(time("2016-12-31T23:59:60Z").as_deref(), Some("2017-01-01T00:00:00.000000Z"), "a leap second");
        let wrong = [
            "",
            "2026-01-31",
            "2026-01-31T23:59:59",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-1-01T00:00:00Z",
            "2026-01-01T00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.1x2Z",
            "2026-01-01T00:00:00+1:00",
            "+12026-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "2026-01-01T00:00:00é",
        ];
        for wrong in wrong {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }
}
