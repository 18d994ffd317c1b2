"""The bridge to PyTorch: values, derivatives, operators under its own checks, and models."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest

import directconv
from support import printed_by

torch = pytest.importorskip("torch", reason="needs PyTorch")

import torch.nn.functional as F  # noqa: E402

from directconv import _torch_operators as operators  # noqa: E402
from directconv import torch as bridge  # noqa: E402

OURS = {1: bridge.conv1d, 2: bridge.conv2d, 3: bridge.conv3d}
THEIRS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
OURS_BACK = {
    1: bridge.conv_transpose1d,
    2: bridge.conv_transpose2d,
    3: bridge.conv_transpose3d,
}
THEIRS_BACK = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
SPATIAL = {1: (9,), 2: (6, 5), 3: (4, 3, 4)}
NEAR = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-2, torch.bfloat16: 1e-1}


@pytest.fixture(autouse=True)
def _repeatable():
    torch.manual_seed(0)


def drawn(*shape, dtype=torch.float64, grad=True):
    return torch.randn(*shape, dtype=dtype).requires_grad_(grad)


OPTIONS = [
    {},
    {"stride": 2, "padding": 1},
    {"padding": "same", "dilation": 2},
    {"padding": "valid", "groups": 2},
    {"padding": 2, "stride": 3, "dilation": 1},
]
TRANSPOSE_OPTIONS = [
    {},
    {"stride": 2, "padding": 1, "output_padding": 1},
    {"stride": 2, "groups": 2},
    {"dilation": 3, "output_padding": 2},  # beyond the stride
    {"dilation": 4, "stride": 2, "output_padding": 3, "padding": 1},
]


def tensors(dims, options, transposed=False, dtype=torch.float64):
    groups = options.get("groups", 1)
    w = (4, 6 // groups) if transposed else (6, 4 // groups)
    x = drawn(2, 4, *SPATIAL[dims], dtype=dtype)
    return x, drawn(*w, *(3,) * dims, dtype=dtype), drawn(6, dtype=dtype)


CASES = [(False, o) for o in OPTIONS] + [(True, o) for o in TRANSPOSE_OPTIONS]


@pytest.mark.parametrize(("transposed", "options"), CASES, ids=str)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_values_and_derivatives(dims, transposed, options):
    ours, theirs = (OURS_BACK, THEIRS_BACK) if transposed else (OURS, THEIRS)
    x, w, b = tensors(dims, options, transposed)

    def function(x, w, b):
        return ours[dims](x, w, b, **options)

    torch.testing.assert_close(function(x, w, b), theirs[dims](x, w, b, **options))
    torch.testing.assert_close(function(x[0], w, None), theirs[dims](x[0], w, **options))
    small = (
        [a.detach()[..., :3].contiguous().requires_grad_() for a in (x, w)]
        if dims == 3
        else (x, w)
    )
    assert torch.autograd.gradcheck(function, (*small, b), fast_mode=dims == 3)
    assert torch.autograd.gradgradcheck(function, (*small, b), fast_mode=True)


@pytest.mark.parametrize("dtype", NEAR, ids=str)
@pytest.mark.parametrize("transposed", [False, True])
def test_dtypes(dtype, transposed):
    ours, theirs = (OURS_BACK, THEIRS_BACK) if transposed else (OURS, THEIRS)
    options = {"stride": 2, "padding": 1}
    args = tensors(2, options, transposed, dtype)
    result = ours[2](*args, **options)
    assert result.dtype == dtype
    reference = theirs[2](*(a.double() for a in args), **options)
    torch.testing.assert_close(result.double(), reference, atol=NEAR[dtype], rtol=NEAR[dtype])
    g = torch.randn_like(result)
    gradients = torch.autograd.grad(result, args, g)
    expected = torch.autograd.grad(reference, args, g.double())
    for one, other in zip(gradients, expected, strict=True):
        assert one.dtype == dtype
        torch.testing.assert_close(one, other, atol=10 * NEAR[dtype], rtol=10 * NEAR[dtype])


@pytest.mark.parametrize(("transposed", "options"), CASES, ids=str)
def test_operators_pass_their_own_checks(transposed, options):
    """Schema, registration of derivatives, fake kernels, tracing with fixed and free sizes."""
    groups = options.get("groups", 1)
    x, w, b = tensors(2, options, transposed)
    steps, reach = [options.get("stride", 1)] * 2, [options.get("dilation", 1)] * 2
    pads = [options.get("padding", 0)] * 4
    pads = [0] * 4 if isinstance(pads[0], str) else pads
    if transposed:
        size = list(bridge.conv_transpose2d(x, w, **options | {"output_padding": 0}).shape[2:])
        torch.library.opcheck(operators.transposed, (x, w, b, size, steps, pads, reach, groups))
        return
    torch.library.opcheck(operators.convolution, (x, w, b, steps, pads, reach, groups))
    y = operators.convolution(x, w, b, steps, pads, reach, groups).detach().requires_grad_()
    size = list(w.shape)
    torch.library.opcheck(operators.weight_gradient, (x, y, size, steps, pads, reach, groups))


@pytest.mark.parametrize("transposed", [False, True])
def test_many_images(transposed):
    """They may be computed by another algorithm than few, but not with another result."""
    ours, theirs = (
        (bridge.conv_transpose2d, F.conv_transpose2d)
        if transposed
        else (bridge.conv2d, F.conv2d)
    )
    torch.manual_seed(0)
    x, w = torch.randn(9, 16, 14, 14), torch.randn(16, 16, 3, 3)
    b = torch.randn(16)
    gradients = []
    for function in (ours, theirs):
        given = [t.clone().requires_grad_() for t in (x, w, b)]
        y = function(*given, padding=1)
        gradients.append([y, *torch.autograd.grad(y.square().sum(), given)])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(
            one, other, rtol=1e-4, atol=1e-4 * float(other.detach().abs().max())
        )


@pytest.mark.parametrize("dims", [2, 3])
def test_memory_formats(dims):
    last = torch.channels_last if dims == 2 else torch.channels_last_3d
    x, w, b = tensors(dims, {})
    plain = OURS[dims](x, w, b)
    x_last = x.detach().contiguous(memory_format=last).requires_grad_()
    w_last = w.detach().contiguous(memory_format=last)
    result = OURS[dims](x_last, w_last, b)
    assert result.is_contiguous(memory_format=last)
    torch.testing.assert_close(result, plain)
    (g,) = torch.autograd.grad(result.square().sum(), x_last)
    (expected,) = torch.autograd.grad(plain.square().sum(), x)
    torch.testing.assert_close(g, expected)
    torch.library.opcheck(
        operators.convolution, (x_last, w, b, [1] * dims, [0] * 2 * dims, [1] * dims, 1)
    )


def test_any_strides_and_expanded_tensors():
    x, w, b = tensors(2, {})
    turned = x.detach().transpose(2, 3)[:, :, ::2]
    torch.testing.assert_close(bridge.conv2d(turned, w, b), F.conv2d(turned, w, b))
    one = x.detach()[:1, :1].expand(3, 4, -1, -1)
    torch.testing.assert_close(bridge.conv2d(one, w, b), F.conv2d(one, w, b))
    loss = bridge.conv2d(x, w, b).sum()  # its gradient is expanded from one number
    (g,) = torch.autograd.grad(loss, w)
    torch.testing.assert_close(g, torch.autograd.grad(F.conv2d(x, w, b).sum(), w)[0])


def test_tensors_are_read_where_they_are(monkeypatch):
    seen = []

    def spy(x, w, b, *args, out, **options):
        seen.extend(a.ctypes.data for a in (x, w, b, out))
        return directconv.conv2d(x, w, b, *args, out=out, **options)

    monkeypatch.setitem(operators._CONVOLVE, 2, spy)
    x, w, b = tensors(2, {}, dtype=torch.float32)
    y = bridge.conv2d(x, w, b)
    assert seen == [t.data_ptr() for t in (x, w, b, y)]


def test_same_padding_with_a_stride():
    x, w = drawn(1, 2, 7, 8), drawn(3, 2, 3, 3)
    expected = directconv.conv2d(
        x.detach().numpy(), w.detach().numpy(), stride=2, padding="same"
    )
    result = bridge.conv2d(x, w, stride=2, padding="same")
    np.testing.assert_allclose(result.detach().numpy(), expected, rtol=1e-12, atol=1e-12)


def network():
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 8, 3, stride=2, groups=4, bias=False),
        torch.nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1),
    )


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_compile(backend, dynamic):
    torch._dynamo.reset()
    model = bridge.convert(network())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(model, backend=backend, fullgraph=True, dynamic=dynamic)
        for batch, size in ((2, 9), (3, 12)):
            x = drawn(batch, 3, size, size, dtype=torch.float32)
            y = compiled(x)
            torch.testing.assert_close(y, model(x))
            gradients = torch.autograd.grad(y.square().sum(), list(model.parameters()))
            expected = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
            for one, other in zip(gradients, expected, strict=True):
                torch.testing.assert_close(one, other)


def test_export():
    model = bridge.convert(network()).eval()
    x = torch.randn(2, 3, 9, 9)
    free = {"input": {0: torch.export.Dim("batch")}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(model, (x,), dynamic_shapes=free)
    names = {str(node.target) for node in exported.graph.nodes}
    assert {"directconv.convolution.default", "directconv.transposed.default"} <= names
    other = torch.randn(5, 3, 9, 9)
    torch.testing.assert_close(exported.module()(other), model(other))


LAYERS = [
    torch.nn.Conv1d(2, 4, 3, padding=1),
    torch.nn.Conv2d(2, 4, 3, stride=2, padding=1, padding_mode="reflect"),
    torch.nn.Conv2d(2, 4, 3, padding="same", padding_mode="circular"),
    torch.nn.Conv3d(2, 4, 3, padding=1, padding_mode="replicate"),
    torch.nn.ConvTranspose1d(2, 4, 3, stride=2),
    torch.nn.ConvTranspose2d(2, 4, 3, stride=2, output_padding=1, groups=2),
    torch.nn.ConvTranspose3d(2, 4, 2, stride=2, bias=False),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_each_layer_converts_and_reverts(layer, monkeypatch):
    layer = copy.deepcopy(layer)
    x = torch.randn(2, 2, *(8,) * len(layer.kernel_size))
    expected, kind = layer(x), type(layer)
    assert bridge.convert(layer) is layer
    assert type(layer) is not kind
    assert isinstance(layer, kind)
    with monkeypatch.context() as forbidden:  # nothing is left to PyTorch
        for name in (*THEIRS.values(), *THEIRS_BACK.values()):
            forbidden.setattr(F, name.__name__, None)
        torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)
    clone = pickle.loads(pickle.dumps(layer))
    torch.testing.assert_close(clone(x), layer(x))
    assert type(bridge.revert(layer)) is kind
    torch.testing.assert_close(layer(x), expected)


def test_converted_models_keep_their_weights():
    model = network()
    before, state = list(model.parameters()), list(model.state_dict())
    x = torch.randn(2, 3, 9, 9)
    called = []
    model[0].register_forward_hook(lambda *_: called.append(1))
    expected = model(x)
    bridge.convert(model)
    assert all(a is b for a, b in zip(before, model.parameters(), strict=True))
    assert list(model.state_dict()) == state
    torch.testing.assert_close(model(x), expected, atol=1e-5, rtol=1e-5)
    assert called == [1, 1]
    with torch.no_grad():
        model[0].weight.zero_()  # in place: the next call sees it
    torch.testing.assert_close(model(x), bridge.revert(model)(x), atol=1e-5, rtol=1e-5)


def test_derived_layers_are_left_alone():
    class Doubled(torch.nn.Conv1d):
        def forward(self, input):
            return 2 * super().forward(input)

    layer = bridge.convert(Doubled(1, 1, 1))
    assert type(layer) is Doubled


def test_output_size_of_transposed_layers():
    layer = torch.nn.ConvTranspose2d(1, 1, 3, stride=2)
    x = torch.randn(1, 1, 4, 4)
    expected = layer(x, output_size=(10, 9))
    torch.testing.assert_close(bridge.convert(layer)(x, output_size=(10, 9)), expected)


def test_training_follows_pytorch():
    one = network().double()
    two = bridge.convert(copy.deepcopy(one))
    x = torch.randn(4, 3, 9, 9, dtype=torch.float64)
    for model in (one, two):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        for _ in range(5):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_autocast():
    model = bridge.convert(network())
    with torch.autocast("cpu", torch.bfloat16):
        assert model(torch.randn(2, 3, 9, 9)).dtype == torch.bfloat16


def test_empty_batches():
    x, w = drawn(0, 2, 5, 5), drawn(3, 2, 3, 3)
    y = bridge.conv2d(x, w)
    assert y.shape == (0, 3, 3, 3)
    (g,) = torch.autograd.grad(y.sum(), w)
    assert not g.any()
    assert bridge.conv_transpose2d(x, drawn(2, 3, 2, 2), stride=2).shape == (0, 3, 10, 10)


def test_meta_tensors():
    x, w = torch.empty(2, 3, 8, 8, device="meta"), torch.empty(4, 3, 3, 3, device="meta")
    assert bridge.conv2d(x, w, stride=2).shape == (2, 4, 3, 3)


def test_threads_are_those_of_both(monkeypatch):
    asked = []

    def spy(*args, threads, out, **options):
        asked.append(threads)
        return directconv.conv2d(*args, out=out, **options)

    monkeypatch.setitem(operators._CONVOLVE, 2, spy)
    monkeypatch.setattr(operators._runtime, "get_num_threads", lambda: 3)
    before = torch.get_num_threads()
    try:
        for number in (1, 5):
            torch.set_num_threads(number)
            bridge.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3))
    finally:
        torch.set_num_threads(before)
    assert asked == [1, 3]


ONE = torch.ones(1, 2, 5, 5)
WEIGHT = torch.ones(4, 2, 3, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: bridge.conv2d(ONE.numpy(), WEIGHT), TypeError, "input must be a torch.Tensor"),
        (lambda: bridge.conv2d(ONE.to_sparse(), WEIGHT), TypeError, "input must be a dense"),
        (lambda: bridge.conv2d(ONE * 1j, WEIGHT), TypeError, "complex64; convert"),
        (lambda: bridge.conv2d(ONE.long(), WEIGHT), TypeError, "int64; convert"),
        (lambda: bridge.conv2d(ONE.double(), WEIGHT), TypeError, "must have one dtype"),
        (lambda: bridge.conv2d(ONE[0, 0], WEIGHT), ValueError, "weight must have 4 axes"),
        (lambda: bridge.conv2d(ONE, WEIGHT[0]), ValueError, "weight must have 4 axes"),
        (lambda: bridge.conv2d(ONE, WEIGHT[:, :1]), ValueError, "takes 1 input channels"),
        (lambda: bridge.conv2d(ONE, WEIGHT, ONE[0, 0, 0]), ValueError, "bias must have shape"),
        (lambda: bridge.conv2d(ONE, WEIGHT, groups=3), ValueError, "multiple of groups=3"),
        (lambda: bridge.conv2d(ONE, WEIGHT, groups=0), ValueError, "groups must be"),
        (lambda: bridge.conv2d(ONE, WEIGHT, stride=0), ValueError, "stride must be at least 1"),
        (lambda: bridge.conv2d(ONE, WEIGHT, padding="full"), ValueError, "padding must be"),
        (lambda: bridge.conv2d(ONE, WEIGHT, dilation=3), ValueError, "weight spans 7"),
        (lambda: bridge.conv_transpose2d(ONE, WEIGHT), ValueError, "takes 4 input channels"),
        (
            lambda: bridge.conv_transpose2d(ONE, WEIGHT[:2], output_padding=1),
            ValueError,
            "output_padding must be smaller",
        ),
        (
            lambda: bridge.conv_transpose2d(ONE, WEIGHT[:2], padding=4),
            ValueError,
            "leave nothing",
        ),
        (lambda: bridge.convert("model"), TypeError, "model must be"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_other_devices_are_refused():
    """No such device is here; a tensor that says so is."""

    class Elsewhere(torch.Tensor):
        device = torch.device("cuda:0")

    with pytest.raises(ValueError, match=r"input must be on the CPU.*input\.cpu\(\)"):
        bridge.conv2d(ONE.as_subclass(Elsewhere), WEIGHT)


def test_importing_the_package_does_not_import_torch():
    assert printed_by("import directconv, sys; print('torch' in sys.modules)") == "False"
