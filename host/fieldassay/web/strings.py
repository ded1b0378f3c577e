"""Every word the browser shows, in one place, ready for translation.

Keys are stable; templates and scripts know only keys. Sentences that come with a record (reasons,
what to do, hazard card) are made by the core. No text may promise that something is harmless.
"""

from __future__ import annotations

from fieldassay.web.strings_bench import BENCH

ENGLISH: dict[str, str] = BENCH | {
    # Frame of the page
    "app": "fieldassay",
    "skip": "Skip to the content",
    "presumptive": "Presumptive: confirm in a laboratory.",
    "footer": "Every result is presumptive. A substance that is not reported can still be present.",
    "connection_open": "Live",
    "connection_wait": "Connecting",
    "connection_lost": "Connection lost. Trying again; what you see may be old.",
    "needs_script": "Without JavaScript this page does not update. Reload it to see new results.",
    # List
    "live_title": "Measurements",
    "live_empty": "No measurement yet. Press the trigger on a unit.",
    "new_result": "New result {number} from {unit}: {verdict}. {title}",
    "older": "Older measurements",
    "newest": "Back to the newest",
    "units_title": "Units",
    "units_empty": "No unit has reported since the host started.",
    "quarantine_title": "Quarantine",
    "quarantine_intro": "Messages that could not be read or trusted, kept with the reason.",
    "quarantine_not_kept": "{count} more from unknown senders were counted but not kept.",
    "quarantine_empty": "Nothing is in quarantine.",
    # Verdicts: word, then what the word means
    "verdict_match": "Match",
    "verdict_mixture": "Mixture",
    "verdict_class": "Class alert",
    "verdict_out_of_library": "Not in the library",
    "verdict_inconclusive": "Inconclusive",
    "verdict_pending": "Being identified",
    "verdict_other": "Other result",
    "means_match": "The spectrum fits one reference of the library.",
    "means_mixture": "The spectrum fits references of several substances together.",
    "means_class": "The spectrum belongs to a family of substances, not to a known member of it.",
    "means_out_of_library": "A good spectrum that fits no reference. Treat as unknown and toxic.",
    "means_inconclusive": "The measurement does not support a statement. It says nothing about "
    "what is present.",
    "means_pending": "The record is stored. The result follows.",
    "means_other": "This page does not know this kind of result. Read the details.",
    "share": "{percent} % of the signal",
    # Record
    "back": "All measurements",
    "do_next": "What to do next",
    "reasons": "Why",
    "no_reasons": "No reason was recorded.",
    "hazard": "Hazard card",
    "hazard_more": "Show the whole card and its sources",
    "sources": "Sources",
    "hazard_codes": "GHS and UN codes",
    "newer_verdict": "A newer verdict was stored for this record.",
    "reload": "Show it",
    "spectrum": "Spectrum",
    "spectrum_loading": "Loading the spectrum.",
    "spectrum_missing": "The spectrum cannot be shown.",
    "spectrum_help": "Drag across the plot to zoom. On the keyboard: left and right move the "
    "cursor, plus and minus zoom, 0 shows everything.",
    "spectrum_label": "Plot of the measured spectrum, the best explanation and the references",
    "spectrum_recomputed": "Drawn now with library {library}.",
    "lines": "Lines",
    "spectrum_differs": "Computed again now, the result is: {verdict}. The stored verdict was "
    "made with the library and the algorithm named in its history.",
    "axis_cm1": "Raman shift (cm⁻¹)",
    "intensity": "Intensity (scaled)",
    "measured": "Measured",
    "fit": "Best explanation",
    "fit_nearest": "Nearest reference, not a result",
    "zoom_in": "Zoom in",
    "zoom_out": "Zoom out",
    "zoom_all": "Whole spectrum",
    "cursor_left": "Cursor left",
    "cursor_right": "Cursor right",
    "bands": "Bands as a table",
    "bands_intro": "The strongest measured bands, and the best explanation at the same place. "
    "Heights in percent of the highest band.",
    "band_position": "Band (cm⁻¹)",
    "band_height": "Measured (%)",
    "band_fit": "Explained (%)",
    "candidates": "Candidates",
    "candidates_empty": "No candidate was recorded.",
    "candidates_intro": "The nearest references of the library. A candidate is not a result.",
    "candidate": "Substance",
    "score": "Score (0 to 1)",
    "quality": "Quality",
    "quality_empty": "No quality figures were recorded.",
    "quality_snr": "Signal to noise",
    "quality_axis_shift_cm1": "Axis shift",
    "quality_saturated": "Detector saturated",
    "quality_range_cm1": "Compared range",
    "quality_agreement": "Agreement (0 to 1)",
    "quality_bands": "Effective bands",
    "quality_background_ratio": "Background per band height",
    "quality_informative_columns": "Points with signal",
    "quality_spikes_removed": "Cosmic rays removed",
    "instrument": "Instrument",
    "evidence": "Raw record",
    "evidence_intro": "The exact bytes received from the unit. The unit was told the same hash in "
    "its receipt.",
    "download": "Download the raw record",
    "spectrum_json": "Spectrum as JSON",
    "record_json": "Record as JSON",
    "tree": "Decoded message",
    "verdicts": "All verdicts stored for this record",
    "verdicts_empty": "No verdict is stored yet.",
    "algorithm": "Algorithm",
    "library": "Library",
    "yes": "yes",
    "no": "no",
    "none": "none",
    "unknown": "unknown",
    # Facts of a measurement
    "fact_unit": "Unit",
    "fact_number": "Boot and number",
    "fact_taken": "Taken",
    "fact_received": "Received by the host",
    "fact_clock": "Clock of the unit",
    "fact_exposure": "Exposure of one frame",
    "fact_frames": "Frames, dark frames",
    "fact_laser": "Laser power, set and measured",
    "fact_excitation": "Excitation",
    "fact_laser_temperature": "Laser temperature",
    "fact_detector_temperature": "Detector temperature",
    "fact_saturated": "Saturated pixels",
    "fact_calibration": "Calibration",
    "fact_selftest": "Self-test",
    "fact_flags": "Flags",
    "fact_battery": "Battery",
    "fact_firmware": "Firmware",
    "fact_packaging": "Packaging (officer's answer)",
    "fact_sample": "Sample (officer's answer)",
    "fact_dark_sample": "Dark or coloured (officer's answer)",
    "fact_stopped": "Stopped early",
    "fact_series": "Series and spot",
    "fact_sha256": "SHA-256",
    "fact_size": "Size",
    "clock_unset": "not set",
    "clock_rtc": "running, not checked",
    "clock_synced": "set by the host",
    "time_unset": "Clock of the unit not set",
    "selftest_pass": "passed",
    "selftest_fail": "FAILED",
    # Units
    "state_init": "Starting",
    "state_ready": "Ready",
    "state_measuring": "Measuring",
    "state_fault": "Fault",
    "state_disconnected": "Switched off",
    "state_lost": "Lost contact",
    "state_never seen": "Never heard from",
    "interlock_off": "laser off",
    "interlock_selftest": "laser off, self-test",
    "interlock_safe": "laser off",
    "interlock_armed": "warning, laser about to fire",
    "interlock_emitting": "LASER ON",
    "interlock_cooldown": "laser off, cooling",
    "interlock_fault": "laser off, fault",
    "unit_spool": "Waiting in the unit",
    "unit_battery": "Battery",
    "unit_interlock": "Laser",
    "unit_clock": "Clock",
    "unit_fault": "Fault",
    "unit_firmware": "Firmware",
    "ask_title": "Ask this unit",
    "ask_intro": "This asks the officer to press the trigger. It cannot fire the laser.",
    "ask_packaging": "Measured through",
    "ask_sample": "Sample looks like",
    "ask_dark_sample": "Dark or coloured",
    "ask_series": "Series",
    "ask_spot": "Spot",
    "ask_keep": "leave as it is",
    "ask_answers": "Send the answers",
    "ask_measurement": "Ask for a measurement",
    "ask_sent": "Sent to {unit}.",
    "ask_failed": "Not sent.",
    # Errors
    "error_title": "This did not work",
}

# The short names that travel; those of packaging are the firmware's (device/officer.py).
PACKAGING: dict[str, str] = {
    "": "not answered",
    "unknown": "unknown",
    "none": "nothing, open sample",
    "pe": "polyethylene bag",
    "pp": "polypropylene",
    "pet": "PET",
    "glass": "glass",
    "paper": "paper",
    "other": "something else",
}

# Anything but "no" is measured at low power and stopped when the sample heats up.
DARK_SAMPLE: dict[str, str] = {"": "not answered", "no": "no", "yes": "yes", "unknown": "unknown"}

SAMPLES: dict[str, str] = {
    "": "not answered",
    "powder": "powder",
    "tablet": "tablet",
    "liquid": "liquid",
    "plant": "plant material",
    "blotter": "blotter paper",
    "other": "something else",
}

# What scripts need: they get these and no others, as a JSON block in the page.
SCRIPT_PREFIXES = ("connection_", "verdict_", "ask_sent", "ask_failed")
SCRIPT_KEYS = (
    "bench_certificate", "bench_do_accept", "bench_port_none", "bench_progress",
    "bench_record_none",
    "axis_cm1", "fit", "fit_nearest", "intensity", "measured", "new_result", "spectrum_differs",
    "spectrum_missing", "spectrum_recomputed", "time_unset",
)  # fmt: skip


def text(key: str, **values: object) -> str:
    """The sentence for `key` with its `{placeholders}` filled.

    Raises:
        KeyError: The key does not exist; a test renders every page, so this is a programming error.
    """
    return ENGLISH[key].format(**values)


def known(prefix: str, value: object) -> str:
    """The words for a value this version knows (`state_ready`), else the value itself."""
    return ENGLISH.get(f"{prefix}_{value}", str(value))


def for_scripts() -> dict[str, str]:
    """The part of the strings that scripts use."""
    return {
        key: value
        for key, value in ENGLISH.items()
        if key in SCRIPT_KEYS or key.startswith(SCRIPT_PREFIXES)
    }
