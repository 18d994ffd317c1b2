"""What kernel size, stride and padding do to the size of a feature map.

python examples/kernel_stride_padding.py
"""

import numpy as np

import directconv


def worked_example() -> None:
    """One filter on one place: nine products and their sum."""
    image = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])
    kernel = np.array([[1.0, 0, -1]] * 3)

    print("image * filter, one row at a time:")
    for pixels, weights in zip(image, kernel, strict=True):
        products = " + ".join(
            f"{pixel:.0f}*{weight:.0f}" for pixel, weight in zip(pixels, weights, strict=True)
        )
        print(f"  {products} = {pixels @ weights:.0f}")

    # An image is (channels, height, width), weights are (filters, channels, height, width).
    result = directconv.conv2d(image[np.newaxis], kernel[np.newaxis, np.newaxis])
    print(f"sum: {result.item():.0f}\n")


def table_of_sizes() -> None:
    """A 32x32 image, kernels of 3, 5 and 7, strides of 1 and 2, with and without padding."""
    image = np.ones((1, 32, 32), np.float32)
    print("32x32 image    valid   same   valid, stride 2   same, stride 2")
    for size in (3, 5, 7):
        kernel = np.ones((1, 1, size, size), np.float32)
        sizes = []
        for stride in (1, 2):
            for padding in ("valid", "same"):
                output = directconv.conv2d(image, kernel, stride=stride, padding=padding)
                sizes.append(f"{output.shape[1]}x{output.shape[2]}")
        print(f"{size}x{size} kernel{sizes[0]:>11}{sizes[1]:>7}{sizes[2]:>18}{sizes[3]:>17}")


def padding_modes() -> None:
    """What an averaging filter sees beyond the edge of the signal 1 2 3 4 5."""
    signal = np.array([[1.0, 2, 3, 4, 5]])
    average = np.full((1, 1, 3), 1 / 3)
    print("\nmean of three neighbours of 1 2 3 4 5:")
    for mode in ("zeros", "replicate", "reflect", "symmetric", "circular"):
        result = directconv.conv1d(signal, average, padding="same", padding_mode=mode)
        print(f"  {mode:10}", "  ".join(f"{value:.2f}" for value in result[0]))


def main() -> None:
    worked_example()
    table_of_sizes()
    padding_modes()


if __name__ == "__main__":
    main()
