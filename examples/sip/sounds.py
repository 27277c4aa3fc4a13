"""WAV files of what is said in a call: 8 kHz, 16 bit, one channel, by the standard library alone."""

import math
import shutil
import subprocess
import wave
from array import array
from collections.abc import Iterable
from pathlib import Path

_RATE = 8000
#: of 32,767
_AMPLITUDE = 9000

#: what the prompt says if espeak-ng is there to say it
PROMPT = "Hello. This is a test call of callpacer. Good bye."

#: A sound: its frequency in Hz, 0 for silence, and its seconds.
Tone = tuple[float, float]


def write_tones(file: Path, tones: Iterable[Tone]) -> Path:
    """The file, with one tone after the other."""
    samples = array("h")
    for frequency, seconds in tones:
        count = round(seconds * _RATE)
        step = 2 * math.pi * frequency / _RATE
        samples.extend(round(_AMPLITUDE * math.sin(step * index)) for index in range(count))
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(samples.itemsize)
        sound.setframerate(_RATE)
        sound.writeframes(samples.tobytes())
    return file


def write_prompt(file: Path, text: str = PROMPT) -> Path:
    """The file, with the text spoken by espeak-ng if that is installed, or else a chime of a second and a half."""
    if shutil.which("espeak-ng"):
        subprocess.run(["espeak-ng", "-w", str(file), text], check=True, timeout=10)
        return file
    return write_tones(file, [(440, 0.5), (660, 0.5), (880, 0.5)])


def seconds_of(file: Path) -> float:
    """How long a WAV file is."""
    with wave.open(str(file), "rb") as sound:
        return sound.getnframes() / sound.getframerate()
