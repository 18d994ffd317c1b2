"""How does the time fall with the number of threads?"""

import pytest
from shapes import REPRESENTATIVES

import directconv
from directconv.cli.measure import prepare, using_threads

ALL = directconv.get_num_threads()
COUNTS = sorted({ALL, *(2**power for power in range(ALL.bit_length()))})


@pytest.mark.parametrize("threads", COUNTS)
@pytest.mark.parametrize("layer", REPRESENTATIVES, ids=lambda layer: layer.name)
def test_layer(benchmark, layer, threads):
    subject = prepare(layer)
    benchmark.group = f"threads: {layer.name}"
    benchmark.extra_info.update(flops=layer.flops, threads=threads)
    with using_threads(threads):
        benchmark(subject.calls["layer"])
