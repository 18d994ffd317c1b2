"""Where do algorithms of filters cross?  python benchmarks/bench_filter_crossover.py

Times direct sums, the core's own choice and transforms of tiles on one thread, in milliseconds,
beside what the cost model says of direct sums, the core's FFT and tiles, and what "auto" takes.
From the times it fits constants at the top of src/directconv/_filter_cost.py.
"""

import time

import numpy as np

from directconv import _filter_cost as cost
from directconv import ndimage
from directconv._filter_choice import Border
from directconv._filter_run import correlate

SLOW = 3000  # products of a direct sum that is not waited for
RNG = np.random.default_rng(1)
SHAPES = (
    ((1_000_000,), [(n,) for n in (8, 32, 64, 128, 256, 1024, 4096)]),
    ((540, 960), [(n, n) for n in (3, 5, 7, 11, 15, 21, 31, 45, 101, 201)]),
    ((96, 96, 96), [(n, n, n) for n in (3, 5, 7, 11)]),
)


def best(call, seconds=0.15):
    call()
    times, until = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < until:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def timed(x, kernel, algorithm):
    return best(
        lambda: ndimage.correlate(x, kernel, mode="constant", algorithm=algorithm, threads=1)
    )


def timed_core(x, kernel):
    """The core's own choice."""
    out, before = np.empty_like(x), [k // 2 for k in kernel.shape]
    kernel = kernel.astype(x.dtype)
    return best(lambda: correlate(x, kernel, before, Border("constant"), out, "core", 1))


def main():
    direct = []
    print(
        f"{'shape':18}{'kernel':12}{'direct':>9}{'core':>9}{'fft':>9}{'model':>27}   auto, ms"
    )
    for shape, kernels in SHAPES:
        x = RNG.random(shape, np.float32)
        for size in kernels:
            kernel = RNG.random(size)
            outputs, products = x.size, kernel.size
            directly = timed(x, kernel, "direct") if products < SLOW else float("nan")
            by_fft, by_core = timed(x, kernel, "fft"), timed_core(x, kernel)
            auto = timed(x, kernel, "auto")
            if products < SLOW and len(shape) < 3:
                direct.append((outputs, outputs * products, directly * 1e9))
            model = (
                cost.direct_cost(outputs, size, 4) / 1e6,
                cost.core_fft_cost(shape, size, 4) / 1e6,
                cost.fft_cost(shape, size, 4) / 1e6,
            )
            print(
                f"{'x'.join(map(str, shape)):18}{'x'.join(map(str, size)):12}"
                f"{directly * 1e3:9.2f}{by_core * 1e3:9.2f}{by_fft * 1e3:9.2f}"
                f"{model[0]:9.2f}{model[1]:9.2f}{model[2]:9.2f}   {auto * 1e3:.2f}"
            )
    rows = np.array(direct)
    scale = rows[:, 2]
    fitted, *_ = np.linalg.lstsq(rows[:, :2] / scale[:, None], np.ones(len(rows)), rcond=None)
    print(f"PER_OUTPUT, PER_PRODUCT in use: {cost.PER_OUTPUT}, {cost.PER_PRODUCT}")
    print("fitted: {:.3f}, {:.5f}".format(*fitted))
    x = RNG.random((1080, 1920), np.float32)
    print("an outer product of 1-D kernels, 1080p: direct and separable, ms")
    for n in (3, 5, 7, 9, 15):
        kernel = np.outer(RNG.random(n), RNG.random(n))
        times = [timed(x, kernel, name) * 1e3 for name in ("direct", "separable", "auto")]
        print(f"{n}x{n}: {times[0]:.2f} {times[1]:.2f}, auto {times[2]:.2f}")


if __name__ == "__main__":
    main()
