"""The command line: what it prints, what it writes, and how it refuses."""

import json
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest
from PIL import Image

import directconv
from directconv.cli import feature_maps, main, measure
from directconv.cli import filter as filter_command
from directconv.cli.kernels import KERNELS, stacked
from directconv.cli.layers import FAMILIES, LAYERS, select

QUICK = ["bench", "--layer", "mobilenet dw3x3 384", "--layer", "101 taps", "--seconds", "0.01"]


@pytest.fixture(autouse=True)
def _in_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def random_pixels(*shape):
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def save(array, name="picture.png"):
    Image.fromarray(array).save(name)
    return name


def pixels(name):
    with Image.open(name) as image:
        return np.asarray(image)


def refusal(capsys, *arguments):
    """Run a command that is refused; return its one line on stderr."""
    try:
        status = main(list(arguments))
    except SystemExit as error:
        status = error.code
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    return err.strip().splitlines()[-1]


# The command itself


def test_import_is_light():
    code = "import sys, directconv.cli; print({'rich', 'matplotlib', 'PIL'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "set()\n", run.stderr


def test_module_is_the_command():
    run = subprocess.run(
        [sys.executable, "-m", "directconv", "bench", "--list", "--layer", "c3d"],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "1x64x8x28x28" in run.stdout


@pytest.mark.parametrize("command", [[], ["bench"], ["filter"], ["info"]])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main([*command, "--help"])
    assert exit_info.value.code == 0
    assert capsys.readouterr().out.startswith(" ".join(["usage: directconv", *command]))


def test_version(capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["--version"])
    assert exit_info.value.code == 0
    assert capsys.readouterr().out == f"directconv {version('directconv')}\n"


def test_no_command_is_an_error(capsys):
    assert "COMMAND" in refusal(capsys)


# info


@pytest.mark.parametrize("rich", [True, False])
def test_info(rich, capsys, monkeypatch):
    if not rich:
        monkeypatch.setitem(sys.modules, "rich", None)
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for isa in directconv.available_isas():
        assert isa in out
    assert np.__version__ in out


# bench


def test_layers_compute_what_they_say():
    """The shapes are those of the published networks."""
    by_name = {layer.name: layer for layer in LAYERS}
    assert len(by_name) == len(LAYERS)
    first = by_name["resnet50 7x7s2 3-64 224"]
    assert first.output_shape == (1, 64, 112, 112)
    assert first.weight_shape == (64, 3, 7, 7)
    assert first.macs == 112 * 112 * 64 * 3 * 49
    assert by_name["resnext g32 3x3 128-128 56"].weight_shape == (128, 4, 3, 3)
    assert by_name["audio wav2vec k10s5 1-512"].output_spatial == (3199,)
    assert by_name["video temporal 5x1x1"].output_spatial == (16, 240, 320)
    assert by_name["vgg16 3x3 64-64 224"].flops == 2 * 224 * 224 * 64 * 64 * 9


def test_select_matches_names_and_families():
    for family in FAMILIES:
        assert {layer.family for layer in select([family.upper()])} == {family}
    assert select([]) == list(LAYERS)
    assert len(select(["c3d", "unet3d"])) == 2


def test_list(capsys):
    assert main(["bench", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(layer.name in out for layer in LAYERS)


def test_bench_reports_and_saves(capsys):
    status = main([*QUICK, "--threads", "2,1", "--json", "figures.json", "--plot", "chart.png"])
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    machine, *_ = out.splitlines()
    assert f"NumPy {np.__version__}" in machine
    assert "GFLOP/s per thread" in machine
    assert out.count("geometric mean of the speed-up over 2 layers") == 2

    with open("figures.json") as file:
        figures = json.load(file)
    assert figures["machine"]["dtype"] == "float32"
    assert figures["machine"]["peak"]["1"] > 1e8
    places = [(result["layer"], result["threads"]) for result in figures["results"]]
    names = ["mobilenet dw3x3 384 14", "audio low-pass 101 taps"]
    assert places == [(name, threads) for name in names for threads in (1, 2)]
    for result in figures["results"]:
        seconds = result["seconds"]
        assert set(seconds) == {"layer", "function", "im2col"}
        for timing in seconds.values():
            assert 0 < timing["best"] <= timing["median"]
        assert seconds["layer"]["repeats"] >= 3
        assert seconds["im2col"]["repeats"] >= 1
        best = seconds["layer"]["best"]
        assert result["gflops"] == pytest.approx(result["flops"] / best / 1e9)
        assert result["speedup"] == pytest.approx(seconds["im2col"]["best"] / best)
    one_thread = [r["speedup"] for r in figures["results"] if r["threads"] == 1]
    mean = figures["geometric_mean_speedup"]["1"]
    assert mean == pytest.approx(np.exp(np.mean(np.log(one_thread))))
    low_pass = figures["results"][2]
    assert low_pass["im2col_bytes"] == 101 * 160000 * 4

    assert pixels("chart.png").std() > 0


def test_bench_options(capsys):
    options = ["--batch", "2", "--dtype", "float64", "--threads", "all", "--json", "f.json"]
    assert main([*QUICK, *options]) == 0
    assert "float64 peak" in capsys.readouterr().out
    with open("f.json") as file:
        figures = json.load(file)
    assert figures["batch"] == 2
    assert {r["threads"] for r in figures["results"]} == {directconv.get_num_threads()}
    flops = 2 * 2 * 384 * 14 * 14 * 9
    assert figures["results"][0]["flops"] == flops


def test_bench_without_rich_prints_plain_text(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    assert main([*QUICK, "--threads", "1"]) == 0
    out = capsys.readouterr().out
    assert any(line.startswith("audio low-pass 101 taps  ") for line in out.splitlines())


def test_bench_without_threadpoolctl_says_so(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    assert main([*QUICK, "--threads", "1"]) == 0
    assert "BLAS threads not limited" in capsys.readouterr().out.splitlines()[0]


def test_wrong_result_is_an_error(capsys, monkeypatch):
    right = directconv.conv2d
    monkeypatch.setattr(directconv, "conv2d", lambda *a, **k: right(*a, **k) + 0.01)
    assert main([*QUICK, "--threads", "1", "--json", "f.json", "--plot", "chart.png"]) == 1
    out = capsys.readouterr().out
    assert "error: mobilenet dw3x3 384 14, 1 thread: function differs from im2col by" in out
    assert "over 1 layer, 1 thread" in out
    with open("f.json") as file:
        first, second = json.load(file)["results"]
    assert "differs" in first["error"]
    assert "error" not in second


def test_nan_and_shape_are_errors(monkeypatch):
    layer = select(["mobilenet dw3x3 384"])[0]
    right = directconv.conv2d
    for wrong in (lambda y: y * np.nan, lambda y: y[:, 1:]):
        monkeypatch.setattr(
            directconv, "conv2d", lambda *a, wrong=wrong, **k: wrong(right(*a, **k))
        )
        (result,) = measure.measure(layer, "float32", [1], 0.01)
        assert result.error.startswith("function ")


def test_out_of_memory_is_an_error(monkeypatch):
    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr(directconv.im2col, "conv2d", fail)
    layer = select(["mobilenet dw3x3 384"])[0]
    results = list(measure.measure(layer, "float32", [1, 2], 0.01))
    assert ["memory" in result.error for result in results] == [True, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threads", "0"], "--threads: '0' is not a whole number"),
        (["--threads", "1000000"], "--threads: '1000000' is not a whole number from 1 to"),
        (["--threads", "1,,2"], "--threads: '' is not a whole number"),
        (["--threads", "many"], "--threads: 'many'"),
        (["--batch", "1.5"], "--batch: '1.5'"),
        (["--seconds", "0"], "--seconds: '0'"),
        (["--seconds", "nan"], "--seconds: 'nan'"),
        (["--seconds", "soon"], "--seconds: 'soon'"),
        (["--dtype", "int8"], "--dtype"),
        (["--json", "no/such/folder.json"], "there is no folder no/such"),
        (["--plot", "no/such/folder.png"], "there is no folder no/such"),
        (["--plot", "chart.xyz"], "--plot chart.xyz must end in"),
        (["--layer", "alexnet"], "video temporal 5x1x1"),  # the last line of the list
    ],
)
def test_bench_refuses(arguments, message, capsys):
    assert message in refusal(capsys, "bench", *arguments)


def test_plot_needs_matplotlib(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    line = refusal(capsys, "bench", "--plot", "chart.png")
    assert line == 'directconv bench --plot needs Matplotlib: pip install "directconv[cli]"'


# filter


def test_edge_by_hand(capsys):
    """A white dot: 8 times itself at its place, minus itself around it, without the sign."""
    dot = np.zeros((5, 6), np.uint8)
    dot[2, 3] = 10
    assert main(["filter", save(dot), "-o", "out.png"]) == 0
    expected = np.zeros((5, 6), np.uint8)
    expected[1:4, 2:5] = 10
    expected[2, 3] = 80
    np.testing.assert_array_equal(pixels("out.png"), expected)
    assert capsys.readouterr().out.startswith("edge filter on picture.png, 6x5 L: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [("blur", 77), ("sharpen", 77), ("edge", 0), ("sobel", 0), ("emboss", 128)],
)
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3), (1, 1)])
def test_flat_picture_stays_flat(name, value, shape):
    assert main(["filter", save(np.full(shape, 77, np.uint8)), "--kernel", name]) == 0
    np.testing.assert_array_equal(pixels(f"picture-{name}.png"), np.full(shape, value))


def test_sobel_of_a_ramp():
    """A slope of 2 along x and 4 along y has 8 times that gradient, and border pixels less."""
    y, x = np.mgrid[:8, :9]
    assert main(["filter", save((2 * x + 4 * y).astype(np.uint8)), "-k", "sobel"]) == 0
    inner = pixels("picture-sobel.png")[1:-1, 1:-1]
    np.testing.assert_array_equal(inner, np.rint(8 * np.hypot(2, 4)))


@pytest.mark.parametrize("name", KERNELS)
def test_colours_are_filtered_one_by_one(name):
    colours = random_pixels(17, 23, 3)
    main(["filter", save(colours), "-k", name, "-o", "colours.png"])
    for channel in range(3):
        main(["filter", save(colours[..., channel]), "-k", name, "-o", "grey.png"])
        np.testing.assert_array_equal(pixels("colours.png")[..., channel], pixels("grey.png"))


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (1, 5), (12, 1)])
def test_matrix_file(shape):
    """Any size, spaces or commas, against the sum written out."""
    matrix = np.random.default_rng(2).integers(-3, 4, shape)
    grey = random_pixels(8, 9)
    top, left = (shape[0] - 1) // 2, (shape[1] - 1) // 2
    pads = ((top, shape[0] - 1 - top), (left, shape[1] - 1 - left))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(grey, pads, "edge"), shape)
    expected = np.clip((windows * matrix).sum(axis=(2, 3)), 0, 255)
    for delimiter in " ", ",", ", ":
        np.savetxt("mine.txt", matrix, fmt="%d", delimiter=delimiter, header="a comment")
        assert main(["filter", save(grey), "-k", "mine.txt"]) == 0
        np.testing.assert_array_equal(pixels("picture-mine.png"), expected)


def test_alpha_is_kept():
    array = random_pixels(6, 7, 4)
    main(["filter", save(array), "-k", "blur", "-o", "rgba.png"])
    main(["filter", save(np.ascontiguousarray(array[..., :3])), "-k", "blur", "-o", "rgb.png"])
    np.testing.assert_array_equal(pixels("rgba.png")[..., 3], array[..., 3])
    np.testing.assert_array_equal(pixels("rgba.png")[..., :3], pixels("rgb.png"))


def test_other_modes():
    """Black-and-white, palettes and 16 bits become what they look like in 8 bits."""
    grey = random_pixels(6, 7)
    Image.fromarray(grey).convert("1").save("one.png")
    colours = Image.fromarray(random_pixels(6, 7, 3)).quantize(16)
    colours.save("palette.png")
    colours.save("clear.png", transparency=0)
    Image.fromarray(grey.astype(np.uint16) * 257).save("wide.png")
    Image.fromarray(np.stack([grey, grey[::-1]], axis=2), "LA").save("la.png")
    modes = {}
    for name in "one", "palette", "clear", "wide", "la":
        np.savetxt("same.txt", [[1]])
        main(["filter", f"{name}.png", "-k", "same.txt", "-o", "out.png"])
        with Image.open("out.png") as image:
            modes[name] = image.mode
        if name in ("wide", "la"):
            np.testing.assert_array_equal(pixels("out.png").reshape(6, 7, -1)[..., 0], grey)
    assert modes == {"one": "L", "palette": "RGB", "clear": "RGBA", "wide": "L", "la": "LA"}


def test_jpeg_both_ways():
    assert main(["filter", save(random_pixels(16, 24, 3), "photo.jpg"), "-o", "out.jpg"]) == 0
    with Image.open("out.jpg") as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (24, 16), "RGB")


def test_photograph_is_found_without_image(capsys):
    assert main(["filter", "--kernel", "sobel"]) == 0
    assert "grace_hopper.jpg, 512x600 RGB" in capsys.readouterr().out
    assert pixels("grace_hopper-sobel.png").shape == (600, 512, 3)


def test_maps(capsys):
    np.savetxt("mine.txt", [[1, -1]])
    name = save(random_pixels(20, 30, 3))
    assert main(["filter", name, "-k", "mine.txt", "--maps", "maps.png"]) == 0
    assert "feature maps written to maps.png" in capsys.readouterr().out
    height, width, _ = pixels("maps.png").shape
    assert width / height == pytest.approx(
        feature_maps.SIZE[0] / feature_maps.SIZE[1], rel=0.01
    )


def test_stacked_filters_give_what_each_gives():
    image = random_pixels(12, 13)[..., np.newaxis]
    matrices = [matrix for kernel in KERNELS.values() for matrix in kernel.matrices]
    matrices += [np.ones((2, 4), np.float32), np.ones((7, 1), np.float32)]
    together = filter_command.convolve(image, stacked(matrices))
    for index, matrix in enumerate(matrices):
        alone = filter_command.convolve(image, matrix[np.newaxis])
        np.testing.assert_array_equal(together[..., index], alone[..., 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.png"], "directconv filter: cannot read none.png: No such file or directory"),
        (["text.png"], "directconv filter: cannot read text.png: it is not a picture"),
        (["cut.png"], "directconv filter: cannot read cut.png: "),
        (["-k", "sharp"], "there is no filter and no file named sharp; the filters are edge"),
        (["-k", "text.png"], "text.png does not hold a matrix of numbers: could not convert"),
        (["-k", "ragged.txt"], "ragged.txt does not hold a matrix of numbers: "),
        (["-k", "empty.txt"], "empty.txt does not hold a matrix of numbers: it is empty"),
        (["-k", "nan.txt"], "nan.txt holds numbers that are not finite"),
        (["-k", "bytes.txt"], "bytes.txt does not hold a matrix of numbers"),
        (["-k", "."], "does not hold a matrix of numbers: Is a directory"),
        (["-o", "out.doc"], "cannot write out.doc: use a name that ends in .png or .jpg"),
        (["-o", "no/out.png"], "cannot write no/out.png: there is no folder no"),
        (["--maps", "maps.xyz"], "--maps maps.xyz must end in"),
    ],
)
def test_filter_refuses(arguments, message, capsys, tmp_path):
    save(random_pixels(64, 64, 3), "cut.png")
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "ragged.txt").write_text("1 2\n3\n")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "nan.txt").write_text("1 nan\n")
    (tmp_path / "bytes.txt").write_bytes(bytes(range(256)))
    before = sorted(path.name for path in tmp_path.iterdir())
    assert message in refusal(capsys, "filter", *arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_unwritable_picture_is_status_1(capsys):
    status = main(["filter", save(random_pixels(4, 4, 4)), "-o", "out.jpg"])
    assert status == 1
    assert "cannot write out.jpg: cannot write mode RGBA as JPEG" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "arguments", "line"),
    [
        ("PIL", ["picture.png"], "directconv filter needs Pillow"),
        ("matplotlib", [], "directconv filter without IMAGE needs Matplotlib"),
        (
            "matplotlib",
            ["picture.png", "--maps", "m.png"],
            "directconv filter --maps needs ",
        ),
    ],
)
def test_missing_package_is_named(module, arguments, line, capsys, monkeypatch):
    save(random_pixels(4, 4))
    monkeypatch.setitem(sys.modules, module, None)
    last = refusal(capsys, "filter", *arguments)
    assert last.startswith(line)
    assert last.endswith(': pip install "directconv[cli]"')
