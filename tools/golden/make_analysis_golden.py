#!/usr/bin/env python3
"""Writes tests/golden/analyses.json: what NumPy and scikit-learn make of the analyses' inputs.

Features and matrices are drawn by the rule at the top of make_golden.py: value(name, i) =
float32(center + amplitude * unit(name, i)), `i` row by row. Everything is computed in float64.

cka: a stage's outputs in two networks, in batches
    name, batches, places, channels, center
                      batch b of network A is max(0, value("<name>:a:<b>", i)), amplitude 1, as
                      [batches[b], places, channels]; of network B max(0, (a + c) / 2), a before the
                      rectifier, c drawn as "<name>:c:<b>", center 0; sum and half in float32
    hsic              of each batch [HSIC_1(K, L), HSIC_1(K, K), HSIC_1(L, L)], by the formula of
                      Nguyen, Raghu, Kornblith (ICLR 2021) on features [images, places * channels]
    cka               ratio of the means over batches
    aligned           the same formula on features [channels, images * places] of all batches
spectrum: weights
    name, rows, columns, repeat, decay
                      element (i, j) is value(name, (i mod repeat) * columns + j) * decay^j,
                      center 0, amplitude 1; repeat < rows makes the matrix rank-deficient
    values            singular values (numpy.linalg.svd), descending
    spectral_norm, frobenius_norm, stable_rank, effective_rank
auc: labels of a multi-label set
    scores, positives in full; scores are multiples of 1/8, with ties
    auc               sklearn.metrics.roc_auc_score

Usage: make_analysis_golden.py [--output tests/golden]     needs numpy, scikit-learn
"""

import argparse
import json
import pathlib

import numpy as np
from sklearn.metrics import roc_auc_score


def units(name, count):
    """unit(name, i) for i = 0 .. count-1."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) % 2**64
    x = np.arange(count, dtype=np.uint64) + np.uint64(h)
    x += np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return ((x >> np.uint64(40)).astype(np.int64) - 2**23) * 2.0**-23


def draw(name, shape, center=0.0):
    return (center + units(name, int(np.prod(shape)))).astype(np.float32).astype(np.float64).reshape(shape)


def hsic1(k, l):
    n = len(k)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))
    trace = np.sum(k * l.T)
    totals = k.sum() * l.sum() / ((n - 1) * (n - 2))
    rows = 2 / (n - 2) * (k.sum(axis=0) @ l.sum(axis=1))
    return (trace + totals - rows) / (n * (n - 3))


def hsics(x, y):
    k, l = x @ x.T, y @ y.T
    return [hsic1(k, l), hsic1(k, k), hsic1(l, l)]


def cka_case(name, batches, places, channels, center):
    a, b = [], []
    for i, images in enumerate(batches):
        shape = (images, places, channels)
        raw, other = draw(f"{name}:a:{i}", shape, center), draw(f"{name}:c:{i}", shape)
        a.append(np.maximum(raw, 0))
        b.append(np.maximum((raw + other).astype(np.float32) / 2, 0).astype(np.float64))
    hsic = np.array([hsics(x.reshape(len(x), -1), y.reshape(len(y), -1)) for x, y in zip(a, b)])
    means = hsic.mean(axis=0)
    by_channel = [np.concatenate(x).reshape(-1, channels).T for x in (a, b)]
    aligned = hsics(*by_channel)
    return {"name": name, "batches": batches, "places": places, "channels": channels,
            "center": center, "hsic": hsic.tolist(),
            "cka": means[0] / np.sqrt(means[1] * means[2]),
            "aligned": aligned[0] / np.sqrt(aligned[1] * aligned[2])}


def spectrum_case(name, rows, columns, repeat, decay):
    matrix = draw(name, (repeat, columns))[np.arange(rows) % repeat]
    matrix = matrix * decay ** np.arange(columns)
    s = np.linalg.svd(matrix, compute_uv=False)
    p = s[s > 0] / s.sum()
    return {"name": name, "rows": rows, "columns": columns, "repeat": repeat, "decay": decay,
            "values": s.tolist(), "spectral_norm": s[0],
            "frobenius_norm": np.linalg.norm(matrix),
            "stable_rank": np.linalg.norm(matrix) ** 2 / s[0] ** 2,
            "effective_rank": np.exp(-np.sum(p * np.log(p)))}


def auc_case(seed, images, levels, share):
    random = np.random.RandomState(seed)
    positives = random.random_sample(images) < share
    scores = (random.randint(levels, size=images) + 2 * positives) / 8 - 1
    return {"scores": scores.tolist(), "positives": positives.astype(int).tolist(),
            "auc": roc_auc_score(positives, scores)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="tests/golden", type=pathlib.Path)
    arguments = parser.parse_args()
    golden = {
        "cka": [cka_case("wide", [16, 16, 7], 25, 6, 0.25), cka_case("flat", [32, 4], 1, 40, 0.0),
                cka_case("shifted", [9], 64, 8, 0.875)],
        "spectrum": [spectrum_case("square", 12, 12, 12, 1.0), spectrum_case("tall", 40, 9, 40, 1.0),
                     spectrum_case("wide", 8, 72, 8, 1.0), spectrum_case("repeated", 20, 30, 5, 1.0),
                     spectrum_case("graded", 16, 16, 16, 0.25)],
        "auc": [auc_case(1, 40, 6, 0.5), auc_case(2, 60, 3, 0.2), auc_case(3, 25, 50, 0.7)],
    }
    path = arguments.output / "analyses.json"
    path.write_text(json.dumps(golden, indent=1) + "\n")
    print(f"{path}: {path.stat().st_size} bytes")
    for case in golden["cka"]:
        print(case["name"], case["cka"], case["aligned"])
    print([case["auc"] for case in golden["auc"]])


if __name__ == "__main__":
    main()
