#!/usr/bin/env python3
"""Writes tests/data/image/image_golden.json: what NumPy, OpenCV, Pillow and torchvision make of pictures
and lists that anyone can generate.

A picture of height h and width w with a given base and span has, in row y, column x, channel c
(grey: c = 0), the value base + (37 x + 59 y + 83 c + 11 x y) mod span.

    permutations  {seed, rows, first, count, head, tail, weighted_sum}: elements first ... first +
                  count - 1 of RandomState(seed).permutation(rows) (the same as the elements of
                  RandomState(seed).choice(rows, first + count, replace=False)); the first and last
                  five, and the sum of place * value over them
    grey          cv2.cvtColor(picture, COLOR_RGB2GRAY)
    equalized     cv2.equalizeHist(picture)
    affine        torchvision's affine (nearest, fill 128) of the picture as a Pillow image
    fitted        cv2.resize(INTER_LINEAR) of the picture in float32, long side = side, padded to
                  side x side with 128
    blurred       the same after cv2.GaussianBlur(3x3, sigma 0)
    prepared      affine (where there is one), equalizeHist, fitted, blurred, rounded to whole levels
    resized       Pillow's BILINEAR resize of a box of the picture
    evaluated     torchvision's Resize(side * 256 / 224) and CenterCrop(side) of the picture
Pixels row by row, channels interleaved.

Usage: make_image_golden.py      needs numpy, Pillow, opencv-python-headless, torch, torchvision
(written with NumPy 2.4, Pillow 13.0, OpenCV 5.0, torchvision 0.29)
"""

import json
import pathlib

import cv2
import numpy as np
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

OUTPUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "image_golden.json"
FILL = 128


def picture(height, width, base=0, span=256, channels=1):
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    values = (base + (37 * x + 59 * y + 83 * c + 11 * x * y) % span).astype(np.uint8)
    return values[:, :, 0] if channels == 1 else values


def description(height, width, base=0, span=256):
    return {"height": height, "width": width, "base": base, "span": span}


def permutation(seed, rows, first, count):
    part = np.random.RandomState(seed).permutation(rows)[first:first + count]
    # The paper's code draws lists with choice() and permutes lines of text: the same order.
    if first == 0:
        assert (np.random.RandomState(seed).choice(rows, size=count, replace=False) == part).all()
    lines = np.random.RandomState(seed).permutation([f"{i}\n" for i in range(rows)])
    assert (np.array([int(line) for line in lines[first:first + count]]) == part).all()
    weighted = int((np.arange(len(part), dtype=np.int64) * part.astype(np.int64)).sum())
    return {"seed": seed, "rows": rows, "first": first, "count": count,
            "head": part[:5].tolist(), "tail": part[-5:].tolist(), "weighted_sum": weighted}


def moved(image, degrees, right, down, scale):
    out = F.affine(Image.fromarray(image), angle=degrees, translate=[right, down], scale=scale,
                   shear=[0.0, 0.0], interpolation=InterpolationMode.NEAREST, fill=FILL)
    return np.array(out)


def fitted(image, side):
    height, width = image.shape
    if height >= width:
        size = (round(side / (height / width)), side)
    else:
        size = (side, round(side / (width / height)))
    small = cv2.resize(image.astype(np.float32), dsize=size, interpolation=cv2.INTER_LINEAR)
    out = np.full((side, side), FILL, dtype=np.float32)
    out[:small.shape[0], :small.shape[1]] = small
    return out


def prepared(image, side):
    blurred = cv2.GaussianBlur(fitted(cv2.equalizeHist(image), side), (3, 3), 0)
    # A value on the edge between two levels would make the golden file depend on the last bit.
    # Where nothing is resized, values are multiples of 1/16 and exact.
    if max(image.shape) != side:
        nearest_tie = np.abs(blurred - np.floor(blurred) - 0.5)
        assert nearest_tie[nearest_tie > 0].min() > 1e-4, nearest_tie.min()
    return np.rint(blurred).astype(np.uint8)


def flat(array):
    return np.asarray(array).ravel().tolist()


def short(array):
    return [round(float(v), 4) for v in np.asarray(array).ravel()]


def main():
    golden = {
        "permutations": [permutation(2020, 120906, 0, 50000), permutation(2020, 52041, 0, 50000),
                         permutation(1234, 223414, 0, 50000),
                         permutation(1234, 223414, 50000, 50000), permutation(1234, 40, 10, 30)],
        "grey": [], "equalized": [], "affine": [], "fitted": [], "blurred": [], "prepared": [],
        "resized": [], "evaluated": [],
    }
    shape = (7, 9)
    golden["grey"].append({**description(*shape), "pixels": flat(
        cv2.cvtColor(picture(*shape, channels=3), cv2.COLOR_RGB2GRAY))})
    for case in [(8, 11, 0, 256), (8, 11, 60, 50), (3, 3, 200, 2), (4, 4, 77, 1), (13, 7, 3, 17)]:
        golden["equalized"].append(
            {**description(*case), "pixels": flat(cv2.equalizeHist(picture(*case)))})
    for case, degrees, right, down, scale in [((20, 26), 12.5, 1, -1, 0.97),
                                              ((20, 26), -15.0, -1, 1, 1.05),
                                              ((31, 17), 3.25, 0, 2, 0.95),
                                              ((16, 16), 0.0, 3, -2, 1.0)]:
        golden["affine"].append({**description(*case), "degrees": degrees, "right": right,
                                 "down": down, "scale": scale,
                                 "pixels": flat(moved(picture(*case), degrees, right, down, scale))})
    for case, side in [((24, 19), 16), ((13, 29), 16), ((16, 16), 16), ((32, 32), 16), ((9, 6), 16),
                       ((16, 11), 16), ((60, 3), 16)]:
        image = picture(*case)
        golden["fitted"].append(
            {**description(*case), "side": side, "values": short(fitted(image, side))})
        golden["blurred"].append(
            {**description(*case), "side": side,
             "values": short(cv2.GaussianBlur(fitted(image, side), (3, 3), 0))})
    for case, side, change in [((39, 32, 20, 90), 24, None), ((29, 37), 24, None),
                               ((24, 18, 100, 60), 24, None),
                               ((41, 50, 0, 200), 24, (-7.5, 2, 1, 1.02))]:
        image = picture(*case)
        entry = {**description(*case), "side": side}
        if change is not None:
            entry.update(zip(("degrees", "right", "down", "scale"), change))
            image = moved(image, *change)
        golden["prepared"].append({**entry, "pixels": flat(prepared(image, side))})
    for case, box, size in [((33, 50), (0, 0, 33, 50), (9, 14)), ((33, 50), (4, 7, 21, 30), (16, 16)),
                            ((33, 50), (4, 7, 11, 9), (16, 16)), ((12, 9), (0, 0, 12, 9), (12, 5))]:
        top, left, height, width = box
        image = Image.fromarray(picture(*case, channels=3))
        image = image.crop((left, top, left + width, top + height))
        golden["resized"].append(
            {**description(*case), "box": list(box), "size": list(size),
             "pixels": flat(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))})
    for case, side in [((60, 91), 14), ((91, 60), 14), ((20, 21), 14), ((33, 33), 28)]:
        image = Image.fromarray(picture(*case, channels=3))
        image = F.resize(image, [side * 256 // 224], interpolation=InterpolationMode.BILINEAR)
        golden["evaluated"].append({**description(*case), "side": side,
                                    "pixels": flat(F.center_crop(image, [side, side]))})
    lines = []
    for kind, cases in golden.items():
        rows = ",\n  ".join(json.dumps(case, separators=(",", ":")) for case in cases)
        lines.append(f'"{kind}": [\n  {rows}\n]')
    OUTPUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"wrote {OUTPUT}, {OUTPUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
