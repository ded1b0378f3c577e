"""Does a sample under the laser heat up? Judges the background of frame after frame. Pure.

A dark sample that takes up the light glows and, if it is energetic, may burn: its broad background
rises with the dose, while that of an ordinary sample stays or bleaches away (Harvey, Peters and
Wright 2003, Appl. Spectrosc. 57, 580: darker samples burn at 785 nm and colour foretells it badly).
"""

RISE_PERMILLE = 1250  # of the first frame of the same light: above this it rises
OTHER_PERMILLE = 2000  # the same between frames of different light, where dark current differs too
FLOOR_PERMILLE = 2  # of full scale: less is noise, a cosmic ray, or the lamp on the ceiling
WARMER_MDEGC = 3000  # the detector sits next to the sample


class Rising:
    # `mdegc` is the detector's temperature before the light.
    def __init__(self, full_scale, mdegc):
        self._floor = max(1, full_scale * FLOOR_PERMILLE // 1000)
        self._mdegc = mdegc
        self.begun = False
        self._first = (0, 1)  # (background, light) of the first frame
        self._same = (0, 1)  # of the first frame with as much light as the last one

    # `background` is the mean above the dark in counts, `light` exposure times power in any unit.
    # Returns why to stop, or "".
    def feed(self, background, light, mdegc):
        if mdegc - self._mdegc > WARMER_MDEGC:
            return "temperature_rising"
        if not self.begun:
            self.begun = True
            self._first = self._same = (background, light)
            return ""
        first, first_light = self._first
        if background > max(0, first) * light // first_light * OTHER_PERMILLE // 1000 + (
            4 * self._floor
        ):
            return "background_rising"
        if self._same[1] != light:
            self._same = (background, light)
        elif background > max(0, self._same[0]) * RISE_PERMILLE // 1000 + self._floor:
            return "background_rising"
        return ""
