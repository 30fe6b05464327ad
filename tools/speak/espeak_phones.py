"""A program around eSpeak NG's library: text on standard input, a WAV file and phone times out.

    python espeak_phones.py VOICE SPEED PITCH OUT.wav < TEXT

eSpeak's own program says which phonemes it speaks but not when; its library does. The library is
GPL-3.0-or-later: this runs as a program of its own, and nothing of the library is distributed.
Prints one line for each phoneme, `MILLISECONDS IPA`, where it starts; a pause has no IPA.
"""

from __future__ import annotations

import ctypes
import sys
import wave

_RETRIEVAL, _PHONEME_EVENTS_IN_IPA = 1, 3
_PHONEME, _UTF8 = 7, 1
_RATE, _PITCH = 1, 3


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


def main(voice: str, speed: str, pitch: str, out: str) -> None:
    library = ctypes.CDLL("libespeak-ng.so.1")
    rate = library.espeak_Initialize(_RETRIEVAL, 0, None, _PHONEME_EVENTS_IN_IPA)
    sound = bytearray()

    @ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
    )
    def heard(samples, count: int, events) -> int:
        if samples:
            sound.extend(ctypes.string_at(samples, 2 * count))
        index = 0
        while events[index].type:
            if events[index].type == _PHONEME:
                event = events[index]
                print(event.audio_position, event.id.decode("utf-8", "ignore"))
            index += 1
        return 0

    library.espeak_SetSynthCallback(heard)
    if library.espeak_SetVoiceByName(voice.encode()):
        sys.exit(f"eSpeak has no voice {voice!r}")
    library.espeak_SetParameter(_RATE, int(speed), 0)
    library.espeak_SetParameter(_PITCH, int(pitch), 0)
    text = sys.stdin.read().encode()
    library.espeak_Synth(text, len(text) + 1, 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(sound))


if __name__ == "__main__":
    main(*sys.argv[1:])
