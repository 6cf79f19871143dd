//! Days and times as people and the log write them.

/// The day (UTC) of a time in seconds since 1970, as `2026-01-31`.
pub(crate) fn day(wall: u64) -> String {
    // Howard Hinnant's civil_from_days, for days since 1970: eras of 400 years that begin in March.
    let days = (wall / 86_400).saturating_add(719_468);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let leaps = of_era / 1460;
    let year_of_era = of_era
        .saturating_sub(leaps)
        .saturating_add(of_era / 36_524)
        .saturating_sub(of_era / 146_096)
        / 365;
    let of_year = of_era.saturating_sub(
        year_of_era
            .saturating_mul(365)
            .saturating_add(year_of_era / 4)
            .saturating_sub(year_of_era / 100),
    );
    let march_month = of_year.saturating_mul(5).saturating_add(2) / 153;
    let day = of_year
        .saturating_sub(march_month.saturating_mul(153).saturating_add(2) / 5)
        .saturating_add(1);
    let month = if march_month < 10 {
        march_month.saturating_add(3)
    } else {
        march_month.saturating_sub(9)
    };
    let year = era
        .saturating_mul(400)
        .saturating_add(year_of_era)
        .saturating_add(u64::from(month <= 2));
    format!("{year:04}-{month:02}-{day:02}")
}

/// The second (UTC), as the log writes it.
pub(crate) fn moment(wall: u64) -> String {
    let (day, of_day) = (day(wall), wall % 86_400);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{day}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A time of the log as people read it.
pub(crate) fn spaced(time: &str) -> String {
    time.replacen('T', " ", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_what_date_prints() {
        // `date -u -d @N +%FT%TZ`
        for (wall, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (1_767_229_261, "2026-01-01T01:01:01Z"),
        ] {
            assert_eq!(moment(wall), text);
        }
        assert_eq!(spaced("2026-01-01T01:01:01Z"), "2026-01-01 01:01:01Z");
    }

    #[test]
    fn days_are_what_date_prints() {
        // `date -u -d @N +%F`
        for (wall, text) in [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (86_400, "1970-01-02"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_709_164_800, "2024-02-29"),
            (1_767_225_599, "2025-12-31"),
            (1_767_225_600, "2026-01-01"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(day(wall), text);
        }
    }
}
