//! The one place that reads clocks.
//!
//! Deadlines are kept on a clock that also counts while the machine sleeps (I17): `CLOCK_BOOTTIME`
//! on Linux, and on macOS `CLOCK_MONOTONIC`, which counts sleep there. Timers of the async runtime
//! do not, so a wait for a deadline is cut into short naps and looks at this clock after each.

use core::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use vmux_proto::Now;

/// Both clocks, read together.
pub fn now() -> Now {
    Now {
        uptime: milliseconds(since_boot()),
        wall: seconds(clock_gettime(ClockId::Realtime)),
    }
}

/// Returns once `uptime` (milliseconds since boot) is reached: on time while the machine is awake,
/// and within [`LONGEST_NAP`] of its waking up if the deadline passed while it slept.
pub async fn sleep_until(uptime: u64) {
    loop {
        let left = Duration::from_millis(uptime.saturating_sub(now().uptime));
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LONGEST_NAP)).await;
    }
}

#[cfg(target_os = "linux")]
fn since_boot() -> Timespec {
    use rustix::time::{DynamicClockId, clock_gettime_dynamic};
    // Every Linux since 2.6.39 has the clock; without it sleep would not count, which is the
    // kernel's limit and not a reason to have no time at all.
    clock_gettime_dynamic(DynamicClockId::Boottime)
        .unwrap_or_else(|_| clock_gettime(ClockId::Monotonic))
}

#[cfg(not(target_os = "linux"))]
fn since_boot() -> Timespec {
    clock_gettime(ClockId::Monotonic)
}

fn milliseconds(time: Timespec) -> u64 {
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds(time)
        .saturating_mul(1000)
        .saturating_add(nanoseconds / 1_000_000)
}

/// A wall clock set before 1970 reads as 1970.
fn seconds(time: Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0)
}

/// How late a deadline may be noticed after the machine slept through it.
pub const LONGEST_NAP: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_goes_on_and_never_back() {
        let before = now().uptime;
        std::thread::sleep(Duration::from_millis(20));
        let after = now().uptime;
        assert!(after >= before + 20, "{before} then {after}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn uptime_is_the_kernels_uptime() {
        let told = std::fs::read_to_string("/proc/uptime").unwrap();
        let told: f64 = told.split(' ').next().unwrap().parse().unwrap();
        let read = Duration::from_millis(now().uptime).as_secs_f64();
        assert!((read - told).abs() < 5.0, "{read} is not {told}");
    }

    #[test]
    fn wall_time_is_what_the_file_system_says_too() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let made = file.as_file().metadata().unwrap().modified().unwrap();
        let made = made
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        assert!(now().wall.abs_diff(made) < 5);
    }

    #[test]
    fn a_wall_clock_before_1970_reads_as_1970() {
        assert_eq!(
            seconds(Timespec {
                tv_sec: -1,
                tv_nsec: 0
            }),
            0
        );
        assert_eq!(
            seconds(Timespec {
                tv_sec: 1,
                tv_nsec: 0
            }),
            1
        );
    }

    #[tokio::test]
    async fn a_deadline_is_waited_for_and_a_past_one_is_not() {
        let begun = now().uptime;
        sleep_until(begun.saturating_sub(1)).await;
        sleep_until(begun + 50).await;
        assert!(now().uptime >= begun + 50);
    }
}
