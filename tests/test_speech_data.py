"""The recording, Whisper's files and eSpeak's voices: what comes back, and what is said when it cannot."""

import dataclasses
import hashlib
import subprocess
import wave

import numpy as np
import pytest

from course_utils import data, speech_data
from course_utils.errors import CourseError


def test_the_recording_is_what_the_file_holds():
    sound, rate = data.recording()
    assert (sound.dtype, sound.shape, rate) == (np.float32, (2_129_958,), 48_000)
    with wave.open(data.recording_file(), "rb") as file:
        assert file.getcomptype() == "NONE"
        assert file.getnframes() == data.LEDGER["recording"].rows
        first = np.frombuffer(file.readframes(1000), "<i2")
    np.testing.assert_array_equal(sound[:1000] * 32768, first)
    assert 0.1 < np.abs(sound).max() < 1


@pytest.mark.parametrize("name", speech_data.WHISPER)
def test_whispers_files_have_their_hash(name):
    with open(data.whisper_file(name), "rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == speech_data.WHISPER[name]


def test_another_file_of_whispers_is_refused():
    with pytest.raises(CourseError, match=r"model\.bin.*got 'model\.pt'"):
        data.whisper_file("model.pt")


def test_a_recording_that_is_not_here_says_where_there_is_one(monkeypatch):
    missing = dataclasses.replace(speech_data.RECORDING, package="course-has-no-such-package", version="1.0")
    monkeypatch.setattr(speech_data, "RECORDING", missing)
    with pytest.raises(CourseError, match=r"pip install course-has-no-such-package==1.0.*glibc"):
        data.recording()


def test_the_clips_come_in_order_and_are_the_same_each_time():
    texts, voices, rates = ["yes", "a long sentence"], ["en-us+m3", "en-us+f4"], [130, 200]
    clips = data.spoken(texts, voices, rates)
    assert len(clips) == 8 and all(clip.dtype == np.float32 and clip.ndim == 1 for clip in clips)
    assert all(len(short) < len(long) for short, long in zip(clips[::2], clips[1::2], strict=True))
    slow, fast = clips[1], clips[3]
    assert len(fast) < len(slow)
    assert max(np.abs(clip).max() for clip in clips) <= 1
    again = data.spoken(texts, voices, rates)
    assert all(np.array_equal(one, other) for one, other in zip(clips, again, strict=True))
    assert not np.array_equal(clips[0], clips[4][: len(clips[0])])


def test_a_voice_that_does_not_exist():
    with pytest.raises(CourseError, match="no voice 'xx-nobody'"):
        data.spoken(["yes"], ["xx-nobody"], [150])


def test_a_library_that_ends_its_process_ends_no_other(monkeypatch):
    def crashed(*arguments, **options):
        return subprocess.CompletedProcess(arguments, -11, b"", b"")

    monkeypatch.setattr(speech_data.subprocess, "run", crashed)
    with pytest.raises(CourseError, match="ended without a word"):
        data.spoken(["yes"], ["en-us+m3"], [150])


def test_a_platform_without_the_library(monkeypatch):
    monkeypatch.setattr(speech_data.sys, "platform", "plan9")
    with pytest.raises(CourseError, match="not packaged for plan9"):
        data.spoken(["yes"], ["en-us+m3"], [150])


def test_a_library_that_is_not_the_right_one(monkeypatch):
    others = {key: (name, "0" * 64) for key, (name, _) in speech_data.ESPEAK.items()}
    monkeypatch.setattr(speech_data, "ESPEAK", others)
    with pytest.raises(CourseError, match="SHA-256"):
        data.spoken(["yes"], ["en-us+m3"], [150])
