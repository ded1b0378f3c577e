"""The one error the firmware raises on purpose: what happened and what to do next.

`what` and `do_next` go to the display as they are, so they are short plain sentences.
"""


class UnitError(Exception):
    def __init__(self, code, what, do_next):
        super().__init__(what + " " + do_next)
        self.code = code
        self.what = what
        self.do_next = do_next


# Why a measurement is refused or was stopped, by code: (what, do_next).
TEXTS = {
    "lid_open": ("The lid is open.", "Close the lid, then press the trigger."),
    "key_open": ("The laser key is off.", "Turn the key on, then press the trigger."),
    "nose_open": (
        "The nose does not touch the sample.",
        "Press it on the sample, then press the trigger.",
    ),
    "updating": ("The unit is being updated.", "Wait until it has restarted."),
    "service": ("A technician works on the unit.", "Ask the technician."),
    "unreadable": (
        "The interlock cannot be read.",
        "Do not use the unit. Hold OK to test again, or call a technician.",
    ),
    "cancel": ("Stopped by the officer.", "Press the trigger to measure again."),
    "abort": ("Stopped by the host.", "Press the trigger to measure again."),
    "background_rising": (
        "The sample heats up and may burn.",
        "Keep away. Use less of it, or leave it to the laboratory.",
    ),
    "temperature_rising": (
        "It gets warm: it may burn.",
        "Keep away. Use less of it, or leave it to the laboratory.",
    ),
    "time_limit": ("The laser time limit was reached.", "Press the trigger to measure again."),
    "cut": ("The hardware switched the laser off.", "Check lid and key, then press the trigger."),
    "spool_full": (
        "The memory is full of results not yet delivered.",
        "Bring the unit into the network. Nothing is lost.",
    ),
    "battery_flat": ("The battery is empty.", "Charge the unit, then measure."),
    "selftest_failed": (
        "The self-test of the laser or interlock failed.",
        "Hold OK to test again, or call a technician.",
    ),
    "selftest_running": ("The self-test is running.", "Wait, then press the trigger."),
    "fault": ("The unit has a fault.", "Hold OK to test again, or call a technician."),
    "detector_failed": ("The detector did not answer.", "Press the trigger to measure again."),
    "laser_light_missing": (
        "The laser is on but gives no light.",
        "Hold OK to test again, or call a technician.",
    ),
    "laser_light_unexpected": (
        "There is light although the laser is off.",
        "Turn the key off and call a technician.",
    ),
    "laser_light_excess": (
        "The laser gives more light than was set.",
        "Turn the key off and call a technician.",
    ),
    "laser_gate_stuck": (
        "The hardware allows light although lid or key is open.",
        "Turn the key off and call a technician.",
    ),
    "laser_power_refused": (
        "More laser power was asked for than this sample may have.",
        "Hold OK to test again, or call a technician.",
    ),
    "laser_unreadable": (
        "The laser driver does not answer.",
        "Turn the key off and call a technician.",
    ),
    "warning_failed": (
        "The laser warning does not sound, so the laser stays off.",
        "Hold OK to test again, or call a technician.",
    ),
    "indicator_failed": (
        "The laser indicator does not work, so the laser stays off.",
        "Hold OK to test again, or call a technician.",
    ),
    "clock_jumped": (
        "The unit's clock ran backwards, so the laser stays off.",
        "Hold OK to test again, or call a technician.",
    ),
    "guard_late": (
        "The unit was too busy to watch the laser.",
        "Press the trigger to measure again.",
    ),
    "not_armed": ("The laser was not armed.", "Press the trigger to measure again."),
    "spool_failed": ("The result could not be written.", "Measure again. Call a technician."),
}


def fault(code):
    what, do_next = TEXTS.get(
        code, ("Stopped: " + code + ".", "Press the trigger to measure again.")
    )
    return UnitError(code, what, do_next)
