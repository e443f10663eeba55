#!/usr/bin/env python3
"""Writes tests/golden/*.json: what PyTorch computes on weights and inputs that anyone can generate.

The files hold no weights and no images. Both sides draw them by one rule (all arithmetic modulo
2^64, strings as UTF-8 bytes):

    fnv1a64(name):    h = 0xCBF29CE484222325; for each byte: h = (h xor byte) * 0x100000001B3
    splitmix64(x):    x += 0x9E3779B97F4A7C15; x = (x xor x>>30) * 0xBF58476D1CE4E5B9;
                      x = (x xor x>>27) * 0x94D049BB133111EB; return x xor x>>31
    unit(name, i)   = ((splitmix64(fnv1a64(name) + i) >> 40) - 2^23) * 2^-23      in [-1, 1)
    value(name, i)  = float32(center + amplitude * unit(name, i))

`i` counts the elements in PyTorch's layout (OIHW for convolutions, NCHW for images), row by row.
`center` and `amplitude` stand in the file for each tensor; both are multiples of 2^-20, so the
expression is exact in double precision and rounds once, with or without fused multiply-add.
Image batches: name "<input>:<step>" (`input` stands in the file), center 0, amplitude 1. The
projection of a tensor `name` is sum_i x_i * unit("projection:" + name, i), its norm
sqrt(sum_i x_i^2), both summed in double.

Model files (<case>.json):
    case, model       file name; name of the network (its definition: the classes below, torchvision)
    batch, image_size, classes, torch, torchvision
    input, margin     prefix of the images' names; it was picked so that in the first training
                      forward |x| / rms(x) >= margin for every input x of every rectifier: where
                      rounding changes the side of a kink, gradients differ whatever the precision
    tensors           name -> {shape, center, amplitude}: every parameter and batch-norm statistic
    samples           name -> the first values of some generated tensors, to check the rule itself
    targets           soft labels of the steps: row i = step * batch + n has 0.75 at class
                      (7 i + 3) mod classes and 0.25 added at class (11 i + 5) mod classes
    sgd               {learning_rate, momentum, weight_decay, factor}: parameters whose name contains
                      "bias" or "scale" use factor * learning_rate; weight decay acts on all
    eval_logits       (batch-norm networks) evaluation mode, initial statistics, step 0's images
    train_logits      training mode, initial weights, step 0's images
    loss              cross entropy of train_logits, mean over the batch
    gradients         parameter -> gradient of that loss
    running_stats     statistic -> its value after that one training forward (momentum 0.1)
    losses            the loss before each of ten SGD steps; step s uses <input>:<s>
    updates           parameter -> value after the ten steps minus the initial value
A summarised tensor is {norm, projection, norm32, projection32, error32}: the first two computed in
float64 (the truth), the next two by PyTorch in float32, error32 = |x32 - x64| / |x64|. Logits also
have `values`, their first elements. The gradient of a scalar that acts on every element of an
activation (Fixup) has `terms`: the norm of what it is the sum of. These sums cancel, so an error is
measured against max(norm, terms). A loss is {value, value32}; `losses` is such a pair of lists.

ops.json: a list of {op, attributes, inputs, outputs}, tensors as {shape, values} in full, NCHW /
OIHW, float64 results for inputs that float32 represents exactly. `d<name>` is a gradient: an input
where the backward pass receives it, an output where it produces it.

Usage: make_golden.py [--output tests/golden] [case ...]     needs torch, torchvision, numpy
"""

import argparse
import json
import math
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

STEPS = 10
MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4
FACTOR = 0.1


# ------------------------------------------------------------------------------- the hash rule

def fnv1a64(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def units(name, count):
    """unit(name, 0 .. count-1) as float64."""
    with np.errstate(over="ignore"):
        x = np.arange(count, dtype=np.uint64) + np.uint64(fnv1a64(name))
        x += np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return ((x >> np.uint64(40)).astype(np.int64) - (1 << 23)) * 2.0**-23


def values(name, shape, center=0.0, amplitude=1.0):
    count = math.prod(shape)
    return (center + amplitude * units(name, count)).astype(np.float32).reshape(shape)


def exact(x):
    """The nearest multiple of 2^-20."""
    return round(x * 2**20) / 2**20


# ------------------------------------------------------------------------------- the networks

def conv(in_channels, out_channels, size, stride):
    return nn.Conv2d(in_channels, out_channels, size, stride, size // 2, bias=False)


def scalar():
    return nn.Parameter(torch.zeros(1))


def spread(parameter, x):
    """The scalar at every element of x; backward leaves the norm of the gradient's terms on it."""
    everywhere = parameter.expand_as(x)
    if everywhere.requires_grad:
        everywhere.register_hook(lambda g: setattr(parameter, "terms", float(g.double().norm())))
    return everywhere


def add(x, parameter):
    return x + spread(parameter, x)


def multiply(x, parameter):
    return x * spread(parameter, x)


class FixupBasicBlock(nn.Module):
    expansion = 1

    def __init__(self, in_channels, planes, stride):
        super().__init__()
        self.conv1 = conv(in_channels, planes, 3, stride)
        self.conv2 = conv(planes, planes, 3, 1)
        self.bias1a, self.bias1b, self.bias2a, self.bias2b = (scalar() for _ in range(4))
        self.scale = scalar()
        if stride != 1 or in_channels != planes:
            self.downsample = conv(in_channels, planes, 1, stride)

    def forward(self, x):
        shifted = add(x, self.bias1a)
        y = F.relu(add(self.conv1(shifted), self.bias1b))
        y = add(multiply(self.conv2(add(y, self.bias2a)), self.scale), self.bias2b)
        return F.relu(y + (self.downsample(shifted) if hasattr(self, "downsample") else x))


class FixupBottleneck(nn.Module):
    expansion = 4

    def __init__(self, in_channels, planes, stride):
        super().__init__()
        self.conv1 = conv(in_channels, planes, 1, 1)
        self.conv2 = conv(planes, planes, 3, stride)
        self.conv3 = conv(planes, 4 * planes, 1, 1)
        self.bias1a, self.bias1b, self.bias2a, self.bias2b = (scalar() for _ in range(4))
        self.bias3a, self.bias3b, self.scale = (scalar() for _ in range(3))
        if stride != 1 or in_channels != 4 * planes:
            self.downsample = conv(in_channels, 4 * planes, 1, stride)

    def forward(self, x):
        shifted = add(x, self.bias1a)
        y = F.relu(add(self.conv1(shifted), self.bias1b))
        y = F.relu(add(self.conv2(add(y, self.bias2a)), self.bias2b))
        y = add(multiply(self.conv3(add(y, self.bias3a)), self.scale), self.bias3b)
        return F.relu(y + (self.downsample(shifted) if hasattr(self, "downsample") else x))


class BatchNormBasicBlock(nn.Module):
    expansion = 1

    def __init__(self, in_channels, planes, stride):
        super().__init__()
        self.conv1 = conv(in_channels, planes, 3, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = conv(planes, planes, 3, 1)
        self.bn2 = nn.BatchNorm2d(planes)
        if stride != 1 or in_channels != planes:
            self.downsample = nn.Sequential(
                conv(in_channels, planes, 1, stride), nn.BatchNorm2d(planes))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet(nn.Module):
    """Stages of `blocks`, widths doubling from `width`. Large stem: 7x7/2 and max pool; small: 3x3."""

    def __init__(self, block, blocks, width, classes, large_stem):
        super().__init__()
        self.fixup = block is not BatchNormBasicBlock
        self.large_stem = large_stem
        self.stages = len(blocks)
        self.conv1 = conv(3, width, 7 if large_stem else 3, 2 if large_stem else 1)
        if self.fixup:
            self.bias1, self.bias2 = scalar(), scalar()
        else:
            self.bn1 = nn.BatchNorm2d(width)
        channels = width
        for stage, count in enumerate(blocks):
            planes, layers = width << stage, []
            for i in range(count):
                layers.append(block(channels, planes, 2 if stage > 0 and i == 0 else 1))
                channels = planes * block.expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = self.conv1(x)
        x = F.relu(add(x, self.bias1) if self.fixup else self.bn1(x))
        if self.large_stem:
            x = F.max_pool2d(x, 3, 2, 1)
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        x = x.mean((2, 3))
        return self.fc(add(x, self.bias2) if self.fixup else x)


MODELS = {
    "fixup_resnet50": lambda k: ResNet(FixupBottleneck, [3, 4, 6, 3], 64, k, True),
    "fixup_resnet18": lambda k: ResNet(FixupBasicBlock, [2, 2, 2, 2], 64, k, True),
    "fixup_resnet20": lambda k: ResNet(FixupBasicBlock, [3, 3, 3], 16, k, False),
    "resnet50": lambda k: torchvision.models.resnet50(num_classes=k),
    "resnet18": lambda k: torchvision.models.resnet18(num_classes=k),
    "resnet20": lambda k: ResNet(BatchNormBasicBlock, [3, 3, 3], 16, k, False),
}

# case -> its network, where the name is not the network's
MODEL_OF = {"fixup_resnet50_224": "fixup_resnet50"}

# case -> (batch, image size, classes, learning rate, candidates for the inputs)
CASES = {
    "fixup_resnet20": (2, 32, 10, 2**-6, 32),
    "resnet20": (4, 32, 10, 2**-6, 32),
    "fixup_resnet18": (3, 64, 10, 2**-7, 32),
    "resnet18": (8, 64, 10, 2**-8, 32),
    "fixup_resnet50": (2, 64, 1000, 2**-9, 64),
    "fixup_resnet50_224": (2, 224, 1000, 2**-9, 1),  # too many activations for a margin
    "resnet50": (4, 64, 1000, 2**-8, 64),
}


def center_and_amplitude(case, name, shape):
    """Ranges that keep activations, logits and gradients near 1 through fifty layers.

    Inside a residual branch batch norm's biases lie nearly two standard deviations above zero:
    rectifiers still cut, but fewer activations are so near zero that rounding decides their side.
    """
    module, leaf = name.rsplit(".", 1) if "." in name else ("", name)
    if len(shape) == 4:
        he = math.sqrt(6 / math.prod(shape[1:]))  # He's variance, 2 / fan-in
        return 0.0, exact(he / 4 if case.startswith("fixup") and name == "conv1.weight" else he)
    if name == "fc.weight":
        return 0.0, exact(math.sqrt(3 / shape[1]))
    if name == "fc.bias":
        return 0.0, 0.25
    if leaf == "scale":  # Fixup: the residual branch adds about a tenth of the variance
        return 0.25, 0.125
    if leaf.startswith("bias") and shape == (1,):
        return 0.0, 0.03125
    if leaf == "running_mean":
        return 0.0, 0.25
    if leaf == "running_var":
        return 1.0, 0.5
    if name == "bn1.bias":  # before max pooling, which would hide most of the rectifier's cuts
        return -0.4375, 0.25
    joins = module.endswith(("bn3" if case == "resnet50" else "bn2", "downsample.1"))
    if leaf == "bias":  # batch norm, as the next
        return (0.0 if joins else 0.75), 0.25
    if leaf == "weight":
        return (0.25 if joins else 0.4375), 0.125
    raise ValueError(f"no range for {name} {shape}")


# ------------------------------------------------------------------------------- a model's file

def targets(step, batch, classes, dtype):
    t = torch.zeros(batch, classes, dtype=dtype)
    for n in range(batch):
        i = step * batch + n
        t[n, (7 * i + 3) % classes] += 0.75
        t[n, (11 * i + 5) % classes] += 0.25
    return t


def array(tensor):
    return tensor.detach().to(torch.float64).numpy().copy()


def margin(model, images):
    """The smallest |input of a rectifier| / root mean square of that rectifier's input."""
    relu, smallest = F.relu, [math.inf]

    def watched(x, inplace=False):
        smallest.append(float(x.abs().min() / x.square().mean().sqrt()))
        return relu(x, inplace)

    F.relu = watched
    try:
        with torch.no_grad():
            model(images)
    finally:
        F.relu = relu
    return min(smallest)


def generated_model(case, dtype):
    """The network of a case with its generated tensors; also these tensors and their ranges."""
    model = MODELS[MODEL_OF.get(case, case)](CASES[case][2]).to(dtype)
    tensors = {name: t for name, t in model.state_dict().items()
               if not name.endswith("num_batches_tracked")}
    ranges = {name: center_and_amplitude(case, name, tuple(t.shape))
              for name, t in tensors.items()}
    for name, t in tensors.items():
        t.copy_(torch.from_numpy(values(name, tuple(t.shape), *ranges[name])).to(dtype))
    return model, tensors, ranges


def choose_input(case):
    """The input prefix, among the candidates, whose first batch keeps furthest from every kink.

    Chosen in float32, which is much faster; the margin returned with it is that in float64.
    """
    batch, size, _, _, candidates = CASES[case]

    def margins(dtype, prefixes):
        model, _, _ = generated_model(case, dtype)
        model.train()
        for prefix in prefixes:
            images = torch.from_numpy(values(f"{prefix}:0", (batch, 3, size, size))).to(dtype)
            yield margin(model, images), prefix

    _, best = max(margins(torch.float32, [f"input{i}" for i in range(candidates)]))
    return next(margins(torch.float64, [best]))


def run_model(case, dtype, prefix):
    """Everything the file holds, as float64 arrays, computed in `dtype`."""
    batch, size, classes, learning_rate, _ = CASES[case]
    model, tensors, ranges = generated_model(case, dtype)
    initial = {name: array(t) for name, t in tensors.items()}

    def batch_of(step):
        return torch.from_numpy(values(f"{prefix}:{step}", (batch, 3, size, size))).to(dtype)

    result = {"tensors": {name: {"shape": list(t.shape), "center": ranges[name][0],
                                 "amplitude": ranges[name][1]} for name, t in tensors.items()},
              "initial": initial, "losses": []}
    has_batch_norm = any(name.endswith("running_var") for name in tensors)
    if has_batch_norm:
        model.eval()
        with torch.no_grad():
            result["eval_logits"] = array(model(batch_of(0)))

    parameters = dict(model.named_parameters())
    slow = [p for name, p in parameters.items() if "bias" in name or "scale" in name]
    fast = [p for name, p in parameters.items() if not ("bias" in name or "scale" in name)]
    optimizer = torch.optim.SGD(
        [{"params": fast}, {"params": slow, "lr": learning_rate * FACTOR}],
        lr=learning_rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    model.train()
    for step in range(STEPS):
        logits = model(batch_of(step))
        loss = -(targets(step, batch, classes, dtype) * F.log_softmax(logits, 1)).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            result["train_logits"] = array(logits)
            result["gradients"] = {name: array(p.grad) for name, p in parameters.items()}
            result["terms"] = {name: p.terms for name, p in parameters.items()
                               if hasattr(p, "terms")}
            if has_batch_norm:
                result["running_stats"] = {name: array(t) for name, t in tensors.items()
                                           if "running_" in name}
        result["losses"].append(float(loss.detach()))
        optimizer.step()
    result["updates"] = {name: array(p) - initial[name] for name, p in parameters.items()}
    return result


def summary(name, x64, x32):
    signs = units("projection:" + name, x64.size)
    norm = math.sqrt(float(np.sum(x64**2)))
    return {"norm": norm, "projection": float(np.dot(x64.ravel(), signs)),
            "norm32": math.sqrt(float(np.sum(x32**2))),
            "projection32": float(np.dot(x32.ravel(), signs)),
            "error32": float(np.sqrt(np.sum((x32 - x64)**2)) / norm)}


def model_file(case):
    batch, size, classes, learning_rate, _ = CASES[case]
    distance, prefix = choose_input(case)
    double, single = (run_model(case, dtype, prefix) for dtype in (torch.float64, torch.float32))
    sampled = [name for name in double["tensors"]
               if name in ("conv1.weight", "fc.weight", "bias1", "bn1.running_var",
                           "layer1.0.scale", "layer2.0.bias1a")]
    out = {"case": case, "model": MODEL_OF.get(case, case), "batch": batch, "image_size": size,
           "classes": classes, "input": prefix, "margin": distance,
           "torch": torch.__version__, "torchvision": torchvision.__version__,
           "sgd": {"learning_rate": learning_rate, "momentum": MOMENTUM,
                   "weight_decay": WEIGHT_DECAY, "factor": FACTOR},
           "tensors": double["tensors"],
           "samples": {name: double["initial"][name].ravel()[:8].tolist() for name in sampled}}
    first = f"{prefix}:0"
    out["samples"][first] = values(first, (8,)).astype(np.float64).tolist()
    for kind in ("eval_logits", "train_logits"):
        if kind in double:
            out[kind] = summary("logits", double[kind], single[kind])
            out[kind]["values"] = double[kind].ravel()[:32].tolist()
    out["loss"] = {"value": double["losses"][0], "value32": single["losses"][0]}
    out["losses"] = {"value": double["losses"], "value32": single["losses"]}
    for kind in ("gradients", "running_stats", "updates"):
        if kind in double:
            out[kind] = {name: summary(name, x, single[kind][name])
                         for name, x in double[kind].items()}
    for name, norm in double["terms"].items():
        out["gradients"][name]["terms"] = norm
    return out


# ------------------------------------------------------------------------------- single operations

def tensor_json(t):
    return {"shape": list(t.shape), "values": t.detach().to(torch.float64).ravel().tolist()}


def drawn(name, *shape, center=0.0, amplitude=1.0):
    return torch.from_numpy(values("ops:" + name, shape, center, amplitude)).to(torch.float64)


def op_case(op, attributes, inputs, outputs):
    return {"op": op, "attributes": attributes,
            "inputs": {name: tensor_json(t) for name, t in inputs.items()},
            "outputs": {name: tensor_json(t) for name, t in outputs.items()}}


def differentiate(op, attributes, inputs, function, wanted):
    """Runs y = function(*inputs), pulls a drawn dy back, and records y and d<wanted>."""
    leaves = {name: t.clone().requires_grad_(name in wanted) for name, t in inputs.items()}
    y = function(*leaves.values())
    dy = drawn(f"{op}:dy:{sorted(attributes.items())}:{list(y.shape)}", *y.shape)
    y.backward(dy)
    return op_case(op, attributes, {**inputs, "dy": dy},
                   {"y": y, **{"d" + name: leaves[name].grad for name in wanted}})


def ops_file():
    cases = []
    for shape in ((2, 2, 8, 8), (1, 3, 7, 9), (2, 2, 1, 4), (1, 3, 5, 2)):
        x = drawn(f"max_pool:{shape}", *shape)
        cases.append(differentiate("max_pool", {"kernel": 3, "stride": 2, "padding": 1}, {"x": x},
                                   lambda x: F.max_pool2d(x, 3, 2, 1), ["x"]))
    ties = torch.round(drawn("max_pool:ties", 1, 4, 7, 7) * 1.5)  # the first of equal values wins
    cases.append(differentiate("max_pool", {"kernel": 3, "stride": 2, "padding": 1}, {"x": ties},
                               lambda x: F.max_pool2d(x, 3, 2, 1), ["x"]))

    for shape in ((3, 5, 4, 3), (2, 3, 1, 1), (1, 9, 5, 7)):
        channels = shape[1]
        name = f"batch_norm:{shape}"
        inputs = {"x": drawn(name, *shape, center=0.5, amplitude=2.0),
                  "weight": drawn(name + ":weight", channels, center=1.0, amplitude=0.5),
                  "bias": drawn(name + ":bias", channels, amplitude=0.5)}
        stats = {"running_mean": drawn(name + ":mean", channels, amplitude=0.5),
                 "running_var": drawn(name + ":var", channels, center=1.0, amplitude=0.5)}
        after = {key: t.clone() for key, t in stats.items()}
        case = differentiate(
            "batch_norm_training", {"momentum": 0.1, "epsilon": 1e-5}, inputs,
            lambda x, w, b: F.batch_norm(x, after["running_mean"], after["running_var"], w, b, True,
                                         0.1, 1e-5), ["x", "weight", "bias"])
        case["inputs"].update({key: tensor_json(t) for key, t in stats.items()})
        case["outputs"].update({key: tensor_json(t) for key, t in after.items()})
        cases.append(case)
        y = F.batch_norm(inputs["x"], stats["running_mean"], stats["running_var"],
                         inputs["weight"], inputs["bias"], False, 0.1, 1e-5)
        cases.append(op_case("batch_norm_evaluation", {"epsilon": 1e-5}, {**inputs, **stats},
                             {"y": y}))

    for shape in ((2, 5, 7, 7), (3, 4, 1, 1), (1, 19, 3, 5)):
        cases.append(differentiate("global_average_pool", {}, {"x": drawn(f"gap:{shape}", *shape)},
                                   lambda x: x.mean((2, 3)), ["x"]))

    for rows, inner, outer in ((3, 7, 5), (1, 33, 10), (4, 1, 3)):
        name = f"linear:{rows}x{inner}x{outer}"
        cases.append(differentiate(
            "linear", {}, {"x": drawn(name, rows, inner), "weight": drawn(name + ":w", outer, inner),
                           "bias": drawn(name + ":b", outer)}, F.linear, ["x", "weight", "bias"]))

    for rows, classes, amplitude in ((4, 10, 3.0), (1, 1, 1.0), (3, 7, 120.0), (2, 37, 1.0)):
        name = f"softmax:{rows}x{classes}x{amplitude}"
        logits = drawn(name, rows, classes, amplitude=amplitude).requires_grad_()
        labels = drawn(name + ":labels", rows, classes, center=1.0, amplitude=1.0)
        labels = (labels / labels.sum(1, keepdim=True)).to(torch.float32).to(torch.float64)
        loss = -(labels * F.log_softmax(logits, 1)).sum(1).mean()
        loss.backward()
        cases.append(op_case("softmax_cross_entropy", {"reduction": "mean over the batch"},
                             {"logits": logits, "labels": labels},
                             {"loss": loss, "dlogits": logits.grad}))

    for rows, classes, amplitude in ((4, 5, 3.0), (1, 1, 1.0), (3, 7, 120.0)):
        name = f"bce:{rows}x{classes}x{amplitude}"
        logits = drawn(name, rows, classes, amplitude=amplitude).requires_grad_()
        labels = (drawn(name + ":labels", rows, classes) > 0).to(torch.float64)
        labels[0, 0] = 0.25
        loss = F.binary_cross_entropy_with_logits(logits, labels)
        loss.backward()
        cases.append(op_case("binary_cross_entropy_with_logits",
                             {"reduction": "mean over all elements"},
                             {"logits": logits, "labels": labels},
                             {"loss": loss, "dlogits": logits.grad}))

    # batch, in channels, height, width, out channels, kernel, stride, padding
    for n, c, h, w, k, size, stride, padding in (
            (2, 3, 7, 9, 5, 3, 2, 1), (1, 6, 6, 5, 7, 1, 2, 0), (1, 2, 9, 11, 4, 7, 2, 3),
            (1, 5, 8, 8, 3, 3, 2, 1), (2, 4, 5, 3, 6, 3, 1, 1), (1, 2, 1, 1, 3, 3, 1, 1),
            (2, 1, 4, 5, 1, 1, 1, 0)):
        name = f"conv2d:{n},{c},{h},{w},{k},{size},{stride},{padding}"
        cases.append(differentiate(
            "conv2d", {"stride": stride, "padding": padding},
            {"x": drawn(name, n, c, h, w), "weight": drawn(name + ":w", k, c, size, size)},
            lambda x, w: F.conv2d(x, w, None, stride, padding), ["x", "weight"]))

    rates = [0.1, 0.1, 0.01, 0.05]
    w = drawn("sgd:w", 13)
    gradients = drawn("sgd:g", len(rates), 13)
    parameter = nn.Parameter(w.clone())
    optimizer = torch.optim.SGD([parameter], lr=1.0, momentum=0.9, weight_decay=1e-2)
    after = []
    for rate, gradient in zip(rates, gradients):
        optimizer.param_groups[0]["lr"] = rate
        parameter.grad = gradient.clone()
        optimizer.step()
        after.append(parameter.detach().clone())
    cases.append(op_case("sgd", {"learning_rates": rates, "momentum": 0.9, "weight_decay": 1e-2},
                         {"w": w, "gradients": gradients},
                         {"w": torch.stack(after),
                          "momentum": optimizer.state[parameter]["momentum_buffer"]}))
    return cases


def write(path, content):
    """One line per entry of the second level: small, and readable in a diff."""
    def dump(x):
        return json.dumps(x, allow_nan=False)
    if isinstance(content, list):
        text = "[\n" + ",\n".join(dump(x) for x in content) + "\n]\n"
    else:
        parts = []
        for key, x in content.items():
            if isinstance(x, dict) and len(x) > 8:
                inner = ",\n".join(f"  {dump(k)}: {dump(v)}" for k, v in x.items())
                parts.append(f"{dump(key)}: {{\n{inner}\n}}")
            else:
                parts.append(f"{dump(key)}: {dump(x)}")
        text = "{\n" + ",\n".join(parts) + "\n}\n"
    path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description="Writes the golden files of tests/golden.")
    parser.add_argument("cases", nargs="*", help=f"of: {', '.join(CASES)}, ops (default: all)")
    parser.add_argument("--output", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden")
    arguments = parser.parse_args()
    for case in arguments.cases or ["ops", *CASES]:
        if case != "ops" and case not in CASES:
            parser.error(f"unknown case {case}; there are: {', '.join(CASES)}, ops")
        start = time.time()
        path = arguments.output / f"{case}.json"
        content = ops_file() if case == "ops" else model_file(case)
        write(path, content)
        print(f"{path} {path.stat().st_size} bytes, {time.time() - start:.1f} s", flush=True)
        if case != "ops":
            worst = max((s["error32"], name) for name, s in content["gradients"].items())
            print("  margin", content["margin"], content["input"])
            print("  losses", " ".join(f"{x:.4f}" for x in content["losses"]["value"]))
            print("  worst relative loss difference float32/float64",
                  max(abs(a / b - 1) for a, b in zip(content["losses"]["value32"],
                                                     content["losses"]["value"])))
            for name, s in content["gradients"].items():
                error = s["error32"] * s["norm"] / max(s["norm"], s.get("terms", 0.0))
                if error > 2e-5:
                    print(f"  float32 error {error:.2g} in {name}, norm {s['norm']:.2g}")
            for kind in ("eval_logits", "train_logits"):
                if kind in content:
                    print(f"  {kind} root mean square",
                          content[kind]["norm"] / math.sqrt(content["batch"] * content["classes"]),
                          "error32", content[kind]["error32"])
            norms = [s["norm"] for s in content["gradients"].values()]
            print(f"  gradient norms {min(norms):.3g} .. {max(norms):.3g}, worst float32 error",
                  *worst, flush=True)


if __name__ == "__main__":
    main()
