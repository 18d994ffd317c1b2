"""See only what moves: convolution over the frames of a video.

python examples/motion_in_a_video.py [folder]
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

import directconv

FRAMES, SIZE, RADIUS, SPEED = 12, 64, 6, 4


def make_video() -> np.ndarray:
    """A bright disc that crosses a still, patterned background: (frames, height, width)."""
    y, x = np.mgrid[:SIZE, :SIZE]
    background = 60 + 40 * np.sin(x / 5) * np.cos(y / 7)
    video = np.repeat(background[np.newaxis], FRAMES, axis=0)
    for number, frame in enumerate(video):
        disc = (x - 10 - SPEED * number) ** 2 + (y - SIZE // 2) ** 2 <= RADIUS**2
        frame[disc] = 220
    return video.astype(np.uint8)


def write_gif(path: Path, video: np.ndarray) -> None:
    first, *others = (Image.fromarray(frame) for frame in video)
    first.save(path, save_all=True, append_images=others, duration=80, loop=0)


def read_gif(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        frames = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(image)]
    return np.stack(frames)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_gif(folder / "video.gif", make_video())
    video = read_gif(folder / "video.gif")

    # A video is (channels, frames, height, width). This filter is two frames deep and one pixel
    # wide: each pixel now, minus the same pixel one frame ago.
    difference = np.array([-1, 1], np.float32).reshape(1, 1, 2, 1, 1)
    motion = directconv.conv3d(video[np.newaxis], difference)
    print(f"video {video.shape}, filter {difference.shape[2:]}, motion {motion.shape[1:]}")
    print(f"pixels that never change: {np.mean(~motion.any(axis=(0, 1))):.0%}")

    # Averaging over 5x5 pixels at the same time makes the trace smooth.
    smooth = np.repeat(np.repeat(difference, 5, axis=3), 5, axis=4) / 25
    trace = directconv.conv3d(
        video[np.newaxis], smooth, padding=((0, 0), (2, 2), (2, 2)), padding_mode="replicate"
    )
    front = trace[0].max(axis=1).argmax(axis=1)  # the column that became brighter most
    print("front of the disc, by frame:", *front)
    print("pixels per frame:", np.diff(front).mean())

    grey = np.rint(128 + trace[0] / 2).clip(0, 255)  # still: mid-grey
    write_gif(folder / "motion.gif", grey.astype(np.uint8))
    print(f"wrote {folder / 'motion.gif'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
