"""Builds the measurement message of the wire format. Pure; the arrays are not copied."""

from fieldassay_wire.cbor import TypedArray


# The flags of the wire format that apply. `checks` is the self-test's {name: "pass"|"fail"|"skip"}.
def flags(shot, clock, battery_mv, settings, checks):
    found = []
    # A cosmic ray fills pixels of one frame; a saturated line is there in frame after frame.
    if shot.saturated_frames > 1 or (shot.frames == 1 and shot.saturated_frames):
        found.append("saturated")
    if clock == "unset":
        found.append("clock_unset")
    if battery_mv < settings["battery"]["low_mv"]:
        found.append("battery_low")
    if shot.detector_mdegc > settings["detector"]["warm_mdegc"]:
        found.append("detector_warm")
    if shot.low_signal:
        found.append("low_signal")
    if shot.stopped:
        found.append("interrupted")
    if "fail" in checks.values():
        found.append("selftest_failed")
    return found


# `number` is (boot, seq), `at` (unix ms, clock quality, uptime ms); `sums` has the arrays raw and
# dark; `officer` has answers(), series and spot.
def build(
    board, settings, calibration, firmware, checks, shot, sums, number, at, officer, battery_mv
):
    time_ms, clock, uptime_ms = at
    message = {
        "v": 1,
        "unit": settings["unit"],
        "boot": number[0],
        "seq": number[1],
        "time_ms": time_ms,
        "clock": clock,
        "uptime_ms": uptime_ms,
        "exposure_us": shot.exposure_us,
        "frames": shot.frames,
        "dark_frames": shot.dark_frames,
        "raw": TypedArray(TypedArray.U32, sums.raw),
        "dark": TypedArray(TypedArray.U32, sums.dark),
        "full_scale_counts": board.full_scale_counts,
        "saturated_pixels": shot.saturated_pixels,
        "rejected_pixels": shot.rejected_pixels,
        "flags": flags(shot, clock, battery_mv, settings, checks),
        "gain_me_per_count": board.gain_me_per_count,
        "read_noise_me": board.read_noise_me,
        "excitation_pm": calibration["excitation_pm"],
        "laser_set_uw": shot.laser_set_uw,
        "laser_uw": shot.laser_uw,
        "laser_mdegc": shot.laser_mdegc,
        "detector_mdegc": shot.detector_mdegc,
        "dark_mdegc": shot.dark_mdegc,
        "calibration": carried(calibration),
        "selftest": {"ok": "fail" not in checks.values(), "checks": checks},
        "firmware": firmware,
        "answers": officer.answers(),
        "series": officer.series,
        "spot": officer.spot,
        "battery_mv": battery_mv,
    }
    if shot.stopped:
        message["stopped"] = shot.stopped
    return message


# What a measurement carries of it: what is known. The laser's wavelength has a field of its own.
def carried(calibration):
    return {
        name: calibration[name]
        for name in calibration
        if calibration[name] and name != "excitation_pm"
    }
