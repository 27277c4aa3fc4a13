"""Distinguishes a person from a machine by how long the callee talks before a pause, and knows when the pause has come.

A person says a word or two and waits. A machine's greeting goes on. No word is understood, so it errs now and then: a
person who answers with a long sentence is taken for a machine, and a machine that pauses early for a person.
"""

#: per cent; the hiss of a line stays below it
LOUD = 10
#: If the callee talks for so many seconds before the first pause, it is a machine's greeting.
_GREETING = 1.8
#: seconds of silence that are a pause
_PAUSE = 0.6
#: seconds of silence after which the prompt begins, if the callee has said nothing
_SILENCE = 1.2


class Ear:
    """Listens to the callee. It gets the loudness at each poll."""

    def __init__(self, now: float) -> None:
        """`now` is when the sound begins; any clock in seconds will do."""
        self._since = now
        self._first_sound: float | None = None
        self._last_sound = now
        #: `voice`, `answeringmachine`, or `unknown` while it isn't clear
        self.callee_type = "unknown"
        #: True once the callee has paused, so that the prompt may begin
        self.may_speak = False

    def hear(self, loudness: int, now: float) -> None:
        if self.may_speak:
            return
        if loudness >= LOUD:
            self._first_sound = now if self._first_sound is None else self._first_sound
            self._last_sound = now
            if now - self._first_sound >= _GREETING:
                self.callee_type = "answeringmachine"
        elif now - self._last_sound >= (_SILENCE if self._first_sound is None else _PAUSE):
            self.may_speak = True
            if self.callee_type == "unknown" and self._first_sound is not None:
                self.callee_type = "voice"
