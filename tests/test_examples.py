"""Every script of examples/ runs, and what it writes and prints is right."""

from __future__ import annotations

import re
import runpy
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def run_example(monkeypatch, tmp_path, capsys):
    """Run a script as `python script tmp_path` does; what it printed."""

    def run(name: str, *arguments: str) -> str:
        script = str(EXAMPLES / name)
        monkeypatch.setattr(sys, "argv", [script, str(tmp_path), *arguments])
        monkeypatch.chdir(tmp_path)
        runpy.run_path(script, run_name="__main__")
        return capsys.readouterr().out

    return run


def test_every_example_has_a_test():
    here = Path(__file__).read_text(encoding="utf-8")
    tested = set(re.findall(r'run_example\("(\w+\.py)"', here))
    assert tested == {script.name for script in EXAMPLES.glob("*.py")}


def test_examples_are_short():
    for script in EXAMPLES.glob("*.py"):
        # A network, its training and its pictures are more than one step of the tutorial.
        limit = 120 if script.name == "train_digits.py" else 80
        assert len(script.read_text(encoding="utf-8").splitlines()) < limit, script.name


def test_kernel_stride_padding(run_example):
    printed = run_example("kernel_stride_padding.py")
    assert "1*1 + 2*0 + 3*-1 = -2" in printed
    assert "sum: -6" in printed
    assert "3x3 kernel 30x30 32x32 15x15 16x16" in " ".join(printed.split())
    assert "7x7 kernel 26x26 32x32 13x13 16x16" in " ".join(printed.split())
    assert "replicate  1.33  2.00  3.00  4.00  4.67" in printed


def test_edges_in_a_photo(run_example, tmp_path):
    printed = run_example("edges_in_a_photo.py")
    assert "grey image (600, 512) and weights (4, 1, 3, 3) give maps (4, 600, 512)" in printed
    assert "RGB image (600, 512, 3) and weights (4, 3, 3, 3) give maps (600, 512, 4)" in printed
    assert "PNG read back: 0% of the values differ" in printed
    for name, kind in (("photo.jpg", "JPEG"), ("photo.png", "PNG")):
        with Image.open(tmp_path / name) as photo:
            assert photo.format == kind
            assert photo.size == (512, 600)
    with Image.open(tmp_path / "feature_maps.png") as picture:
        assert picture.width > 900
        assert np.asarray(picture.convert("L")).std() > 20  # something is drawn on it


def test_low_pass_audio(run_example, tmp_path):
    printed = run_example("low_pass_audio.py")
    tones = re.findall(r"(\w+) +(\d+) Hz: amplitude ([\d.]+) before, ([\d.]+) after", printed)
    found = {(side, int(hertz)): (float(b), float(a)) for side, hertz, b, a in tones}
    assert found["left", 440] == pytest.approx((0.5, 0.5), abs=1e-3)
    assert found["right", 440] == pytest.approx((0.2, 0.2), abs=1e-3)
    before, after = found["left", 5000]
    assert before == pytest.approx(0.3, abs=1e-3)
    assert after < before / 1000

    with wave.open(str(tmp_path / "low_pass.wav"), "rb") as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 16000)
        samples = np.frombuffer(file.readframes(20000), "<i2").reshape(-1, 2)
    assert len(samples) == 16000
    left = np.abs(np.fft.rfft(samples[:, 0] / 32767)) * 2 / 16000
    assert left[440] == pytest.approx(0.5, abs=1e-3)
    assert left[5000] < 1e-3
    with Image.open(tmp_path / "spectrum.png") as picture:
        assert picture.format == "PNG"


def test_motion_in_a_video(run_example, tmp_path):
    printed = run_example("motion_in_a_video.py")
    assert "video (12, 64, 64), filter (2, 1, 1), motion (11, 64, 64)" in printed
    (speed,) = re.findall(r"pixels per frame: ([\d.]+)", printed)
    assert float(speed) == pytest.approx(4, abs=0.2)
    (still,) = re.findall(r"never change: (\d+)%", printed)
    assert int(still) > 75
    with Image.open(tmp_path / "motion.gif") as picture:
        frames = [np.asarray(f.convert("L")) for f in ImageSequence.Iterator(picture)]
    assert np.shape(frames) == (11, 64, 64)
    assert np.all(np.array(frames)[:, :8] == 128)  # above the disc nothing moves


def test_stacked_layers(run_example, tmp_path):
    printed = " ".join(run_example("stacked_layers.py").split())
    assert "image 3 maps of 32x32" in printed
    assert "layer 1 16 maps of 32x32, sees 3x3 pixels" in printed
    assert "layer 2 32 maps of 16x16, sees 5x5 pixels" in printed
    assert "layer 3 32 maps of 8x8, sees 9x9 pixels" in printed
    assert "output (4, 4) sees rows 12 to 20: 9 pixels" in printed
    with Image.open(tmp_path / "stacked_layers.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 20


def test_train_digits(run_example, tmp_path):
    """Three of its twenty passes over the data."""
    pytest.importorskip("autograd", reason="needs the extra directconv[train]")
    pytest.importorskip("sklearn", reason="needs the extra directconv[train]")
    printed = run_example("train_digits.py", "3")
    found = re.findall(
        r"(\w+) +[\d.]+ s, loss ([\d.]+) to ([\d.]+), ([\d.]+)% of 517 held-out", printed
    )
    assert [name for name, *_ in found] == ["im2col", "direct"]
    for _, first, last, right in found:
        assert float(first) == pytest.approx(np.log(10), abs=0.3)  # all digits alike
        assert float(last) < 0.4
        assert float(right) > 93
    with Image.open(tmp_path / "train_digits.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 20
