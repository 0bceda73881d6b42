"""Larger parts of PyTorch modules: branches, gates, attention, lists and dicts of modules, heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch_steps import MODULES, Lines, Place, conv_text, norm_text


def residual(p: Place) -> Lines:
    """A sum with what was there before, kept as it was or projected."""
    a, b, out = p.name("conv"), p.name("conv"), p.channels()
    keeps = p.chance(0.5)
    init = [f"self.{a} = {conv_text(p, p.c, out, keeps=True)}"]
    init += [f"self.{b} = {conv_text(p, out, p.c if keeps else out, keeps=True)}"]
    body = f"self.{b}(F.relu(self.{a}(x)))"
    if keeps:
        sums = (
            "x + {}",
            "F.relu(x + {})",
            "torch.add(x, {})",
            "{}.add_(x).relu_()",
            "sum([x, {}])",
            "{} - x",
        )
        return init, [f"x = {p.rng.choice(sums).format(body)}"]
    n = p.name("down")
    init.append(f"self.{n} = nn.Sequential(nn.Conv2d({p.c}, {out}, 1, bias=False), nn.BatchNorm2d({out}))")
    sums = (
        "y += x",
        "y = y + x",
        "y = y.add_(x)",
        "y = torch.add(y, x)",
        "y = torch.maximum(y, x)",
    )
    return init, [
        f"y = self.{n}(x)",
        f"x = {body}",
        p.rng.choice(sums),
        f"x = {p.pick('y', 'F.relu(y)', 'y.relu_()')}",
    ]


def kept(p: Place) -> Lines:
    """A map is kept for later."""
    return [], [f"{p.name('kept')} = {p.pick('x', 'x', 'x.clone()', 'x * 2')}"]


def joined(p: Place) -> Lines:
    """What was kept is joined, added, or multiplied, resized where it has to be."""
    if not p.kept:
        return kept(p)
    name = p.rng.choice(list(p.kept))
    c, h, w = p.kept[name]
    other = name
    if (h, w) != (p.h, p.w):
        other = p.pick(
            f"F.interpolate({name}, size=x.shape[2:], mode='nearest')",
            f"F.interpolate({name}, size=({p.h}, {p.w}), mode='bilinear')",
            f"F.adaptive_avg_pool2d({name}, ({p.h}, {p.w}))",
            f"F.adaptive_avg_pool2d({name}, 1)",
            f"{name}[:, :, :{p.h}, :{p.w}]",
        )
    if c == p.c and p.chance(0.5):
        return [], [f"x = x {p.pick('+', '+', '*', '-')} {other}"]
    return [], [f"x = torch.cat([x, {other}], dim=1)"]


def branches(p: Place) -> Lines:
    """Branches side by side, in a list, a dict, or as attributes, joined in the end."""
    count = p.rng.randint(2, 3)
    parts = [conv_text(p, p.c, p.channels(), keeps=True) for _ in range(count)]
    parts[0] = p.pick(parts[0], f"nn.Sequential({parts[0]}, {p.pick(*MODULES)})", "nn.MaxPool2d(3, 1, 1)")
    kind = p.pick("list", "dict", "attributes")
    if kind == "list":
        n = p.name("branches")
        return [f"self.{n} = nn.ModuleList([{', '.join(parts)}])"], [
            f"x = torch.cat([branch(x) for branch in self.{n}], 1)"
        ]
    if kind == "dict":
        n = p.name("paths")
        entries = ", ".join(f"'{key}': {part}" for key, part in zip("abc", parts, strict=False))
        run = [
            "ys = []",
            f"for key, path in self.{n}.items():",
            "    ys.append(path(x) if key != 'b' else F.relu(path(x)))",
        ]
        return [f"self.{n} = nn.ModuleDict({{{entries}}})"], [*run, "x = torch.cat(ys, dim=1)"]
    names = [p.name("branch") for _ in parts]
    made = ", ".join(f"self.{n}(x)" for n in names)
    return [f"self.{n} = {part}" for n, part in zip(names, parts, strict=True)], [
        f"x = torch.cat(({made}), -3)"
    ]


def dense(p: Place) -> Lines:
    """Layers of a list, of which each reads all before it."""
    n, grow, count = p.name("layers"), p.rng.randint(1, 4), p.rng.randint(2, 3)
    parts = [f"nn.Conv2d({p.c + grow * i}, {grow}, 3, padding=1)" for i in range(count)]
    run = [f"for layer in self.{n}:", "    x = torch.cat([x, F.relu(layer(x))], 1)"]
    return [f"self.{n} = nn.ModuleList([{', '.join(parts)}])"], run


def shared(p: Place) -> Lines:
    """A module that is called twice, or weights that two modules share."""
    a, text = p.name("shared"), conv_text(p, p.c, p.c, keeps=True)
    init = [f"self.{a} = {text}"]
    if p.chance(0.4):
        b = p.name("tied")
        init += [f"self.{b} = {text}", f"self.{b}.weight = self.{a}.weight"]
        return init, [f"x = self.{b}(F.relu(self.{a}(x)))"]
    if p.chance(0.3):
        init = [f"self.{a} = nn.Sequential({text}, nn.BatchNorm2d({p.c}), nn.ReLU())"]
    runs = (
        [f"x = self.{a}(F.relu(self.{a}(x)))"],
        [f"x = self.{a}(x) + self.{a}(x.flip(3))"],
        ["for _ in range(3):", f"    x = F.elu(self.{a}(x))"],
        [f"x = torch.cat([self.{a}(x), self.{a}(-x)], 1)"],
    )
    return init, list(p.rng.choice(runs))


def gate(p: Place) -> Lines:
    """A gate: of channels, of places, or of both."""
    a, b, mid = p.name("fc"), p.name("fc"), p.rng.randint(1, 6)
    kind = p.pick("linear", "conv", "places", "mixed", "halves")
    if kind == "linear":
        init = [
            f"self.{a} = nn.Linear({p.c}, {mid})",
            f"self.{b} = nn.Linear({mid}, {p.c}, bias={p.chance(0.5)})",
        ]
        pooled = p.pick("x.mean((2, 3))", "F.adaptive_avg_pool2d(x, 1).flatten(1)", "x.mean(-1).mean(-1)")
        run = f"y = torch.sigmoid(self.{b}(F.relu(self.{a}({pooled}))))"
        back = p.pick("y[:, :, None, None]", "y.view(x.size(0), -1, 1, 1)", "y.unsqueeze(-1).unsqueeze(-1)")
        return init, [run, f"x = x * {back}{p.pick('', '.expand_as(x)')}"]
    if kind == "conv":
        init = [f"self.{a} = nn.Conv2d({p.c}, {mid}, 1)", f"self.{b} = nn.Conv2d({mid}, {p.c}, 1)"]
        pooled = p.pick(
            "x.mean((2, 3), keepdim=True)", "F.adaptive_avg_pool2d(x, 1)", "F.avg_pool2d(x, x.shape[2:])"
        )
        return init, [f"x = x * F.hardsigmoid(self.{b}(F.relu(self.{a}({pooled}), inplace=True)))"]
    if kind == "places":
        maps = "torch.cat([x.mean(1, keepdim=True), x.max(1, keepdim=True)[0]], 1)"
        return [f"self.{a} = nn.Conv2d(2, 1, 7, padding=3)"], [f"x = x * self.{a}({maps}).sigmoid()"]
    if kind == "mixed":
        init = [f"self.{a} = nn.Linear({p.c}, 2)"]
        run = [
            f"y = self.{a}(x.mean((2, 3))).softmax(-1)",
            "x = x * y[:, 0].view(-1, 1, 1, 1) + F.relu(x) * y[:, 1:, None, None]",
        ]
        return init, run
    init = [f"self.{a} = nn.Conv2d({p.c}, {2 * mid}, 1)"]
    return init, [f"a, b = self.{a}(x).chunk(2, dim=1)", f"x = a * {p.pick('b', 'b.sigmoid()', 'F.gelu(b)')}"]


def attention(p: Place) -> Lines:
    """Attention over places or over channels."""
    n, e, heads = p.name("attention"), p.pick(2, 4, 6), p.pick(1, 2)
    kind = p.pick("own", "own", "module", "function", "channels", "mixer")
    init = [f"self.{n} = nn.Conv2d({p.c}, {3 * e}, 1)"]
    split = f"q, k, v = self.{n}(x).flatten(2).{p.pick('chunk(3, 1)', f'split({e}, 1)')}"
    if kind == "own":
        run = [
            "y = (q.transpose(1, 2) @ k * 0.5).softmax(-1)",
            f"x = (v @ y.transpose(1, 2)).view(x.shape[0], {e}, *x.shape[2:])",
        ]
        return init, [split, *run]
    if kind == "function":
        size = f"x.shape[0], {heads}, {e // heads}, -1"
        run = [
            f"q, k, v = [t.reshape({size}).transpose(2, 3) for t in (q, k, v)]",
            "y = F.scaled_dot_product_attention(q, k, v)",
        ]
        return init, [split, *run, f"x = y.transpose(2, 3).reshape(x.shape[0], {e}, {p.h}, {p.w})"]
    if kind == "module":
        init = [f"self.{n} = nn.MultiheadAttention({p.c}, 1, batch_first=True)"]
        run = ["y = x.flatten(2).permute(0, 2, 1)", f"y = y + self.{n}(y, y, y, need_weights=False)[0]"]
        return init, [*run, "x = y.permute(0, 2, 1).reshape(x.shape)"]
    if kind == "channels":
        run = ["y = x.flatten(2)", "y = torch.einsum('bcn,bdn->bcd', y, y).softmax(dim=-1)"]
        return [], [*run, "x = torch.einsum('bcd,bdhw->bchw', y, x) + x"]
    init = [f"self.{n} = nn.Linear({p.h * p.w}, {p.h * p.w})"]
    return init, [f"x = x + self.{n}(x.flatten(2)).reshape_as(x)"]


def normed_weights(p: Place) -> Lines:
    """A convolution whose kernel the code makes of a parameter."""
    n = p.name("conv")
    if p.chance(0.4):
        kind = p.pick("weight_norm", "spectral_norm")
        text = f"nn.utils.parametrizations.{kind}(nn.Conv2d({p.c}, {p.channels()}, 3))"
        return [f"self.{n} = {text}"], [f"x = self.{n}(x)"]
    run = [
        f"w = self.{n}.weight",
        "w = (w - w.mean((1, 2, 3), keepdim=True)) / (w.std((1, 2, 3), keepdim=True) + 0.1)",
    ]
    return [f"self.{n} = nn.Conv2d({p.c}, {p.channels()}, 3)"], [
        *run,
        f"x = F.conv2d(x, w, self.{n}.bias, padding=1)",
    ]


def sequence(p: Place) -> Lines:
    """Layers that a loop or a comprehension makes, in a Sequential, nested, with names or without."""
    n, c = p.name("stage"), p.channels()
    conv = f"nn.Conv2d({c}, {c}, 3, padding=1, groups={p.pick(1, c)})"
    layer = f"nn.Sequential({conv}, {norm_text(p, c)}, {p.pick(*MODULES)})"
    first = f"nn.Conv2d({p.c}, {c}, 3, stride={p.pick(1, 2)})"
    made = (
        f"nn.Sequential({first}, *[{layer} for _ in range({p.rng.randint(1, 3)})])",
        f"nn.Sequential(__import__('collections').OrderedDict(stem={first}, rest={layer}))",
        f"nn.Sequential({first}, nn.Sequential({layer}, nn.Sequential({layer})))",
    )
    run = p.pick(f"x = self.{n}(x)", f"x = self.{n}[1:](self.{n}[0](x))")
    return [f"self.{n} = {p.rng.choice(made)}"], [run]


def one_dimensional(p: Place) -> Lines:
    """Modules for sequences and volumes, which may be refused."""
    n = p.name("other")
    if p.chance(0.5):
        run = f"x = x * self.{n}(x.mean((2, 3)).unsqueeze(1)).squeeze(1).sigmoid()[:, :, None, None]"
        return [f"self.{n} = nn.Conv1d(1, 1, 3, padding=1, bias=False)"], [run]
    kinds = (
        (f"nn.Conv1d({p.c}, {p.c}, 3, padding=1)", "x = self.{}(x.flatten(2)).view(x.shape)"),
        (
            f"nn.LSTM({p.c}, {p.c}, batch_first=True)",
            "x = self.{}(x.mean(2).transpose(1, 2))[0].transpose(1, 2)[:, :, None] + x",
        ),
        ("nn.Conv3d(1, 2, 3, padding=1)", "x = self.{}(x.unsqueeze(1)).flatten(1, 2)"),
        (f"nn.BatchNorm1d({p.c})", "x = self.{}(x.flatten(2)).view_as(x)"),
        (f"nn.Bilinear({p.c}, {p.c}, 4)", "x = x.permute(0, 2, 3, 1)\nx = self.{}(x, x).permute(0, 3, 1, 2)"),
        ("nn.AvgPool1d(2)", "x = self.{}(x.flatten(2)).unsqueeze(2)"),
        ("nn.AvgPool3d((2, 1, 1))", "x = self.{}(x)"),
    )
    made, run = p.rng.choice(kinds)
    return [f"self.{n} = {made}"], run.format(n).split("\n")


def head(p: Place) -> Lines:
    """What a network ends in."""
    n, units = p.name("head"), p.rng.randint(2, 6)
    kind = p.pick("pooled", "pooled", "flat", "conv", "none", "none", "two")
    if kind == "flat" and p.c * p.h * p.w <= 3000:
        flat = p.pick(
            "torch.flatten(x, 1)", "x.view(x.size(0), -1)", "x.flatten(1)", "x.permute(0, 2, 3, 1).flatten(1)"
        )
        hidden = (
            f"nn.Sequential(nn.Linear({p.c * p.h * p.w}, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, {units}))"
        )
        made = p.pick(f"nn.Linear({p.c * p.h * p.w}, {units})", hidden)
        return [f"self.{n} = {made}"], [f"x = self.{n}({flat})"]
    if kind == "conv":
        run = p.pick(
            "x = self.{}(x).mean((2, 3))",
            "x = self.{}(x).flatten(2).max(-1)[0]",
            "x = F.log_softmax(self.{}(x), 1)",
        )
        return [f"self.{n} = nn.Conv2d({p.c}, {units}, 1)"], [run.format(n)]
    if kind == "two":
        m = p.name("aux")
        init = [f"self.{n} = nn.Linear({p.c}, {units})", f"self.{m} = nn.Conv2d({p.c}, 2, 1)"]
        return init, [f"x = self.{n}(x.mean((2, 3))), self.{m}(x)"]
    if kind in ("none", "flat"):
        return [], []
    pooled = p.pick(
        "x.mean([2, 3])",
        "F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1)",
        "x.amax((2, 3))",
        "x.flatten(2).mean(2)",
    )
    after = p.pick(
        "{}", "{}.softmax(-1)", "F.log_softmax({}, dim=1)", "torch.sigmoid({})", "F.normalize({}, dim=-1)"
    )
    return [f"self.{n} = nn.Linear({p.c}, {units})"], [f"x = {after.format(f'self.{n}({pooled})')}"]


BLOCKS: Sequence[tuple[int, Callable[[Place], Lines]]] = (
    (5, residual),
    (3, kept),
    (5, joined),
    (4, branches),
    (2, dense),
    (4, shared),
    (4, gate),
    (3, attention),
    (2, normed_weights),
    (3, sequence),
    (1, one_dimensional),
)
