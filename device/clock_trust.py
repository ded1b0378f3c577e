# The earliest time a unit believes in, from its day of provisioning; sets the port's own clock, by
# which TLS judges the dates of certificates, to that time when it is behind. Needed at the start
# only: `configuration` unloads it. Which time a host may set is `status`'s.
#
# A unit whose clock was lost must still reach its host, for only the host can set it; so an unset
# clock is no reason not to connect. docs/adr/0051 says what that does not protect against.

import time

EPOCH_2000_S = 946684800  # seconds from 1970 to 2000, where some ports begin to count


# The start of the day of provisioning, in ms since 1970.
def earliest_ms(provisioned):
    year, month, day = [int(part) for part in provisioned.split("-")]
    # Days since 1970-01-01 in the Gregorian calendar, years beginning in March.
    if month < 3:
        year, month = year - 1, month + 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day
    return (days - 719469) * 86400000


# The clock that mbedTLS reads. Ports without a settable one (the computer's) are left alone. True
# if it was behind and has been set.
def raise_port_clock(earliest, chip=None, clock=time):
    if chip is None:
        import machine as chip
    offset_s = EPOCH_2000_S if clock.gmtime(0)[0] == 2000 else 0
    wanted_s = earliest // 1000 - offset_s
    if clock.time() >= wanted_s or not hasattr(chip, "RTC"):
        return False
    t = clock.gmtime(wanted_s)
    chip.RTC().datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))
    return True
