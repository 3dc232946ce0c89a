//! The conversions of C's `strftime` in the locale `C`.

use std::io::Write;

use super::calendar::Calendar;

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Letters that may stand after `%`.
const PLAIN: &[u8] = b"aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%";
/// Letters that may stand after `%E`.
const AFTER_E: &[u8] = b"cCxXyY";
/// Letters that may stand after `%O`.
const AFTER_O: &[u8] = b"deHImMSuUVwWy";

/// Appends a date as `format` wants it; else gives the text from the first wrong conversion on, without its `%`.
pub(super) fn format_date<'f>(out: &mut Vec<u8>, format: &'f [u8], date: &Calendar) -> Result<(), &'f [u8]> {
    let mut rest = format;
    while let Some(start) = rest.iter().position(|&b| b == b'%') {
        out.extend_from_slice(&rest[..start]);
        let specifier = &rest[start + 1..];
        let (letter, length) = match specifier {
            // The modifiers ask for another calendar or other digits, which the locale `C` does not have.
            [b'E', letter, ..] if AFTER_E.contains(letter) => (*letter, 2),
            [b'O', letter, ..] if AFTER_O.contains(letter) => (*letter, 2),
            [letter, ..] if PLAIN.contains(letter) => (*letter, 1),
            _ => return Err(specifier),
        };
        convert(out, letter, date);
        rest = &specifier[length..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// Appends a date as C's `strftime` does it for each `%` and the byte behind it alone: what it does not know it writes as
/// it is, and the extensions of the GNU C library are there.
pub(super) fn format_date_as_c(out: &mut Vec<u8>, format: &[u8], date: &Calendar, instant: i64) {
    let mut rest = format;
    while let Some(start) = rest.iter().position(|&b| b == b'%') {
        out.extend_from_slice(&rest[..start]);
        let Some(&letter) = rest.get(start + 1) else {
            out.push(b'%');
            return;
        };
        match letter {
            b'k' => append(out, format_args!("{:2}", date.hour)),
            b'l' => append(out, format_args!("{:2}", (date.hour + 11) % 12 + 1)),
            b'P' => out.extend_from_slice(if date.hour < 12 { b"am" } else { b"pm" }),
            b's' => append(out, format_args!("{instant}")),
            // A width, for nothing.
            b'1'..=b'9' => append(
                out,
                format_args!("{:>width$}", format!("%{}", char::from(letter)), width = usize::from(letter - b'0')),
            ),
            letter if PLAIN.contains(&letter) => convert(out, letter, date),
            letter => out.extend_from_slice(&[b'%', letter]),
        }
        rest = &rest[start + 2..];
    }
    out.extend_from_slice(rest);
}

/// Appends one conversion. `letter` is one of [`PLAIN`].
fn convert(out: &mut Vec<u8>, letter: u8, date: &Calendar) {
    let hour12 = (date.hour + 11) % 12 + 1;
    let century = date.year.div_euclid(100);
    let short_year = date.year.rem_euclid(100);
    let weekday = WEEKDAYS[date.weekday as usize];
    let month = MONTHS[date.month as usize - 1];
    match letter {
        b'a' => append(out, format_args!("{}", &weekday[..3])),
        b'A' => append(out, format_args!("{weekday}")),
        b'b' | b'h' => append(out, format_args!("{}", &month[..3])),
        b'B' => append(out, format_args!("{month}")),
        b'c' => {
            append(out, format_args!("{} {} {:2} ", &weekday[..3], &month[..3], date.day));
            convert(out, b'T', date);
            append(out, format_args!(" {}", date.year));
        }
        b'C' => append(out, format_args!("{century}")),
        b'd' => append(out, format_args!("{:02}", date.day)),
        b'D' | b'x' => append(out, format_args!("{:02}/{:02}/{short_year:02}", date.month, date.day)),
        b'e' => append(out, format_args!("{:2}", date.day)),
        b'F' => append(out, format_args!("{}-{:02}-{:02}", date.year, date.month, date.day)),
        b'g' => append(out, format_args!("{:02}", iso_week(date).0.rem_euclid(100))),
        b'G' => append(out, format_args!("{}", iso_week(date).0)),
        b'H' => append(out, format_args!("{:02}", date.hour)),
        b'I' => append(out, format_args!("{hour12:02}")),
        b'j' => append(out, format_args!("{:03}", date.yearday + 1)),
        b'm' => append(out, format_args!("{:02}", date.month)),
        b'M' => append(out, format_args!("{:02}", date.minute)),
        b'n' => out.push(b'\n'),
        b'p' => out.extend_from_slice(if date.hour < 12 { b"AM" } else { b"PM" }),
        b'r' => {
            append(out, format_args!("{hour12:02}:{:02}:{:02} ", date.minute, date.second));
            convert(out, b'p', date);
        }
        b'R' => append(out, format_args!("{:02}:{:02}", date.hour, date.minute)),
        b'S' => append(out, format_args!("{:02}", date.second)),
        b't' => out.push(b'\t'),
        b'T' | b'X' => append(out, format_args!("{:02}:{:02}:{:02}", date.hour, date.minute, date.second)),
        b'u' => append(out, format_args!("{}", (date.weekday + 6) % 7 + 1)),
        b'U' => append(out, format_args!("{:02}", (date.yearday + 7 - date.weekday) / 7)),
        b'V' => append(out, format_args!("{:02}", iso_week(date).1)),
        b'w' => append(out, format_args!("{}", date.weekday)),
        b'W' => append(out, format_args!("{:02}", (date.yearday + 7 - (date.weekday + 6) % 7) / 7)),
        b'y' => append(out, format_args!("{short_year:02}")),
        b'Y' => append(out, format_args!("{}", date.year)),
        b'z' => {
            let minutes = date.offset.abs() / 60;
            let sign = if date.offset < 0 { '-' } else { '+' };
            append(out, format_args!("{sign}{:02}{:02}", minutes / 60, minutes % 60));
        }
        b'Z' => out.extend_from_slice(date.zone.as_bytes()),
        percent => out.push(percent),
    }
}

/// The year and week of ISO 8601: weeks begin on Monday, and the first one of a year contains its January 4.
fn iso_week(date: &Calendar) -> (i64, i64) {
    let from_monday = (date.weekday + 6) % 7;
    // The Thursday of a week is in the year that the week belongs to.
    let thursday = date.yearday + 3 - from_monday;
    if thursday < 0 {
        let days = days_of(date.year - 1);
        (date.year - 1, (thursday + days) / 7 + 1)
    } else if thursday >= days_of(date.year) {
        (date.year + 1, 1)
    } else {
        (date.year, thursday / 7 + 1)
    }
}

fn days_of(year: i64) -> i64 {
    if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 366 } else { 365 }
}

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector does not fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: &str, instant: i64) -> String {
        let mut out = Vec::new();
        format_date(&mut out, format.as_bytes(), &Calendar::universal(instant).unwrap()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_conversion_matches_c() {
        assert_eq!(
            shown("%c|%x|%X|%D|%F|%g|%G|%V|%U|%W|%u|%w|%j|%e|%h|%I|%p|%r|%R|%T|%Z|%z|%n|%t|%y|%C|%%", 0),
            "Thu Jan  1 00:00:00 1970|01/01/70|00:00:00|01/01/70|1970-01-01|70|1970|01|00|00|4|4|001| 1|Jan|12|AM|\
             12:00:00 AM|00:00|00:00:00|GMT|+0000|\n|\t|70|19|%"
        );
        assert_eq!(shown("%Ey %OH %Ec", -10_000_000_000), "53 06 Mon Feb 10 06:13:20 1653");
    }

    #[test]
    fn years_of_any_size_and_sign_are_shown_as_glibc_does() {
        assert_eq!(shown("%Y %C %y %G %g %F %D", -62_135_596_800 - 86_400 * 400), "-1 -1 99 -1 99 -1-11-28 11/28/99");
        assert_eq!(
            shown("%Y|%C|%y|%F|%c", -6_213_559_680_000),
            "-194930|-1950|70|-194930-02-18|Fri Feb 18 00:00:00 -194930"
        );
        assert_eq!(shown("%F|%Y|%C|%G|%D", -62_135_596_800 + 86_400 * 400), "2-02-05|2|0|2|02/05/02");
    }

    #[test]
    fn iso_weeks_belong_to_the_year_of_their_thursday() {
        for (instant, week) in [
            (1_230_768_000, "2009-W01-4"), // 2009-01-01
            (1_230_422_400, "2008-W52-7"), // 2008-12-28
            (1_230_508_800, "2009-W01-1"), // 2008-12-29
            (1_262_476_800, "2009-W53-7"), // 2010-01-03
            (1_293_840_000, "2010-W52-6"), // 2011-01-01
        ] {
            assert_eq!(shown("%G-W%V-%u", instant), week);
        }
    }

    #[test]
    fn wrong_conversions_are_given_back() {
        let date = Calendar::universal(0).unwrap();
        for (format, rest) in
            [("%Ez abc", "Ez abc"), ("%", ""), ("x%9", "9"), ("%d%O", "O"), ("%Ea", "Ea"), ("%|", "|")]
        {
            assert_eq!(format_date(&mut Vec::new(), format.as_bytes(), &date), Err(rest.as_bytes()), "{format}");
        }
    }
}
