//! Instants to calendar fields and back, as C's `gmtime`, `localtime` and `mktime` do it.
//!
//! An instant is a count of seconds since 1970-01-01T00:00:00Z. Years are those of the proleptic Gregorian calendar; as in
//! C, a year must fit in 32 bits once 1900 is taken from it.

use perilune_vm::host::LocalOffset;

const DAY: i64 = 24 * 60 * 60;

/// An instant spelled out: C's `struct tm`, but with the numbers that people use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Calendar {
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// From 1.
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    /// From 0, which is Sunday.
    pub weekday: i64,
    /// From 0.
    pub yearday: i64,
    pub is_dst: bool,
    /// Seconds to add to UTC.
    pub offset: i32,
    /// `CET`
    pub zone: String,
}

/// Fields of a date as a script gives them: of any size that fits in C's `int`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// From 1.
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub is_dst: Option<bool>,
}

impl Calendar {
    /// The fields of an instant at a place with this offset; `None` if the year is too large.
    pub fn new(instant: i64, at: LocalOffset) -> Option<Calendar> {
        let local = instant.checked_add(i64::from(at.seconds))?;
        let days = local.div_euclid(DAY);
        let time = local.rem_euclid(DAY);
        let (year, month, day) = date_of(days);
        i32::try_from(year - 1900).ok()?;
        Some(Calendar {
            year,
            month,
            day,
            hour: time / 3600,
            minute: time / 60 % 60,
            second: time % 60,
            // 1970-01-01 was a Thursday.
            weekday: (days + 4).rem_euclid(7),
            yearday: days - days_until(year, 1, 1),
            is_dst: at.is_dst,
            offset: at.seconds,
            zone: at.abbreviation,
        })
    }

    /// Universal time, which C calls `GMT`.
    pub fn universal(instant: i64) -> Option<Calendar> {
        Calendar::new(instant, LocalOffset { abbreviation: "GMT".to_owned(), ..LocalOffset::utc() })
    }
}

impl Fields {
    /// Seconds since 1970-01-01T00:00:00 on the local clock, whatever its offset; fields out of their range carry over.
    fn local_seconds(&self) -> i64 {
        let months = self.year * 12 + self.month - 1;
        let days = days_until(months.div_euclid(12), months.rem_euclid(12) + 1, 1) + self.day - 1;
        days * DAY + self.hour * 3600 + self.minute * 60 + self.second
    }

    /// The instant of a local time, given the offset in force at any instant.
    ///
    /// Where clocks are set forward some local times do not exist, and where they are set back some exist twice: both are
    /// taken as standard time unless `is_dst` says otherwise. An `is_dst` that does not hold at the time is taken at its
    /// word: the offset that has it and is in force nearest in time is used.
    pub fn instant(&self, offset_at: impl Fn(i64) -> LocalOffset) -> i64 {
        let local = self.local_seconds();
        let before = offset_at(local - DAY);
        let after = offset_at(local + DAY);
        let instant = |offset: &LocalOffset| local - i64::from(offset.seconds);
        let holds = |offset: &LocalOffset| offset_at(instant(offset)).seconds == offset.seconds;
        let candidates = [&before, &after];
        if let Some(is_dst) = self.is_dst {
            if let Some(offset) = candidates.into_iter().find(|o| o.is_dst == is_dst && holds(o)) {
                return instant(offset);
            }
            if let Some(offset) = nearest(instant(&before), is_dst, &offset_at) {
                return instant(&offset);
            }
            // A place without daylight saving time: glibc imagines one of an hour.
            return instant(&before) + if is_dst { -3600 } else { 3600 };
        }
        let standard = candidates.into_iter().find(|o| !o.is_dst && holds(o));
        let any = || candidates.into_iter().find(|o| holds(o));
        let standard_anyway = || candidates.into_iter().find(|o| !o.is_dst);
        instant(standard.or_else(any).or_else(standard_anyway).unwrap_or(&before))
    }
}

/// The offset nearest to an instant that is, or is not, one of daylight saving time.
fn nearest(instant: i64, is_dst: bool, offset_at: &impl Fn(i64) -> LocalOffset) -> Option<LocalOffset> {
    /// Shorter than any period between two changes.
    const STEP: i64 = 7 * DAY;
    /// Places that keep daylight saving time at all do so within these years.
    const STEPS: i64 = 52 * 9;
    (0..=STEPS)
        .flat_map(|n| [instant - n * STEP, instant + n * STEP])
        .map(offset_at)
        .find(|offset| offset.is_dst == is_dst)
}

/// Days from 1970-01-01 to a date whose month is in its range.
fn days_until(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their leap day at the end.
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_OF_ERA + day_of_era - DAYS_TO_1970
}

/// Days of 400 years.
const DAYS_OF_ERA: i64 = 146_097;

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;

/// Year, month and day that lie a number of days after 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let era = days.div_euclid(DAYS_OF_ERA);
    let day_of_era = days.rem_euclid(DAYS_OF_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / (DAYS_OF_ERA - 1)) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(year: i64, month: i64, day: i64, hour: i64, minute: i64) -> Fields {
        Fields { year, month, day, hour, minute, second: 0, is_dst: None }
    }

    /// Central Europe in 2023: daylight saving time from March 26 to October 29, both at 01:00 UTC.
    fn berlin(instant: i64) -> LocalOffset {
        let is_dst = (1_679_792_400..1_698_541_200).contains(&instant);
        LocalOffset { seconds: if is_dst { 7200 } else { 3600 }, is_dst, abbreviation: "CE".to_owned() }
    }

    #[test]
    fn dates_and_days_are_inverse() {
        for days in (-800_000_000_000..800_000_000_000).step_by(123_456_789).chain(-1000..1000) {
            let (year, month, day) = date_of(days);
            assert_eq!(days_until(year, month, day), days, "{year}-{month}-{day}");
        }
        assert_eq!(date_of(0), (1970, 1, 1));
        assert_eq!(date_of(11_016), (2000, 2, 29));
    }

    #[test]
    fn instants_have_fields() {
        let c = Calendar::universal(1_709_210_096).unwrap();
        assert_eq!((c.year, c.month, c.day, c.hour, c.minute, c.second), (2024, 2, 29, 12, 34, 56));
        assert_eq!((c.weekday, c.yearday, c.zone.as_str()), (4, 59, "GMT"));
        let c = Calendar::universal(-1).unwrap();
        assert_eq!((c.year, c.yearday, c.hour, c.second), (1969, 364, 23, 59));
    }

    #[test]
    fn years_are_those_of_a_c_int() {
        let last = Fields { second: 59, ..fields((1 << 31) + 1899, 12, 31, 23, 59) }.instant(|_| LocalOffset::utc());
        assert_eq!(Calendar::universal(last).unwrap().year, (1 << 31) + 1899);
        assert_eq!(Calendar::universal(last + 1), None);
        assert_eq!(Calendar::universal(i64::MAX), None);
    }

    #[test]
    fn fields_out_of_range_carry_over() {
        let f = Fields { second: 100_000, ..fields(2024, 14, -3, 50, -100) };
        assert_eq!(f.instant(|_| LocalOffset::utc()), 1_738_296_400);
    }

    #[test]
    fn times_that_do_not_exist_or_exist_twice_are_standard_time() {
        assert_eq!(fields(2023, 3, 26, 2, 30).instant(berlin), 1_679_794_200);
        assert_eq!(fields(2023, 10, 29, 2, 30).instant(berlin), 1_698_543_000);
        assert_eq!(fields(2023, 7, 15, 12, 0).instant(berlin), 1_689_415_200);
        assert_eq!(fields(2023, 3, 26, 3, 0).instant(berlin), 1_679_792_400);
        assert_eq!(fields(2023, 10, 29, 1, 59).instant(berlin), 1_698_537_540);
    }

    #[test]
    fn daylight_saving_time_is_believed_where_it_is_not_in_force() {
        let with = |f: Fields, is_dst| Fields { is_dst: Some(is_dst), ..f }.instant(berlin);
        assert_eq!(with(fields(2023, 3, 26, 2, 30), true), 1_679_790_600);
        assert_eq!(with(fields(2023, 10, 29, 2, 30), true), 1_698_539_400);
        assert_eq!(with(fields(2023, 1, 15, 12, 0), true), 1_673_776_800);
        assert_eq!(with(fields(2023, 7, 15, 12, 0), false), 1_689_418_800);
        let utc = Fields { is_dst: Some(true), ..fields(1970, 1, 1, 2, 0) };
        assert_eq!(utc.instant(|_| LocalOffset::utc()), 3600);
    }
}
