"""What an introduction to convolution for neural networks says, as facts about this library.

Images come from JPEG and PNG files, a video from an animated GIF and sound from a WAV file, all
written here and read back. Results are compared with sums written out as slices.
"""

from __future__ import annotations

import itertools
import wave

import numpy as np
import pytest
from PIL import Image, ImageSequence

import directconv

VERTICAL_EDGES = np.array([[1, 0, -1]] * 3, np.float32)


def slide(image, kernel):
    """A filter over a 2-D image without padding: one shifted copy of the image per weight."""
    image = image.astype(np.float64)
    rows = image.shape[0] - kernel.shape[0] + 1
    columns = image.shape[1] - kernel.shape[1] + 1
    total = np.zeros((rows, columns))
    for y, x in itertools.product(*map(range, kernel.shape)):
        total += float(kernel[y, x]) * image[y : y + rows, x : x + columns]
    return total


def filter_grey(image, kernel, **options):
    return directconv.conv2d(image[np.newaxis], kernel[np.newaxis, np.newaxis], **options)[0]


# --- sliding a filter --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_worked_example_gives_minus_six(dtype):
    image = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], dtype)
    kernel = np.array([[1, 0, -1], [1, 0, -1], [1, 0, -1]], dtype)
    result = filter_grey(image, kernel)
    assert result.dtype == dtype
    assert result.tolist() == [[-6]]
    assert result.item() == (1 - 3) + (4 - 6) + (7 - 9)


def test_a_uniform_area_has_no_edges_and_a_step_has_one():
    image = np.zeros((6, 8), np.uint8)
    image[:, 4:] = 255
    result = filter_grey(image, VERTICAL_EDGES)
    assert result.tolist() == [[0, 0, -765, -765, 0, 0]] * 4


@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_kernel_sizes(size, stride):
    rng = np.random.default_rng(size)
    image = rng.integers(0, 256, (32, 32)).astype(np.uint8)
    kernel = rng.integers(-4, 5, (size, size)).astype(np.float32)
    result = filter_grey(image, kernel, stride=stride)
    assert result.shape == ((32 - size) // stride + 1,) * 2
    np.testing.assert_array_equal(result, slide(image, kernel)[::stride, ::stride])


# --- stride and padding ------------------------------------------------------------------


def test_stride_two_halves_a_32x32_image():
    image = np.arange(32 * 32, dtype=np.float32).reshape(32, 32)
    halved = filter_grey(image, VERTICAL_EDGES, stride=2, padding=1)
    assert halved.shape == (16, 16)
    full = filter_grey(image, VERTICAL_EDGES, padding=1)
    np.testing.assert_array_equal(halved, full[::2, ::2])
    assert filter_grey(image, np.ones((2, 2), np.float32), stride=2).shape == (16, 16)
    assert filter_grey(image, VERTICAL_EDGES, stride=2, padding="same").shape == (16, 16)


@pytest.mark.parametrize(("size", "padding"), [(3, 1), (5, 2), (7, 3)])
def test_this_padding_keeps_the_size(size, padding):
    rng = np.random.default_rng(size)
    image = rng.integers(0, 256, (20, 27)).astype(np.uint8)
    kernel = rng.integers(-4, 5, (size, size)).astype(np.float32)
    result = filter_grey(image, kernel, padding=padding)
    assert result.shape == image.shape
    np.testing.assert_array_equal(result, slide(np.pad(image, padding), kernel))
    np.testing.assert_array_equal(result, filter_grey(image, kernel, padding="same"))


def test_valid_padding_loses_the_border():
    image = np.ones((10, 10), np.float32)
    assert filter_grey(image, VERTICAL_EDGES, padding="valid").shape == (8, 8)


# --- pictures in files -------------------------------------------------------------------


def synthetic_photo():
    """A smooth RGB picture with a dark square in it."""
    y, x = np.mgrid[:48, :64]
    picture = np.stack([4 * x, 255 - 5 * y, 2 * (x + y)], axis=-1).astype(np.uint8)
    picture[10:30, 20:44] = (30, 20, 10)
    return picture


@pytest.fixture(params=["JPEG", "PNG"])
def read_photo(request, tmp_path):
    """Write the picture to a file of this format; read it back in a Pillow mode."""
    path = tmp_path / f"photo.{request.param.lower()}"
    Image.fromarray(synthetic_photo()).save(path)

    def read(mode):
        with Image.open(path) as image:
            assert image.format == request.param
            pixels = np.asarray(image.convert(mode))
        assert pixels.dtype == np.uint8
        return pixels

    return read


def test_grey_image_from_a_file(read_photo):
    image = read_photo("L")
    result = filter_grey(image, VERTICAL_EDGES)
    assert image.shape == (48, 64)
    assert result.shape == (46, 62)
    np.testing.assert_array_equal(result, slide(image, VERTICAL_EDGES))
    # The strongest answers are the sides of the square, bright to dark and dark to bright.
    middle = result[20]
    assert abs(int(middle.argmax()) + 1 - 20) <= 1
    assert abs(int(middle.argmin()) + 1 - 44) <= 1


def test_rgb_image_from_a_file(read_photo):
    image = read_photo("RGB")
    assert image.shape == (48, 64, 3)
    kernel = np.stack([VERTICAL_EDGES, 2 * VERTICAL_EDGES.T, -VERTICAL_EDGES])
    expected = sum(slide(image[..., c], kernel[c]) for c in range(3))

    result = directconv.conv2d(np.moveaxis(image, -1, 0), kernel[np.newaxis])
    assert result.shape == (1, 46, 62)
    np.testing.assert_array_equal(result[0], expected)

    as_it_is = directconv.conv2d(image, kernel[np.newaxis], layout="channels_last")
    assert as_it_is.shape == (46, 62, 1)
    np.testing.assert_array_equal(as_it_is[..., 0], expected)


def test_pixels_are_not_changed(read_photo):
    image = read_photo("L").copy()
    before = image.copy()
    filter_grey(image, VERTICAL_EDGES)
    np.testing.assert_array_equal(image, before)


# --- layers ------------------------------------------------------------------------------


def test_many_filters_give_many_feature_maps(read_photo):
    image = read_photo("RGB")
    kernels = np.random.default_rng(0).integers(-3, 4, (16, 3, 5, 5)).astype(np.float32)
    maps = directconv.conv2d(image, kernels, layout="channels_last")
    assert maps.shape == (44, 60, 16)
    for number in range(16):
        expected = sum(slide(image[..., c], kernels[number, c]) for c in range(3))
        np.testing.assert_array_equal(maps[..., number], expected)


def test_stacked_layers_with_relu():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 9, (3, 32, 32)).astype(np.float32)
    kernels = [
        rng.integers(-2, 3, shape).astype(np.float32)
        for shape in [(8, 3, 3, 3), (16, 8, 3, 3), (4, 16, 3, 3)]
    ]
    layers = [
        directconv.Conv2d(kernels[0], padding=1, activation="relu"),
        directconv.Conv2d(kernels[1], stride=2, padding=1, activation="relu"),
        directconv.Conv2d(kernels[2], padding=1),
    ]
    first = layers[0](image)
    second = layers[1](first)
    third = layers[2](second)
    assert [maps.shape for maps in (first, second, third)] == [
        (8, 32, 32),
        (16, 16, 16),
        (4, 16, 16),
    ]
    assert third.min() < 0  # the last layer has no ReLU

    expected = image
    for kernel, stride, relu in zip(kernels, (1, 2, 1), (True, True, False), strict=True):
        padded = np.pad(expected, ((0, 0), (1, 1), (1, 1)))
        expected = np.stack(
            [
                sum(slide(channel, k) for channel, k in zip(padded, filters, strict=True))
                for filters in kernel
            ]
        )[:, ::stride, ::stride]
        if relu:
            expected = np.maximum(expected, 0)
    np.testing.assert_array_equal(third, expected)


@pytest.mark.parametrize(("layers", "sees"), [(1, 3), (2, 5), (3, 7)])
def test_each_3x3_layer_sees_two_pixels_more(layers, sees):
    kernel = np.ones((1, 1, 3, 3), np.float32)
    maps = np.zeros((1, 15, 15), np.float32)
    maps[0, 7, 7] = 1
    for _ in range(layers):
        maps = directconv.conv2d(maps, kernel, padding="same")
    assert np.count_nonzero(maps[0].any(axis=0)) == sees
    assert np.count_nonzero(maps[0].any(axis=1)) == sees


def test_random_filters_of_the_right_scale_keep_the_size_of_values():
    rng = np.random.default_rng(2)
    maps = rng.normal(size=(64, 32, 32)).astype(np.float32)
    for _ in range(5):
        weight = rng.normal(0, np.sqrt(2 / (64 * 9)), (64, 64, 3, 3)).astype(np.float32)
        maps = directconv.conv2d(
            maps, weight, padding="same", padding_mode="circular", activation="relu"
        )
        # Half of the values are cut off, and the other half has a mean square of two.
        assert 0.5 < np.mean(maps**2) < 2


# --- video: three axes -------------------------------------------------------------------


def write_gif(path, video):
    first, *others = (Image.fromarray(frame) for frame in video)
    first.save(path, save_all=True, append_images=others, duration=50)


def read_gif(path):
    with Image.open(path) as image:
        assert image.format == "GIF"
        return np.stack(
            [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(image)]
        )


@pytest.fixture
def video(tmp_path):
    """Eight frames of a square that moves three pixels a frame over a still background."""
    y, x = np.mgrid[:24, :40]
    frames = np.repeat((2 * x + 3 * y)[np.newaxis], 8, axis=0).astype(np.uint8)
    for number, frame in enumerate(frames):
        frame[8:14, 2 + 3 * number : 8 + 3 * number] = 250
    write_gif(tmp_path / "video.gif", frames)
    read = read_gif(tmp_path / "video.gif")
    np.testing.assert_array_equal(read, frames)
    return read


def test_a_temporal_filter_is_the_difference_of_frames(video):
    weight = np.array([-1, 1], np.float32).reshape(1, 1, 2, 1, 1)
    motion = directconv.conv3d(video[np.newaxis], weight)
    assert motion.shape == (1, 7, 24, 40)
    np.testing.assert_array_equal(motion[0], np.diff(video.astype(np.float32), axis=0))
    assert not motion[:, :, :8].any()  # above the square all is still
    assert not motion[:, :, 14:].any()
    assert np.all(motion[0, :, 8:14].max(axis=(1, 2)) > 100)


def test_a_filter_over_time_and_space(video):
    weight = np.random.default_rng(3).integers(-3, 4, (3, 3, 3)).astype(np.float32)
    result = directconv.conv3d(video[np.newaxis], weight[np.newaxis, np.newaxis])
    expected = [
        sum(slide(video[t + k], weight[k]) for k in range(3)) for t in range(len(video) - 2)
    ]
    np.testing.assert_array_equal(result[0], expected)


# --- sound: one axis ---------------------------------------------------------------------

RATE, LOW, HIGH = 8000, 300, 3000


@pytest.fixture
def sound(tmp_path):
    """One second of two tones in stereo, (2, samples), read from a 16-bit WAV file."""
    t = np.arange(RATE) / RATE
    low, high = np.sin(2 * np.pi * LOW * t), np.sin(2 * np.pi * HIGH * t)
    stereo = np.stack([0.4 * low + 0.4 * high, 0.1 * low + 0.6 * high], axis=-1)
    path = tmp_path / "tones.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((stereo * 32767).round().astype("<i2").tobytes())
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getframerate()) == (2, RATE)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return samples.reshape(-1, 2).T


def low_pass_filter(taps=101, cutoff=1000):
    t = np.arange(taps) - (taps - 1) / 2
    kernel = np.sinc(2 * cutoff / RATE * t) * np.hamming(taps)
    return (kernel / kernel.sum()).astype(np.float32)


def decibels(after, before):
    return 20 * np.log10(after / before)


def test_a_low_pass_filter_takes_out_the_high_tone(sound):
    weight = np.stack([low_pass_filter()] * 2)[:, np.newaxis]
    filtered = directconv.conv1d(sound, weight, padding="same", groups=2)
    assert filtered.shape == sound.shape
    assert filtered.dtype == np.float32

    # Away from the ends, where the filter sees silence: 7200 samples, whole periods of both.
    middle = slice(400, 7600)
    before = np.abs(np.fft.rfft(sound[:, middle]))
    after = np.abs(np.fft.rfft(filtered[:, middle]))
    low, high = LOW * 7200 // RATE, HIGH * 7200 // RATE
    for channel in range(2):
        assert abs(decibels(after[channel, low], before[channel, low])) < 0.1
        assert decibels(after[channel, high], before[channel, high]) < -40


def test_sound_agrees_with_numpy(sound):
    kernel = low_pass_filter()
    signal = sound[0].astype(np.float64)
    result = directconv.conv1d(signal[np.newaxis], kernel[np.newaxis, np.newaxis])[0]
    expected = np.correlate(signal, kernel.astype(np.float64), mode="valid")
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-9)
