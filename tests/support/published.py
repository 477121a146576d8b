"""Published networks, from their descriptions alone: names and shapes, other people's names, outputs.

Plain functions on the dictionary of tensors, which know nothing of the library's modules.
"""

import torch
import torch.nn.functional as F

PLANES = (64, 128, 256, 512)
INCEPTION = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}


# Names and shapes


class Shapes(dict):
    def conv(self, name, out, seen, *kernel):
        self[f"{name}.weight"] = (out, seen, *kernel)

    def norm(self, name, channels):
        for part in ("weight", "bias", "running_mean", "running_var"):
            self[f"{name}.{part}"] = (channels,)
        self[f"{name}.num_batches_tracked"] = ()


def r2plus1d(blocks, per_convolution, classes):
    """R(2+1)D: mid-planes with as many weights as 3 x 3 x 3, per convolution (VMZ) or block."""
    shapes = Shapes()
    shapes.conv("stem.0", 45, 3, 1, 7, 7)
    shapes.norm("stem.1", 45)
    shapes.conv("stem.3", 64, 45, 3, 1, 1)
    shapes.norm("stem.4", 64)
    seen = 64
    for i, (count, planes) in enumerate(zip(blocks, PLANES, strict=True), 1):
        for j in range(count):
            middle = 27 * seen * planes // (9 * seen + 3 * planes)
            for k, source in ((1, seen), (2, planes)):
                if per_convolution:
                    middle = 27 * source * planes // (9 * source + 3 * planes)
                name = f"layer{i}.{j}.conv{k}"
                shapes.conv(f"{name}.0.0", middle, source, 1, 3, 3)
                shapes.norm(f"{name}.0.1", middle)
                shapes.conv(f"{name}.0.3", planes, middle, 3, 1, 1)
                shapes.norm(f"{name}.1", planes)
            downsample(shapes, f"layer{i}.{j}", planes, seen)
            seen = planes
    return head(shapes, "fc", classes, 512)


def r3d(temporal, classes):
    """MC3 (`temporal` = 1 in layers 2 to 4) and R3D (3)."""
    shapes = Shapes()
    shapes.conv("stem.0", 64, 3, 3, 7, 7)
    shapes.norm("stem.1", 64)
    seen = 64
    for i, planes in enumerate(PLANES, 1):
        for j in range(2):
            for k, source in ((1, seen), (2, planes)):
                shapes.conv(f"layer{i}.{j}.conv{k}.0", planes, source, 3 if i == 1 else temporal, 3, 3)
                shapes.norm(f"layer{i}.{j}.conv{k}.1", planes)
            downsample(shapes, f"layer{i}.{j}", planes, seen)
            seen = planes
    return head(shapes, "fc", classes, 512)


def csn(kind, classes):
    shapes = Shapes()
    shapes.conv("stem.0", 64, 3, 3, 7, 7)
    shapes.norm("stem.1", 64)
    seen = 64
    for i, (count, planes) in enumerate(zip((3, 8, 36, 3), PLANES, strict=True), 1):
        for j in range(count):
            name = f"layer{i}.{j}"
            shapes.conv(f"{name}.conv1.0", planes, seen, 1, 1, 1)
            shapes.norm(f"{name}.conv1.1", planes)
            if kind == "ip":
                shapes.conv(f"{name}.conv2.0.0", planes, planes, 1, 1, 1)
                shapes.norm(f"{name}.conv2.0.1", planes)
            shapes.conv(f"{name}.conv2.0.2" if kind == "ip" else f"{name}.conv2.0", planes, 1, 3, 3, 3)
            shapes.norm(f"{name}.conv2.1", planes)
            shapes.conv(f"{name}.conv3.0", 4 * planes, planes, 1, 1, 1)
            shapes.norm(f"{name}.conv3.1", 4 * planes)
            downsample(shapes, name, 4 * planes, seen)
            seen = 4 * planes
    return head(shapes, "fc", classes, 2048)


def downsample(shapes, name, out, seen):
    if out != seen:
        shapes.conv(f"{name}.downsample.0", out, seen, 1, 1, 1)
        shapes.norm(f"{name}.downsample.1", out)


def head(shapes, name, classes, features, *kernel):
    shapes.conv(name, classes, features, *kernel)
    shapes[f"{name}.bias"] = (classes,)
    return shapes


def i3d(classes):
    """pytorch-i3d's names; both published files are older than the counters of batch normalisation."""
    shapes = Shapes()

    def unit(name, out, seen, size):
        shapes.conv(f"{name}.conv3d", out, seen, size, size, size)
        shapes.norm(f"{name}.bn", out)

    unit("Conv3d_1a_7x7", 64, 3, 7)
    unit("Conv3d_2b_1x1", 64, 64, 1)
    unit("Conv3d_2c_3x3", 192, 64, 3)
    seen = 192
    for name, (one, less3, three, less5, five, pooled) in INCEPTION.items():
        for branch, out, source, size in (
            ("b0", one, seen, 1),
            ("b1a", less3, seen, 1),
            ("b1b", three, less3, 3),
            ("b2a", less5, seen, 1),
            ("b2b", five, less5, 3),
            ("b3b", pooled, seen, 1),
        ):
            unit(f"Mixed_{name}.{branch}", out, source, size)
        seen = one + three + five + pooled
    shapes = {k: v for k, v in shapes.items() if not k.endswith("num_batches_tracked")}
    return head(Shapes(shapes), "logits.conv3d", classes, 1024, 1, 1, 1)


# The names that others use


def to_mmaction(key, kind):
    """The table of paper.md, from VMZ's names."""
    parts = key.split(".")
    if parts[0] == "fc":
        return f"cls_head.fc_cls.{parts[1]}"
    if parts[0] == "stem":
        return "backbone.conv1." + {"0": "conv", "1": "bn"}[parts[1]] + f".{parts[2]}"
    block, rest = ".".join(parts[:2]), ".".join(parts[2:-1])
    if kind == "ip":
        table = {"conv2.0.0": "conv2.0.conv", "conv2.0.1": "conv2.0.bn", "conv2.0.2": "conv2.1.conv"}
        table |= {"conv2.1": "conv2.1.bn"}
    else:
        table = {"conv2.0": "conv2.0.conv", "conv2.1": "conv2.0.bn"}
    for name in ("conv1", "conv3", "downsample"):
        table |= {f"{name}.0": f"{name}.conv", f"{name}.1": f"{name}.bn"}
    return f"backbone.{block}.{table[rest]}.{parts[-1]}"


def to_hassony(key):
    table = {"b0": "branch_0", "b1a": "branch_1.0", "b1b": "branch_1.1"}
    table |= {"b2a": "branch_2.0", "b2b": "branch_2.1", "b3b": "branch_3.1", "bn": "batch3d"}
    parts = [table.get(part, part) for part in key.split(".")]
    parts[0] = "conv3d_0c_1x1" if parts[0] == "logits" else parts[0].lower()
    return ".".join(parts)


# What the networks compute


class Reference:
    """Layers by name, on a dictionary of tensors."""

    def __init__(self, state, eps):
        self.state, self.eps = state, eps

    def conv(self, name, x, *stride):
        weight = self.state[f"{name}.weight"]
        padding = [k // 2 for k in weight.shape[2:]]
        groups = x.shape[1] // weight.shape[1]
        return F.conv3d(x, weight, None, stride or 1, padding, groups=groups)

    def norm(self, name, x):
        parts = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(self.state[f"{name}.{p}"] for p in parts), eps=self.eps)

    def both(self, name, x, *stride):
        return self.norm(f"{name}.1", self.conv(f"{name}.0", x, *stride))

    def factorised(self, name, x, s):
        x = self.norm(f"{name}.0.1", self.conv(f"{name}.0.0", x, 1, s, s)).relu()
        return self.norm(f"{name}.1", self.conv(f"{name}.0.3", x, s, 1, 1))

    def resnet(self, x, kind):
        if kind == "r2plus1d":
            x = self.norm("stem.1", self.conv("stem.0", x, 1, 2, 2)).relu()
            x = self.norm("stem.4", self.conv("stem.3", x)).relu()
        else:
            x = self.both("stem", x, 1, 2, 2).relu()
        if kind in ("ir", "ip"):
            x = F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        for i in range(1, 5):
            j = 0
            while any(key.startswith(f"layer{i}.{j}.") for key in self.state):
                x = self.block(f"layer{i}.{j}", x, 2 if i > 1 and j == 0 else 1, kind)
                j += 1
        return F.linear(x.mean((2, 3, 4)), self.state["fc.weight"], self.state["fc.bias"])

    def block(self, name, x, s, kind):
        t = 1 if kind == "mc3" else s  # MC3 keeps all frames
        if kind == "r2plus1d":
            y = self.factorised(f"{name}.conv1", x, s).relu()
            y = self.factorised(f"{name}.conv2", y, 1)
        elif kind in ("mc3", "r3d"):
            y = self.both(f"{name}.conv1", x, t, s, s).relu()
            y = self.both(f"{name}.conv2", y)
        else:
            y = self.both(f"{name}.conv1", x).relu()
            if kind == "ip":
                y = self.norm(f"{name}.conv2.0.1", self.conv(f"{name}.conv2.0.0", y))
                y = self.norm(f"{name}.conv2.1", self.conv(f"{name}.conv2.0.2", y, s, s, s)).relu()
            else:
                y = self.both(f"{name}.conv2", y, s, s, s).relu()
            y = self.both(f"{name}.conv3", y)
        if f"{name}.downsample.0.weight" in self.state:
            x = self.both(f"{name}.downsample", x, t, s, s)
        return (x + y).relu()

    def same(self, x, kernel, stride):
        pads = []
        for n, k, s in zip(x.shape[2:], kernel, stride, strict=True):
            total = max(k - s, 0) if n % s == 0 else max(k - n % s, 0)
            pads = [total // 2, total - total // 2, *pads]
        return F.pad(x, pads)

    def unit(self, name, x, s=1):
        weight = self.state[f"{name}.conv3d.weight"]
        padded = self.same(x, weight.shape[2:], (s, s, s))
        return self.norm(f"{name}.bn", F.conv3d(padded, weight, None, s)).relu()

    def pool(self, x, kernel, stride):
        return F.max_pool3d(self.same(x, kernel, stride), kernel, stride)

    def inception(self, x, kind=None):
        x = self.pool(self.unit("Conv3d_1a_7x7", x, 2), (1, 3, 3), (1, 2, 2))
        x = self.unit("Conv3d_2c_3x3", self.unit("Conv3d_2b_1x1", x))
        x = self.pool(x, (1, 3, 3), (1, 2, 2))
        for name in INCEPTION:
            if name in ("4b", "5b"):
                size = 3 if name == "4b" else 2
                x = self.pool(x, (size,) * 3, (2, 2, 2))
            m = f"Mixed_{name}."
            parts = [self.unit(m + "b0", x)]
            parts += [self.unit(m + f"b{i}b", self.unit(m + f"b{i}a", x)) for i in (1, 2)]
            parts += [self.unit(m + "b3b", self.pool(x, (3, 3, 3), (1, 1, 1)))]
            x = torch.cat(parts, 1)
        window = [min(n, most) for n, most in zip(x.shape[2:], (2, 7, 7), strict=True)]
        x = F.avg_pool3d(x, window, 1)
        weight, bias = (self.state[f"logits.conv3d.{part}"] for part in ("weight", "bias"))
        return F.conv3d(x, weight, bias).mean((2, 3, 4))
