"""The one drawing surface: 8 rows of (text, style) on any panel; only rows that changed are sent.

A panel offers start() and draw(row, text, style); both raise OSError. After an error the panel is
started again and everything is sent again, so a display that was unplugged comes back whole.
"""

ROWS = 8
COLUMNS = 26


class Surface:
    def __init__(self, panel):
        self._panel = panel
        self._shown: list = [None] * ROWS
        self._started = False

    def show(self, rows):
        try:
            if not self._started:
                self._panel.start()
                self._started = True
            for at in range(ROWS):
                text, style = rows[at] if at < len(rows) else ("", "")
                if self._shown[at] != (text, style):
                    self._panel.draw(at, text[:COLUMNS], style)
                    self._shown[at] = (text, style)
        except OSError:
            self._started = False
            for at in range(ROWS):
                self._shown[at] = None
            raise
