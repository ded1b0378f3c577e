"""Boards: pins and buses only, no logic. Each file has one class `Board` with the same offers.

name, pixels, full_scale_counts, gain_me_per_count, read_noise_me, excitation_pm, flash_root;
detector (see detectors/); laser.set_power_uw(uw), .fire(max_ms) (hardware one-shot), .off(),
.read() -> (enabled, can_fire, photodiode_uw, temperature_mdegc); interlock() -> {"lid", "key"}
closed; buttons() -> bits 1 trigger, 2 next, 4 ok; battery_mv(); clock() -> (unix_ms,
"unset"|"rtc"|"synced"); set_clock(unix_ms); display(rows of (text, style)); buzz(pattern);
feed_watchdog(); log(kind, details); open_socket(host, port, tls). Whatever cannot be read raises
OSError.
"""
