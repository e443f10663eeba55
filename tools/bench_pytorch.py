#!/usr/bin/env python3
"""Times PyTorch and Basin side by side in one run, on the CPU or a GPU: training steps and evaluation.

A training step is forward, loss, backward and an SGD update with momentum; evaluation is the
forward pass alone. Every measurement is a process of its own, so that its peak memory means
something; the sides take turns for several rounds, so that a change in the load or the clock of the
machine meets all of them. Input data are drawn once, on the device, outside the timing.

Networks: resnet20 and resnet18_32 (32x32, 3x3 stem, no pooling), resnet50 (224x224), with batch
norm, and Fixup's resnet20 and resnet50; initialised as Basin does where zeros are concerned. Sides:
  default               PyTorch, layout NCHW
  channels_last         PyTorch, layout NHWC
  compile               the same, and torch.compile
  compile_max_autotune  the same, with mode="max-autotune"
  basin                 basin bench --model M --image-size S --batch-size N --classes K
                          --mode train|eval --warmup W --steps K --json
                          (CPU: --device cpu --threads T; GPU: --device cuda --precision P)
of which the first four run with each --python. basin bench prints {"step_seconds": [...],
"captured_step_seconds": [...], "peak_memory_bytes": n, "cpu_seconds": [...],
"device_memory_bytes": n}, of which the first and the third must be there. Where steps were captured
into a CUDA graph, as Basin trains, "basin" is those, and "basin, not captured" a row of its own.

CPU: fp32; wall and process CPU time of every step; peak memory is VmHWM. On a busy machine compare
the CPU times at one thread.
GPU: bf16 by autocast, tf32, or fp32; cudnn.benchmark=True; PyTorch's steps are timed by events
between them, without a synchronisation in each, after a warm-up of at least --warmup-seconds;
memory is what PyTorch's allocator reserved, CUDA's context not counted.

On a GPU, a second table says which of Basin's goals are met.

The table gives the median, least and greatest step over all rounds and the ratio of a side's
median to Basin's (above 1: Basin is faster). This file needs no package itself; the interpreters
given by --python need torch (torchvision is not used). torch.compile came with torch 2.0.
"""

import argparse
import datetime
import itertools
import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
# name -> (image size, classes, batch size on the CPU, on a GPU in training, in evaluation)
NETS = {"resnet20": (32, 10, 128, 128, 1024), "fixup_resnet20": (32, 10, 128, 128, 1024),
        "resnet18_32": (32, 10, 32, 512, 1024), "resnet50": (224, 1000, 16, 256, 512),
        "fixup_resnet50": (224, 1000, 16, 256, 512)}
# What Basin is to reach on a GPU in bf16, with the batch sizes above: (net, mode, side, ratio of the
# side's time to Basin's).
GOALS = (("resnet50", "train", "channels_last", 1.35), ("resnet50", "train", "compile", 1.10),
         ("fixup_resnet50", "train", "channels_last", 1.80), ("resnet50", "eval", "channels_last", 2.0))
COMPILE_MODES = {"compile": None, "compile_max_autotune": "max-autotune"}
SIDES = ("default", "channels_last", *COMPILE_MODES)
DEFAULT_NETS = {"cpu": ("resnet20", "resnet18_32", "resnet50"),
                "cuda": ("resnet50", "fixup_resnet50", "resnet20", "resnet18_32")}
DEFAULT_SIDES = {"cpu": ("default", "channels_last"),
                 "cuda": ("channels_last", "compile", "compile_max_autotune")}


# --------------------------------------------------------------- the PyTorch side, a child process

def build_network(name, classes):
    import torch
    from torch import nn
    import torch.nn.functional as F

    def conv(in_channels, out_channels, size, stride):
        return nn.Conv2d(in_channels, out_channels, size, stride, size // 2, bias=False)

    def conv_sizes(in_channels, planes, stride, bottleneck):
        """(in channels, out channels, kernel size, stride) of a block's convolutions."""
        if bottleneck:
            return [(in_channels, planes, 1, 1), (planes, planes, 3, stride),
                    (planes, 4 * planes, 1, 1)]
        return [(in_channels, planes, 3, stride), (planes, planes, 3, 1)]

    def scalar(value=0.0):
        return nn.Parameter(torch.full((1,), value))

    class Block(nn.Module):
        def __init__(self, in_channels, planes, stride, bottleneck):
            super().__init__()
            sizes = conv_sizes(in_channels, planes, stride, bottleneck)
            out_channels = sizes[-1][1]
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

    class FixupBlock(nn.Module):
        """Zhang, Dauphin, Ma (2019), as in the authors' code: a bias before each convolution and
        one behind, a scale behind the last."""

        def __init__(self, in_channels, planes, stride, bottleneck):
            super().__init__()
            sizes = conv_sizes(in_channels, planes, stride, bottleneck)
            out_channels = sizes[-1][1]
            self.convs = nn.ModuleList(conv(*s) for s in sizes)
            nn.init.zeros_(self.convs[-1].weight)
            self.before = nn.ParameterList(scalar() for _ in sizes)
            self.behind = nn.ParameterList(scalar() for _ in sizes)
            self.scale = scalar(1.0)
            self.downsample = None
            if stride != 1 or in_channels != out_channels:
                self.downsample = conv(in_channels, out_channels, 1, stride)

        def forward(self, x):
            y = shifted = x + self.before[0]
            for i, c in enumerate(self.convs):
                if i + 1 < len(self.convs):
                    y = F.relu(c(y) + self.behind[i], inplace=True) + self.before[i + 1]
                else:
                    y = c(y) * self.scale + self.behind[i]
            y += x if self.downsample is None else self.downsample(shifted)
            return F.relu(y, inplace=True)

    class AddScalar(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = scalar()

        def forward(self, x):
            return x + self.bias

    fixup = name.startswith("fixup_")
    counts, width, bottleneck = {"resnet20": ([3, 3, 3], 16, False),
                                 "resnet18_32": ([2, 2, 2, 2], 64, False),
                                 "resnet50": ([3, 4, 6, 3], 64, True)}[name.replace("fixup_", "")]
    block = FixupBlock if fixup else Block
    large_stem = name.endswith("resnet50")
    layers = [conv(3, width, 7 if large_stem else 3, 2 if large_stem else 1),
              AddScalar() if fixup else nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    if large_stem:
        layers.append(nn.MaxPool2d(3, 2, 1))
    channels = width
    for stage, count in enumerate(counts):
        for i in range(count):
            planes = width << stage
            layers.append(block(channels, planes, 2 if stage and not i else 1, bottleneck))
            channels = planes * (4 if bottleneck else 1)
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers += [AddScalar()] if fixup else []
    layers.append(nn.Linear(channels, classes))
    return nn.Sequential(*layers)


def peak_memory_bytes():
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


def child(net, size, batch, classes, mode, side, device, dtype, threads, warmup, warmup_seconds,
          steps, seconds):
    """Prints one JSON line in the form of `basin bench --json`. With 0 steps, as many are timed as
    fit into `seconds`: 50 to 1000."""
    try:
        import torch
    except ImportError as error:
        sys.exit(f"{sys.executable} has no torch ({error}): name an interpreter that has it with "
                 "--python")
    if side in COMPILE_MODES and not hasattr(torch, "compile"):
        sys.exit(f"torch {torch.__version__} of {sys.executable} has no torch.compile (2.0 and "
                 "later have): choose the sides with --side")
    cuda = device == "cuda"
    if cuda and not torch.cuda.is_available():
        sys.exit(f"torch {torch.__version__} of {sys.executable} finds no CUDA device: a build for "
                 "the CPU, a driver too old, or no GPU")
    if cuda:
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = dtype == "tf32"
        torch.backends.cudnn.allow_tf32 = dtype == "tf32"
    else:
        torch.set_num_threads(threads)
    torch.manual_seed(1)
    layout = torch.contiguous_format if side == "default" else torch.channels_last
    network = build_network(net, classes).to(device=device, memory_format=layout)
    network.train(mode == "train")
    images = torch.randn(batch, 3, size, size, device=device).contiguous(memory_format=layout)
    labels = torch.randint(classes, (batch,), device=device)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    model = network
    if side in COMPILE_MODES:
        model = torch.compile(network, mode=COMPILE_MODES[side])
    autocast = torch.autocast(device, dtype=torch.bfloat16, enabled=dtype == "bf16")

    def train_step():
        optimizer.zero_grad()
        with autocast:
            loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()

    def evaluation_step():
        with torch.inference_mode(), autocast:
            model(images)

    step = train_step if mode == "train" else evaluation_step
    began, done = time.perf_counter(), 0
    while done < warmup or time.perf_counter() - began < warmup_seconds:
        step()
        done += 1
        if cuda:  # else the queue would run ahead of the clock
            torch.cuda.synchronize()
    if not steps:
        start = time.perf_counter()
        for _ in range(3):
            step()
        torch.cuda.synchronize()
        steps = step_count(cuda, seconds, (time.perf_counter() - start) / 3)
    wall, cpu = [], []
    if cuda:
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(steps + 1)]
        marks[0].record()
    for i in range(steps):
        start, cpu_start = time.perf_counter(), time.process_time()
        step()
        if cuda:
            marks[i + 1].record()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    result = {"version": torch.__version__}
    if cuda:
        torch.cuda.synchronize()
        wall = [1e-3 * a.elapsed_time(b) for a, b in zip(marks, marks[1:])]
        result["device_memory_bytes"] = torch.cuda.max_memory_reserved()
        result["cudnn"] = torch.backends.cudnn.version()
    print(json.dumps({**result, "step_seconds": wall, "cpu_seconds": cpu,
                      "peak_memory_bytes": peak_memory_bytes()}))


# --------------------------------------------------------------- the driver

def step_count(cuda, seconds, step_seconds):
    least, most = (50, 1000) if cuda else (3, 200)
    return max(least, min(most, round(seconds / step_seconds)))


def load():
    return os.getloadavg()[0]


def run(command, environment):
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {result.returncode}:\n"
                           f"{result.stderr[-2000:]}")
    return json.loads(result.stdout)


def batch_size(arguments, net, mode):
    if arguments.batch_size:
        return arguments.batch_size
    _, _, cpu, training, evaluation = NETS[net]
    if arguments.device == "cpu":
        return cpu
    return training if mode == "train" else evaluation


def sides(arguments):
    """(label, side, function that makes the command), in the order of the table.

    The function takes net, mode, threads, seconds of warm-up, a step's seconds (0: not known yet)
    and the number of steps.
    """
    for python in arguments.python or [sys.executable]:
        for side in arguments.side or DEFAULT_SIDES[arguments.device]:
            def command(net, mode, threads, warmup_seconds, _, steps, python=python, side=side):
                size, classes = NETS[net][:2]
                return [python, __file__, "--child", json.dumps(
                    [net, size, batch_size(arguments, net, mode), classes, mode, side,
                     arguments.device, arguments.precision, threads, arguments.warmup,
                     warmup_seconds, steps, arguments.seconds])]
            yield python, side, command
    if arguments.basin:
        def ours(net, mode, threads, warmup_seconds, step_seconds, steps):
            size, classes = NETS[net][:2]
            warmup = arguments.warmup
            if step_seconds:
                warmup = max(warmup, math.ceil(warmup_seconds / step_seconds))
            where = ["--device", arguments.device]
            where += (["--threads", str(threads)] if arguments.device == "cpu" else
                      ["--precision", arguments.precision])
            return [arguments.basin, "bench", "--model", net, "--image-size", str(size),
                    "--batch-size", str(batch_size(arguments, net, mode)), "--classes",
                    str(classes), "--mode", mode, *where, "--warmup", str(warmup),
                    "--steps", str(steps), "--json"]
        yield "basin", "basin", ours


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def gpu_state():
    """Name, driver, clocks, power and temperature, as nvidia-smi says; '' where there is none."""
    query = "name,driver_version,clocks.sm,clocks.mem,power.draw,temperature.gpu,utilization.gpu"
    try:
        return subprocess.run(["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"],
                              capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def milliseconds(values):
    if not values:
        return "–"
    return " / ".join(f"{1e3 * x:.4g}" if x < 0.01 else f"{1e3 * x:.1f}" for x in
                      (statistics.median(values), min(values), max(values)))


def table(rows):
    lines = ["| net | mode | batch | precision | threads | side | ms per step: median / min / max |"
             " images/s | CPU ms per step: median / min / max | peak MiB | ratio to Basin: wall |"
             " CPU |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        ours = next((r for r in rows if r["side"] == "basin" and all(
            r[k] == row[k] for k in ("net", "mode", "threads"))), None)
        ratios = ["–", "–"]
        if ours and ours is not row:
            for i, key in enumerate(("step_seconds", "cpu_seconds")):
                if row[key] and ours[key]:
                    ratio = statistics.median(row[key]) / statistics.median(ours[key])
                    ratios[i] = f"{ratio:.2f}"
        memory = row["device_memory_bytes"] if row["device"] == "cuda" else row["peak_memory_bytes"]
        lines.append("| " + " | ".join(
            [row["net"], row["mode"], str(row["batch"]), row["precision"],
             str(row["threads"]) if row["device"] == "cpu" else "–", row["side"],
             milliseconds(row["step_seconds"]),
             f"{row['batch'] / statistics.median(row['step_seconds']):.1f}",
             milliseconds(row["cpu_seconds"]),
             f"{memory / 2**20:.0f}" if memory else "–", *ratios]) + " |")
    return "\n".join(lines) + "\n"


def goals_table(rows):
    """Which of GOALS the rows meet; '' where they say nothing of any."""
    lines = []
    for net, mode, side, goal in GOALS:
        def find(suffix):
            return next((row for row in rows if row["device"] == "cuda" and row["step_seconds"]
                         and (row["net"], row["mode"], row["precision"]) == (net, mode, "bf16")
                         and row["side"].split()[-1] == suffix
                         and row["batch"] == NETS[net][3 if mode == "train" else 4]), None)
        ours, theirs = find("basin"), find(side)
        if ours and theirs:
            ratio = (statistics.median(theirs["step_seconds"])
                     / statistics.median(ours["step_seconds"]))
            lines.append(f"| {net} | {mode} | {ours['batch']} | {theirs['side']} | {goal:.2f} | "
                         f"{ratio:.2f} | {'met' if ratio >= goal else 'NOT MET'} |")
    if not lines:
        return ""
    return "\n".join(["| net | mode | batch | beside | goal: times as fast | measured | |",
                      "| --- | --- | --- | --- | --- | --- | --- |", *lines]) + "\n"


def positive(kind):
    def read(text):
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
        return value
    return read


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu",
                        help="default: %(default)s")
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"),
                        help="default: bf16 on a GPU; the CPU computes in fp32")
    parser.add_argument("--python", action="append", metavar="PATH",
                        help="an interpreter that has torch; may be repeated (default: this one)")
    parser.add_argument("--basin", metavar="PATH",
                        help="our program; '' times PyTorch alone (default: build/cpu/basin, on a "
                        "GPU build/cuda/basin)")
    parser.add_argument("--net", action="append", choices=NETS, help="repeatable; default: "
                        + "; ".join(f"{k}: {', '.join(v)}" for k, v in DEFAULT_NETS.items()))
    parser.add_argument("--mode", action="append", choices=("train", "eval"), help="default: both")
    parser.add_argument("--batch-size", type=positive(int), help="default: by network, device, mode")
    parser.add_argument("--threads", action="append", type=positive(int),
                        help="of the CPU; default: 1 and 2; repeatable")
    parser.add_argument("--side", "--layout", action="append", choices=SIDES,
                        help="how PyTorch runs; repeatable; default: "
                        + "; ".join(f"{k}: {', '.join(v)}" for k, v in DEFAULT_SIDES.items()))
    parser.add_argument("--rounds", type=positive(int), default=3, help="default: %(default)s")
    parser.add_argument("--warmup", type=int, default=2,
                        help="least untimed steps of each process (default: %(default)s)")
    parser.add_argument("--warmup-seconds", type=float,
                        help="least time of them (default: 0 on the CPU, 3 on a GPU)")
    parser.add_argument("--seconds", type=float, default=3,
                        help="aim of one process's timed steps (default: %(default)s)")
    parser.add_argument("--output", type=pathlib.Path, metavar="PATH.md",
                        help="write the table there, and all numbers to PATH.json")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return arguments
    cuda = arguments.device == "cuda"
    arguments.precision = arguments.precision or ("bf16" if cuda else "fp32")
    if not cuda and arguments.precision != "fp32":
        parser.error(f"--precision {arguments.precision}: the CPU side computes in fp32; use "
                     "--device cuda")
    if arguments.warmup_seconds is None:
        arguments.warmup_seconds = 3.0 if cuda else 0.0
    if arguments.basin is None:
        arguments.basin = str(ROOT / "build" / ("cuda" if cuda else "cpu") / "basin")
    if arguments.basin and not pathlib.Path(arguments.basin).exists():
        parser.error(f"{arguments.basin} does not exist: build it, or give --basin '' to time "
                     "PyTorch alone")
    return arguments


def main():
    arguments = parse_arguments()
    if arguments.child:
        child(*json.loads(arguments.child))
        return
    cuda = arguments.device == "cuda"
    about = {"date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
             "cpu": processor(), "cpus": len(os.sched_getaffinity(0)), "gpu_before": gpu_state(),
             "system": platform.platform(), "load_before": load(), "versions": {}}
    rows, failures = [], []

    def report():
        about["load_after"], about["gpu_after"] = load(), gpu_state()
        where = (f"GPU before: {about['gpu_before']}; after: {about['gpu_after']}" if cuda else
                 f"load average {about['load_before']:.1f} before, {about['load_after']:.1f} after")
        text = (f"{about['date']}, {about['cpu']}, {about['cpus']} CPUs, {where}, "
                f"{arguments.rounds} rounds taking turns.\n\n" + table(rows))
        goals = goals_table(rows)
        text += "\n" + goals if goals else ""
        if arguments.output:
            arguments.output.write_text(text)
            arguments.output.with_suffix(".json").write_text(
                json.dumps({"about": about, "rows": rows}, indent=1) + "\n")
        return text

    for net, mode, threads in itertools.product(
            arguments.net or DEFAULT_NETS[arguments.device], arguments.mode or ("train", "eval"),
            [0] if cuda else arguments.threads or (1, 2)):
        environment = dict(os.environ)
        if not cuda:
            # Idle threads sleep instead of spinning: on a shared machine spinning costs both sides.
            environment |= {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
        group = []
        for label, side, command in sides(arguments):
            row = {"net": net, "mode": mode, "threads": threads, "device": arguments.device,
                   "precision": arguments.precision, "side": side,
                   "batch": batch_size(arguments, net, mode), "steps_per_round": 0,
                   "step_seconds": [], "not_captured": [], "cpu_seconds": [],
                   "peak_memory_bytes": 0,
                   "device_memory_bytes": 0, "load": []}
            step_seconds = steps = 0
            # How long is a step? On a GPU PyTorch's process finds out itself: its start takes long.
            if side == "basin" or not cuda:
                try:
                    first = run(command(net, mode, threads, 0, 0, 1), environment)
                except RuntimeError as error:
                    failures.append(str(error))
                    continue
                step_seconds = first["step_seconds"][-1]
                steps = step_count(cuda, arguments.seconds, step_seconds)
            group.append((row, label, command(net, mode, threads, arguments.warmup_seconds,
                                              step_seconds, steps)))
        for _ in range(arguments.rounds):
            for row, label, command in group:
                row["load"].append(load())
                try:
                    result = run(command, environment)
                except RuntimeError as error:
                    failures.append(str(error))
                    continue
                captured = result.get("captured_step_seconds")
                row["step_seconds"] += captured or result["step_seconds"]
                row["not_captured"] += result["step_seconds"] if captured else []
                row["cpu_seconds"] += [] if captured else result.get("cpu_seconds", [])
                row["steps_per_round"] = len(result["step_seconds"])
                version = result.get("version", "")
                about["versions"][label] = version or about["versions"].get(label, "")
                if version and not row["side"].startswith("torch"):
                    row["side"] = f"torch {version} {row['side']}"
                for key in ("peak_memory_bytes", "device_memory_bytes"):
                    row[key] = max(row[key], result.get(key, 0))
        group_rows = [row for row, _, _ in group if row["step_seconds"]]
        group_rows += [{**row, "side": row["side"] + ", not captured",
                        "step_seconds": row["not_captured"]}
                       for row in group_rows if row["not_captured"]]
        rows += group_rows
        print(table(group_rows), file=sys.stderr, flush=True)  # not lost when interrupted
        report()
    print(report())
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
