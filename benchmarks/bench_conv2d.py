"""How fast is each named layer, with packed weights and without, beside im2col in NumPy?

pytest benchmarks/bench_conv2d.py --benchmark-columns=min,median,rounds -k resnet50
"""

import pytest
from shapes import LAYERS

import directconv
from directconv.cli.measure import CONTENDERS, prepare


@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_layer(benchmark, layer, contender):
    subject = prepare(layer)
    benchmark.group = layer.name
    benchmark.extra_info.update(flops=layer.flops, threads=directconv.get_num_threads())
    benchmark(subject.calls[contender])
