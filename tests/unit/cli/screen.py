"""A terminal, as far as the status needs one: what a person would see in the end."""

import re

_PART = re.compile(r"\x1b\[(\d*)([A-Za-z])|\r|\n|[^\x1b\r\n]+")


class Screen:
    """Lines of text with a cursor; wraps at its width like a terminal does."""

    def __init__(self, columns=80):
        self._columns = columns
        self._lines = [""]
        self._row = self._column = 0
        self.highest = 0
        """The most lines that were there at any time."""

    def write(self, text):
        """Take what a program writes."""
        for part in _PART.finditer(text):
            if part[2]:
                self._control(part[2], int(part[1] or 1))
            elif part[0] == "\r":
                self._column = 0
            elif part[0] == "\n":
                self._down()
            else:
                self._print(part[0])
        self.highest = max(self.highest, len(self._lines))

    def _control(self, name, number):
        if name == "A":
            self._row = max(0, self._row - number)
        elif name == "J":
            del self._lines[self._row + 1 :]
            self._lines[self._row] = self._lines[self._row][: self._column]
        else:
            assert name == "m", f"the status must not use CSI {name}"

    def _print(self, text):
        for char in text:
            if self._column == self._columns:
                self._down()
            line = self._lines[self._row].ljust(self._column)
            self._lines[self._row] = line[: self._column] + char + line[self._column + 1 :]
            self._column += 1

    def _down(self):
        self._row += 1
        self._column = 0
        if self._row == len(self._lines):
            self._lines.append("")

    @property
    def text(self):
        """What is on the screen."""
        return "\n".join(line.rstrip() for line in self._lines).rstrip("\n")
