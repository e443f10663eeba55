#!/usr/bin/env python3
"""Times PyTorch and Basin on the CPU, side by side in one run: training steps and evaluation.

A training step is forward, loss, backward and an SGD update with momentum; evaluation is the
forward pass alone. Every measurement is a process of its own, so that its peak memory (VmHWM) means
something; the configurations take turns for several rounds, so that a change in the load of the
machine meets all of them. Input data are drawn once, outside the timing.

Networks: resnet20 (32x32, 3x3 stem, widths 16/32/64, batch 128), resnet18_32 (32x32, 3x3 stem, no
pooling, widths 64..512, batch 32), resnet50 (224x224, batch 16), all with batch norm. Sides:
PyTorch in the default layout and in channels_last, for each --python; and the command
    basin bench --model M --image-size S --batch-size N --mode train|eval --threads T --steps K --json
which prints {"step_seconds": [...], "peak_memory_bytes": n, "cpu_seconds": [...]}, the last one
optional: process CPU time per step. On a busy machine compare the CPU times at one thread.

The table gives the median, least and greatest step over all rounds and the ratio of PyTorch's
median to Basin's (above 1: Basin is faster). This file needs no package itself; the interpreters
given by --python need torch (torchvision is not used).
"""

import argparse
import datetime
import itertools
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
# name -> (image size, batch size, classes)
NETS = {"resnet20": (32, 128, 10), "resnet18_32": (32, 32, 10), "resnet50": (224, 16, 1000)}
LAYOUTS = ("default", "channels_last")


# --------------------------------------------------------------- the PyTorch side, a child process

def build_network(name, classes):
    from torch import nn
    import torch.nn.functional as F

    def conv(in_channels, out_channels, size, stride):
        return nn.Conv2d(in_channels, out_channels, size, stride, size // 2, bias=False)

    class Block(nn.Module):
        def __init__(self, in_channels, planes, stride, bottleneck):
            super().__init__()
            out_channels = 4 * planes if bottleneck else planes
            sizes = [(in_channels, planes, 1, 1), (planes, planes, 3, stride),
                     (planes, out_channels, 1, 1)] if bottleneck else [
                         (in_channels, planes, 3, stride), (planes, planes, 3, 1)]
            self.convs = nn.ModuleList(conv(*s) for s in sizes)
            self.norms = nn.ModuleList(nn.BatchNorm2d(s[1]) for s in sizes)
            self.downsample = None
            if stride != 1 or in_channels != out_channels:
                self.downsample = nn.Sequential(conv(in_channels, out_channels, 1, stride),
                                                nn.BatchNorm2d(out_channels))

        def forward(self, x):
            y = x
            for i, (c, n) in enumerate(zip(self.convs, self.norms)):
                y = n(c(y))
                if i + 1 < len(self.convs):
                    y = F.relu(y, inplace=True)
            y += x if self.downsample is None else self.downsample(x)
            return F.relu(y, inplace=True)

    counts, width, bottleneck = {"resnet20": ([3, 3, 3], 16, False),
                                 "resnet18_32": ([2, 2, 2, 2], 64, False),
                                 "resnet50": ([3, 4, 6, 3], 64, True)}[name]
    large_stem = name == "resnet50"
    layers = [conv(3, width, 7 if large_stem else 3, 2 if large_stem else 1),
              nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    if large_stem:
        layers.append(nn.MaxPool2d(3, 2, 1))
    channels = width
    for stage, count in enumerate(counts):
        for i in range(count):
            planes = width << stage
            layers.append(Block(channels, planes, 2 if stage and not i else 1, bottleneck))
            channels = planes * (4 if bottleneck else 1)
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*layers)


def peak_memory_bytes():
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


def child(net, size, batch, classes, mode, layout, threads, warmup, steps):
    """Prints one JSON line in the form of `basin bench --json`."""
    import torch
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    layout = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    model = build_network(net, classes).to(memory_format=layout).train(mode == "train")
    images = torch.randn(batch, 3, size, size).contiguous(memory_format=layout)
    labels = torch.randint(classes, (batch,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)

    def train_step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    def evaluation_step():
        with torch.inference_mode():
            model(images)

    step = train_step if mode == "train" else evaluation_step
    wall, cpu = [], []
    for i in range(warmup + steps):
        start, cpu_start = time.perf_counter(), time.process_time()
        step()
        if i >= warmup:
            wall.append(time.perf_counter() - start)
            cpu.append(time.process_time() - cpu_start)
    print(json.dumps({"step_seconds": wall, "cpu_seconds": cpu,
                      "peak_memory_bytes": peak_memory_bytes(), "version": torch.__version__}))


# --------------------------------------------------------------- the driver

def load():
    return os.getloadavg()[0]


def run(command, environment):
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {result.returncode}:\n"
                         f"{result.stderr[-2000:]}")
    return json.loads(result.stdout)


def sides(arguments):
    """(label, function from a configuration to its command), in the order of the table."""
    for python in arguments.python or [sys.executable]:
        for layout in arguments.layout or LAYOUTS:
            def command(net, mode, threads, steps, python=python, layout=layout):
                size, batch, classes = NETS[net]
                return [python, __file__, "--child", json.dumps(
                    [net, size, batch, classes, mode, layout, threads, arguments.warmup, steps])]
            yield (python, layout), command
    if arguments.basin:
        def ours(net, mode, threads, steps):
            size, batch, classes = NETS[net]
            return [arguments.basin, "bench", "--model", net, "--image-size", str(size),
                    "--batch-size", str(batch), "--classes", str(classes), "--mode", mode,
                    "--threads", str(threads), "--warmup", str(arguments.warmup),
                    "--steps", str(steps), "--json"]
        yield ("basin", ""), ours


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def seconds(values):
    if not values:
        return "–"
    return " / ".join(f"{1e3 * x:.1f}" for x in
                      (statistics.median(values), min(values), max(values)))


def table(rows):
    lines = ["| net | mode | threads | side | ms per step: median / min / max |"
             " CPU ms per step: median / min / max | peak MiB | ratio to Basin: wall | CPU |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        ours = next((r for r in rows if r["side"] == "basin" and all(
            r[k] == row[k] for k in ("net", "mode", "threads"))), None)
        ratios = ["–", "–"]
        if ours and ours is not row:
            for i, key in enumerate(("step_seconds", "cpu_seconds")):
                if row[key] and ours[key]:
                    ratio = statistics.median(row[key]) / statistics.median(ours[key])
                    ratios[i] = f"{ratio:.2f}"
        lines.append("| " + " | ".join(
            [row["net"], row["mode"], str(row["threads"]), row["side"],
             seconds(row["step_seconds"]), seconds(row["cpu_seconds"]),
             f"{row['peak_memory_bytes'] / 2**20:.0f}", *ratios]) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", metavar="PATH",
                        help="an interpreter that has torch; may be repeated (default: this one)")
    parser.add_argument("--basin", default=str(ROOT / "build" / "cpu" / "basin"), metavar="PATH",
                        help="our program (default: %(default)s); '' times PyTorch alone")
    parser.add_argument("--net", action="append", choices=NETS, help="default: all; repeatable")
    parser.add_argument("--mode", action="append", choices=("train", "eval"), help="default: both")
    parser.add_argument("--threads", action="append", type=int, help="default: 1 and 2; repeatable")
    parser.add_argument("--layout", action="append", choices=LAYOUTS,
                        help="memory layout of PyTorch's side; default: all; repeatable")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--warmup", type=int, default=2,
                        help="untimed steps of each process (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3,
                        help="aim of one process's timed steps (default: %(default)s)")
    parser.add_argument("--output", type=pathlib.Path, metavar="PATH.md",
                        help="write the table there, and all numbers to PATH.json")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*json.loads(arguments.child))
        return
    if arguments.basin and not pathlib.Path(arguments.basin).exists():
        parser.error(f"{arguments.basin} does not exist: build it, or give --basin '' to time "
                     "PyTorch alone")

    about = {"date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
             "cpu": processor(), "cpus": len(os.sched_getaffinity(0)),
             "system": platform.platform(), "load_before": load(), "versions": {}}
    rows = []
    for net, mode, threads in itertools.product(
            arguments.net or NETS, arguments.mode or ("train", "eval"),
            arguments.threads or (1, 2)):
        # Idle threads sleep instead of spinning: on a shared machine spinning costs both sides.
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
        group = []
        for (label, layout), command in sides(arguments):
            first = run(command(net, mode, threads, 1), environment)  # how long is a step?
            steps = max(3, min(200, round(arguments.seconds / first["step_seconds"][-1])))
            version = first.get("version", "")
            about["versions"][label] = version or about["versions"].get(label, "")
            side = "basin" if label == "basin" else f"torch {version} {layout}"
            row = {"net": net, "mode": mode, "threads": threads, "side": side,
                   "batch": NETS[net][1], "steps_per_round": steps, "step_seconds": [],
                   "cpu_seconds": [], "peak_memory_bytes": 0, "load": []}
            group.append((row, command(net, mode, threads, steps)))
        for _ in range(arguments.rounds):
            for row, command in group:
                row["load"].append(load())
                result = run(command, environment)
                row["step_seconds"] += result["step_seconds"]
                row["cpu_seconds"] += result.get("cpu_seconds", [])
                row["peak_memory_bytes"] = max(row["peak_memory_bytes"],
                                               result["peak_memory_bytes"])
        group_rows = [row for row, _ in group]
        rows += group_rows
        print(table(group_rows), file=sys.stderr, flush=True)  # not lost when interrupted
    about["load_after"] = load()
    text = (f"{about['date']}, {about['cpu']}, {about['cpus']} CPUs, load average "
            f"{about['load_before']:.1f} before, {about['load_after']:.1f} after, "
            f"{arguments.rounds} rounds taking turns.\n\n" + table(rows))
    print(text)
    if arguments.output:
        arguments.output.write_text(text)
        arguments.output.with_suffix(".json").write_text(
            json.dumps({"about": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
