"""Take the high tone out of a WAV file: convolution along one axis.

python examples/low_pass_audio.py [folder]
"""

import sys
import wave
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import directconv

RATE = 16_000  # samples per second
LOW, HIGH, CUTOFF = 440, 5_000, 1_500  # Hz
TAPS = 201


def write_wav(path: Path, sound: np.ndarray) -> None:
    """Write (channels, samples) between -1 and 1 as 16-bit samples."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(sound))
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((sound.T * 32767).round().astype("<i2").tobytes())


def read_wav(path: Path) -> np.ndarray:
    """The samples of a 16-bit file as (channels, samples), float32 between -1 and 1."""
    with wave.open(str(path), "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.reshape(-1, file.getnchannels()).T.astype(np.float32) / 32767


def low_pass(cutoff: float, taps: int) -> np.ndarray:
    """A sinc under a Blackman window: passes what is below `cutoff`, stops the rest."""
    t = np.arange(taps) - (taps - 1) / 2
    kernel = np.sinc(2 * cutoff / RATE * t) * np.blackman(taps)
    return (kernel / kernel.sum()).astype(np.float32)


def spectrum(sound: np.ndarray) -> np.ndarray:
    """Amplitude of every frequency; for one second of sound, entry f belongs to f Hz."""
    return np.abs(np.fft.rfft(sound)) * 2 / sound.shape[-1]


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    t = np.arange(RATE) / RATE
    low, high = np.sin(2 * np.pi * LOW * t), np.sin(2 * np.pi * HIGH * t)
    write_wav(folder / "two_tones.wav", np.stack([0.5 * low + 0.3 * high, 0.2 * low]))

    # Two channels, left and right. With groups=2 each is convolved with its own filter.
    sound = read_wav(folder / "two_tones.wav")
    weight = np.stack([low_pass(CUTOFF, TAPS)] * 2)[:, np.newaxis]
    filtered = directconv.conv1d(sound, weight, padding="same", groups=2)
    write_wav(folder / "low_pass.wav", filtered)
    print(f"sound {sound.shape}, weights {weight.shape}, result {filtered.shape}")

    before, after = spectrum(sound), spectrum(filtered)
    for channel, name in enumerate(("left", "right")):
        for tone in (LOW, HIGH):
            was, is_now = before[channel, tone], after[channel, tone]
            print(f"{name:5} {tone:5} Hz: amplitude {was:.5f} before, {is_now:.5f} after")

    figure = Figure(figsize=(7, 3), layout="constrained")
    axis = figure.subplots()
    axis.semilogy(before[0] + 1e-9, label="before")
    axis.semilogy(after[0] + 1e-9, label="after")
    axis.set(xlabel="Hz", ylabel="amplitude", ylim=(1e-6, 1))
    axis.legend()
    figure.savefig(folder / "spectrum.png")
    print(f"wrote {folder / 'low_pass.wav'} and {folder / 'spectrum.png'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
