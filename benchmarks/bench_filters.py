"""Are filters faster than SciPy's and OpenCV's?

python benchmarks/bench_filters.py [threads] [cases whose name contains this]

Prints milliseconds (the best of several interleaved runs) and ratios; peers that are not
installed, or have no such filter, are left out.
"""

import sys
import time
from functools import partial
from importlib import import_module
from importlib.util import find_spec

import numpy as np

import directconv
from directconv import ndimage, signal

RNG = np.random.default_rng(1)
IMAGE = RNG.random((1080, 1920), np.float32)
BYTES = (IMAGE * 255).astype(np.uint8)
REPEATED = 0.02  # seconds for which a call is repeated, at least three times, ...
LONG = 0.2  # ... unless it takes as long as this
SLOW = 3e9  # products: SciPy's loops are not waited for beyond this


def peer(name):
    return import_module(name) if find_spec(name.partition(".")[0]) else None


def _kernel_case(x, kernel, saturate=False):
    nd, sig, cv = peer("scipy.ndimage"), peer("scipy.signal"), peer("cv2")
    calls = {"ours": lambda: ndimage.correlate(x, kernel, saturate=saturate)}
    if nd and x.size * kernel.size < SLOW:
        calls["scipy.ndimage"] = lambda: nd.correlate(x, kernel)
    if sig and x.dtype.kind == "f":
        calls["scipy.signal"] = lambda: sig.oaconvolve(x, kernel, "same")
    if cv and x.ndim == 2:
        calls["cv2"] = lambda: cv.filter2D(x, -1, kernel, borderType=cv.BORDER_REFLECT)
    return calls


def _colour_case(height, width, k):
    """A layer with one filter for all colours of an image, each beside the others."""
    cv = peer("cv2")
    image, kernel = _random(height, width, 3), _random(k, k) / k**2
    layer = directconv.Conv2d(
        np.stack([kernel] * 3)[:, None], padding="same", groups=3, layout="channels_last"
    )
    calls = {"ours": lambda: layer(image)}
    if cv:
        edge = cv.BORDER_CONSTANT
        calls["cv2"] = lambda: cv.filter2D(image, -1, kernel, borderType=edge)
    return calls


def _gaussian_case(x, sigma, saturate=False):
    nd, cv = peer("scipy.ndimage"), peer("cv2")
    size = 2 * int(4 * sigma + 0.5) + 1
    calls = {"ours": lambda: ndimage.gaussian_filter(x, sigma, saturate=saturate)}
    if nd:
        calls["scipy.ndimage"] = lambda: nd.gaussian_filter(x, sigma)
    if cv:
        calls["cv2"] = lambda: cv.GaussianBlur(
            x, (size, size), sigma, borderType=cv.BORDER_REFLECT
        )
    return calls


def _sobel_case():
    nd, cv = peer("scipy.ndimage"), peer("cv2")
    calls = {"ours": lambda: ndimage.sobel(IMAGE)}
    if nd:
        calls["scipy.ndimage"] = lambda: nd.sobel(IMAGE)
    if cv:
        edge = cv.BORDER_REFLECT
        calls["cv2"] = lambda: cv.Sobel(IMAGE, cv.CV_32F, 1, 0, borderType=edge)
    return calls


def _signal_case(taps):
    sig, nd = peer("scipy.signal"), peer("scipy.ndimage")
    x, y = RNG.random(1_000_000, np.float32), RNG.random(taps, np.float32)
    calls = {"ours": lambda: signal.oaconvolve(x, y)}
    if sig:
        calls["scipy.signal"] = lambda: sig.oaconvolve(x, y)
    if nd and x.size * taps < SLOW:
        calls["scipy.ndimage"] = lambda: nd.correlate1d(x, y)
    return calls


def _random(*shape):
    return RNG.random(shape, np.float32)


def _plane(k, x=IMAGE, saturate=False):
    return _kernel_case(x, _random(k, k) / k**2, saturate)


def _volume(k):
    return _kernel_case(_random(256, 256, 256), _random(k, k, k))


CASES = {
    **{f"1080p {k}x{k}": partial(_plane, k) for k in (3, 5, 7, 15, 31)},
    **{f"RGB 1080p {k}x{k}": partial(_colour_case, 1080, 1920, k) for k in (3, 5, 7, 15, 31)},
    **{f"RGB 4K {k}x{k}": partial(_colour_case, 2160, 3840, k) for k in (3, 5, 7, 15, 31)},
    **{f"gaussian {sigma}": partial(_gaussian_case, IMAGE, sigma) for sigma in (1, 3, 10)},
    "sobel": _sobel_case,
    **{f"uint8 {k}x{k}": partial(_plane, k, BYTES) for k in (3, 5)},
    **{f"uint8 {k}x{k} saturated": partial(_plane, k, BYTES, True) for k in (3, 5)},
    "uint8 gaussian 1": partial(_gaussian_case, BYTES, 1),
    "uint8 gaussian 1 saturated": partial(_gaussian_case, BYTES, 1, True),
    **{f"256^3 {k}^3": partial(_volume, k) for k in (3, 5)},
    **{f"1e6 {k} taps": partial(_signal_case, k) for k in (64, 1024, 16384)},
}


def best_times(calls, seconds=1.0, rounds=12):
    """Seconds of each call: the best of rounds in turn, as long as time allows.

    Calls that are not long are repeated, so that none is timed with caches and memory as
    another one has left them: on images of 1080p it takes about six calls until times settle.
    """
    best = dict.fromkeys(calls, float("inf"))
    until = time.perf_counter() + seconds
    for number in range(rounds):
        for name, call in calls.items():
            turn, calls_made = time.perf_counter(), 0
            while True:
                start = time.perf_counter()
                call()
                end = time.perf_counter()
                best[name] = min(best[name], end - start)
                calls_made += 1
                if end - start > LONG or (calls_made >= 3 and end - turn > REPEATED):
                    break
        if number and time.perf_counter() > until:
            break
    return best


def main():
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    directconv.set_num_threads(threads)
    if cv := peer("cv2"):
        cv.setNumThreads(threads)
    print(f"{'ms, threads: ' + str(threads):28}{'ours':>9}  peers (times as long as ours)")
    part = sys.argv[2] if len(sys.argv) > 2 else ""
    for name, case in CASES.items():
        if part not in name:
            continue
        times = best_times(case())
        ours = times.pop("ours")
        others = "   ".join(
            f"{peer} {t * 1e3:.2f} ({t / ours:.1f}x)" for peer, t in times.items()
        )
        print(f"{name:28}{ours * 1e3:9.2f}  {others}", flush=True)


if __name__ == "__main__":
    main()
