"""Networks as other hands write them, in ops after TensorFlow 1 and in Keras: small, with random weights.

Each is written after a paper's text or a library's habits. Those in ops are built twice with the same
weights: as they are, and as their linear twin, with the identity for activations and averages for largest
values. `positive` weights let no gradient vanish by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.model.graph.backend import tf

Array = NDArray[Any]
v1 = tf.compat.v1
keras = tf.keras
layers = keras.layers


@dataclass
class Hand:
    """Writes ops in one of three ways, and notes the tensors of layers by name."""

    linear: bool = False
    positive: bool = False
    seed: int = 0
    noted: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin the row of weights."""
        self._rng = np.random.default_rng(self.seed)

    def note(self, name: str, x: Any) -> Any:
        """Keep a layer's tensor under the name that the atlas should list."""
        self.noted[name] = x
        return x

    def end(self, x: Any, last: Any) -> None:
        """Let a layer whose sum nothing reads but a norm and its ReLU end behind them."""
        self.noted |= {name: last for name, tensor in self.noted.items() if tensor is x}

    def kernel(self, *shape: int) -> Array:
        """Return a kernel; of positive ones each output's weights sum to 1."""
        values = self._rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))
        if self.positive:
            values = np.abs(values) + 0.1
            values /= values.sum(tuple(range(len(shape) - 1)))
        return values.astype(np.float64 if self.positive else np.float32)

    def vector(self, n: int, low: float, high: float) -> Array:
        """Return uniform numbers; ones where weights are to be positive."""
        values = self._rng.uniform(low, high, n)
        return np.ones(n) if self.positive else values.astype(np.float32)

    def relu(self, x: Any, name: str = "Relu") -> Any:
        """Return a ReLU, or what it is given."""
        return tf.identity(x, name=name) if self.linear else tf.nn.relu(x, name=name)

    def max_pool(self, x: Any, size: int, stride: int, padding: str, name: str = "MaxPool") -> Any:
        """Return largest values, or means."""
        pool = tf.nn.avg_pool2d if self.linear else tf.nn.max_pool2d
        return pool(x, size, stride, padding, name=name)

    def norm(self, x: Any, name: str) -> Any:
        """Return a fused batch norm of random statistics."""
        c = int(x.shape[-1])
        scale, deviation = self.vector(c, 0.5, 1.5), self.vector(c, 0.5, 1.5)
        offset, mean = self.vector(c, -0.2, 0.2), self.vector(c, -0.2, 0.2)
        if self.positive:
            return x * scale
        with tf.name_scope(name):
            return v1.nn.fused_batch_norm(x, scale, offset, mean, deviation, is_training=False)[0]

    def conv(self, x: Any, n: int, size: int, stride: int = 1, padding: str = "SAME", **more: Any) -> Any:
        """Return a convolution without bias in the current scope."""
        kernel = self.kernel(size, size, int(x.shape[-1]), n)
        return tf.nn.conv2d(x, kernel, stride, padding, name="Conv2D", **more)


Draw = Callable[[Hand, Any], Any]


def resnet_v2(hand: Hand, x: Any) -> Any:
    """A ResNet v2 with Slim's names: norms come first, the last unit of a block is the one that strides."""
    with tf.name_scope("resnet_v2_50"):
        with tf.name_scope("conv1"):
            x = tf.pad(x, [[0, 0], [3, 3], [3, 3], [0, 0]])
            x = tf.nn.bias_add(hand.conv(x, 8, 7, 2, "VALID"), hand.vector(8, -0.1, 0.1))
        hand.note("conv1", x)
        x = hand.max_pool(x, 3, 2, "SAME", "pool1/MaxPool")
        for block, depth in ((1, 12), (2, 16)):
            for unit in (1, 2):
                with tf.name_scope(f"block{block}/unit_{unit}/bottleneck_v2"):
                    x = _bottleneck_v2(hand, x, depth, stride=2 if unit == 2 and block == 1 else 1)
                hand.note(f"block{block}/unit_{unit}/bottleneck_v2/add", x)
        before, x = x, hand.relu(hand.norm(x, "postnorm"), "postnorm/Relu")
        hand.end(before, x)
        x = tf.reduce_mean(x, [1, 2], keepdims=True, name="pool5")
        with tf.name_scope("logits"):
            x = hand.conv(x, 7, 1)
        return tf.nn.softmax(tf.squeeze(x, [1, 2], name="SpatialSqueeze"), name="predictions/Softmax")


def _bottleneck_v2(hand: Hand, x: Any, depth: int, *, stride: int) -> Any:
    before = hand.relu(hand.norm(x, "preact"), "preact/Relu")
    if int(x.shape[-1]) == depth:
        skip = x if stride == 1 else hand.max_pool(x, 1, stride, "VALID", "shortcut/MaxPool")
    else:
        hand.end(x, before)
        with tf.name_scope("shortcut"):
            skip = hand.conv(before, depth, 1, stride)
    with tf.name_scope("conv1"):
        y = hand.relu(hand.norm(hand.conv(before, 6, 1), "BatchNorm"))
    with tf.name_scope("conv2"):
        if stride > 1:
            y = hand.conv(tf.pad(y, [[0, 0], [1, 1], [1, 1], [0, 0]]), 6, 3, stride, "VALID")
        else:
            y = hand.conv(y, 6, 3)
        y = hand.relu(hand.norm(y, "BatchNorm"))
    with tf.name_scope("conv3"):
        y = hand.conv(y, depth, 1)
    return tf.add(skip, y, name="add")


def deeplab(hand: Hand, x: Any) -> Any:
    """DeepLab v3's end: atrous convolutions by blocks of space, image pooling, a bilinear resize."""
    with tf.name_scope("stem"):
        x = hand.note("stem", hand.relu(hand.norm(hand.conv(x, 6, 3, 2), "BatchNorm")))
    with tf.name_scope("entry"):
        x = hand.note("entry", hand.relu(hand.norm(hand.conv(x, 8, 3, 2), "BatchNorm")))
    branches = []
    for number, rate in enumerate((2, 3), 1):
        with tf.name_scope(f"aspp{number}"):
            y = tf.nn.atrous_conv2d(x, hand.kernel(3, 3, 8, 5), rate, "SAME")
            branches.append(hand.note(f"aspp{number}", hand.relu(hand.norm(y, "BatchNorm"))))
    with tf.name_scope("aspp0"):
        branches.append(hand.note("aspp0", hand.relu(hand.norm(hand.conv(x, 5, 1), "BatchNorm"))))
    x = hand.note("concat_projection", tf.concat(branches, -1, name="concat_projection"))
    with tf.name_scope("logits"):
        x = hand.note("logits", hand.conv(x, 4, 1))
    return v1.image.resize_bilinear(x, [48, 64], align_corners=True, name="ResizeBilinear")


def shufflenet(hand: Hand, x: Any) -> Any:
    """ShuffleNet v2: halves of channels, depthwise convolutions, a shuffle by reshape and transpose."""
    with tf.name_scope("conv1"):
        x = hand.note("conv1", hand.relu(hand.norm(hand.conv(x, 12, 3, 2), "bn")))
    for unit in (1, 2):
        with tf.name_scope(f"stage2/unit_{unit}"):
            kept, y = tf.split(x, 2, axis=3)
            with tf.name_scope("conv1x1_before"):
                y = hand.relu(hand.norm(hand.conv(y, 6, 1), "bn"))
            with tf.name_scope("depthwise"):
                y = hand.norm(tf.nn.depthwise_conv2d(y, hand.kernel(3, 3, 6, 1), [1, 1, 1, 1], "SAME"), "bn")
            with tf.name_scope("conv1x1_after"):
                y = hand.relu(hand.norm(hand.conv(y, 6, 1), "bn"))
            x = hand.note(f"stage2/unit_{unit}", tf.concat([kept, y], 3))
            n, (h, w) = tf.shape(x)[0], x.shape[1:3]
            x = tf.reshape(x, tf.stack([n, int(h), int(w), 2, 6]))
            x = tf.reshape(tf.transpose(x, [0, 1, 2, 4, 3]), tf.stack([n, int(h), int(w), 12]))
    with tf.name_scope("conv5"):
        x = hand.note("conv5", hand.relu(hand.norm(hand.conv(x, 16, 1), "bn")))
    with tf.name_scope("classifier"):
        return tf.matmul(tf.reduce_mean(x, [1, 2]), hand.kernel(16, 5), name="logits")


def plain(hand: Hand, x: Any) -> Any:
    """Two convolutions with names that no scope holds."""
    x = tf.nn.conv2d(x * 2.0 - 1.0, hand.kernel(3, 3, 3, 8), 2, "SAME", name="stem")
    x = hand.note("stem", hand.relu(x))
    x = hand.note("body", hand.relu(tf.nn.conv2d(x, hand.kernel(3, 3, 8, 12), 2, "SAME", name="body")))
    return tf.matmul(tf.reduce_mean(x, [1, 2]), hand.kernel(12, 5))


def frozen(draw: Draw, shape: Sequence[int], path: Path) -> None:
    """Write a network as a frozen graph with the placeholder "input"."""
    with tf.Graph().as_default() as graph:
        draw(Hand(), v1.placeholder(tf.float32, [None, *shape], name="input"))
    path.write_bytes(graph.as_graph_def().SerializeToString())


def hub(draw: Draw, shape: Sequence[int], path: Path) -> None:
    """Write a SavedModel with a signature for classes and one for features, as TF Hub's modules have."""

    def features(images: Any) -> Any:
        hand = Hand()
        draw(hand, images)
        return {"maps": list(hand.noted.values())[-1]}

    module, spec = tf.Module(), [tf.TensorSpec([None, *shape], tf.float32, name="images")]
    module.classes = tf.function(lambda images: {"logits": draw(Hand(), images)}, spec, autograph=False)
    module.features = tf.function(features, spec, autograph=False)
    signatures = {"image_classification": module.classes, "image_feature_vector": module.features}
    tf.saved_model.save(module, str(path), signatures=signatures)


def tf1(draw: Draw, shape: Sequence[int], path: Path) -> None:
    """Write a SavedModel as TensorFlow 1 did, its kernels in variables that are no resources."""

    class Variables(Hand):
        def kernel(self, *shape: int) -> Any:
            value, number = super().kernel(*shape), len(v1.global_variables())
            return v1.get_variable(f"w{number}", initializer=value, use_resource=False)

    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, *shape], name="x")
        out = draw(Variables(), x)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(path), {"x": x}, {"out": out})


def _conv_norm(x: Any, n: int, size: int, name: str, stride: int = 1, activation: str = "relu") -> Any:
    x = layers.Conv2D(n, size, stride, "same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.Activation(activation, name=f"{name}_{activation}")(x) if activation else x


def efficientnet_lite() -> Any:
    """EfficientNet-Lite: inverted residuals with ReLU6, no gates."""
    start = layers.Input((64, 64, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(start)
    x = _conv_norm(x, 8, 3, "stem", 2, "relu6")
    for number, (n, stride, size) in enumerate(((8, 1, 3), (12, 2, 5), (12, 1, 5))):
        y = _conv_norm(x, 4 * int(x.shape[-1]), 1, f"b{number}_expand", activation="relu6")
        y = layers.DepthwiseConv2D(size, stride, "same", use_bias=False, name=f"b{number}_dw")(y)
        y = layers.ReLU(6.0)(layers.BatchNormalization(name=f"b{number}_dw_bn")(y))
        y = _conv_norm(y, n, 1, f"b{number}_project", activation="")
        same = stride == 1 and int(x.shape[-1]) == n
        x = layers.Add(name=f"b{number}_add")([x, y]) if same else y
    x = _conv_norm(x, 20, 1, "head", activation="relu6")
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(start, layers.Dense(5, "softmax", name="classes")(x))


def unet() -> Any:
    """The U-Net of the paper: convolutions without padding, skips cropped to what is left."""
    start = x = layers.Input((92, 92, 1))
    skips = []
    for level, n in enumerate((4, 6)):
        for twice in "ab":
            x = layers.Conv2D(n, 3, activation="relu", name=f"down{level}{twice}")(x)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    for twice in "ab":
        x = layers.Conv2D(8, 3, activation="relu", name=f"bottom{twice}")(x)
    for level, n in ((1, 6), (0, 4)):
        x = layers.Conv2DTranspose(n, 2, 2, name=f"up{level}")(x)
        skip = skips[level]
        margin = (int(skip.shape[1]) - int(x.shape[1])) // 2
        x = layers.Concatenate(name=f"join{level}")([layers.Cropping2D(margin)(skip), x])
        for twice in "ab":
            x = layers.Conv2D(n, 3, activation="relu", name=f"dec{level}{twice}")(x)
    return keras.Model(start, layers.Conv2D(2, 1, activation="softmax", name="segments")(x))


def detector() -> Any:
    """A detector after YOLO: focus, cross-stage halves, pyramid pooling, a feature pyramid with two ends."""
    start = layers.Input((64, 96, 3))
    x = layers.Rescaling(1 / 255)(start)
    parts = [x[:, ::2, ::2], x[:, 1::2, ::2], x[:, ::2, 1::2], x[:, 1::2, 1::2]]
    x = _conv_norm(layers.Concatenate(name="focus")(parts), 6, 3, "stem", activation="silu")
    p2 = _stage(_conv_norm(x, 8, 3, "d1", 2, "silu"), 8, "c1")
    p3 = _conv_norm(p2, 10, 3, "d2", 2, "silu")
    y = _conv_norm(p3, 6, 1, "spp_in", activation="silu")
    pools = [layers.MaxPooling2D(size, 1, "same")(y) for size in (3, 5)]
    y = _conv_norm(layers.Concatenate(name="spp")([y, *pools]), 10, 1, "spp_out", activation="silu")
    up = layers.UpSampling2D(2)(_conv_norm(y, 8, 1, "lateral", activation="silu"))
    u = _stage(layers.Concatenate(name="fpn")([up, p2]), 8, "n2")
    ends = [layers.Conv2D(9, 1, name=f"detect{k}")(end) for k, end in ((2, u), (3, y))]
    return keras.Model(start, ends)


def _stage(x: Any, n: int, name: str) -> Any:
    a = _conv_norm(x, n // 2, 1, f"{name}_a", activation="silu")
    b = _conv_norm(x, n // 2, 1, f"{name}_b", activation="silu")
    c = _conv_norm(_conv_norm(a, n // 2, 1, f"{name}_1", activation="silu"), n // 2, 3, f"{name}_2")
    joined = layers.Concatenate(name=f"{name}_cat")([layers.Add(name=f"{name}_add")([a, c]), b])
    return _conv_norm(joined, n, 1, f"{name}_out", activation="silu")


def tower() -> Any:
    """The tower that both images of the siamese network pass."""
    start = layers.Input((40, 44, 3), name="photo")
    x = layers.Conv2D(6, 5, 2, activation="relu", name="t1")(start)
    x = layers.MaxPooling2D(2, name="t_pool")(x)
    x = layers.Conv2D(8, 3, activation="tanh", name="t2")(x)
    x = layers.Conv2D(9, 3, activation="relu", name="t3")(x)
    return keras.Model(start, layers.Dense(4, name="embedding")(layers.Flatten()(x)), name="tower")


def siamese(shared: Any) -> Any:
    """Two images through one tower, and how far they are apart."""
    left, right = (layers.Input((40, 44, 3), name=name) for name in ("left", "right"))
    apart = layers.Subtract()([shared(left), shared(right)])
    return keras.Model([left, right], layers.Dense(1, "sigmoid", name="same")(apart))


def convnext() -> Any:
    """ConvNeXt: patches, wide depthwise convolutions, layer norms, dense layers at every position, GELU."""
    start = layers.Input((64, 64, 3))
    x = layers.Normalization(mean=[0.485, 0.456, 0.406], variance=[0.0524, 0.0502, 0.0506])(start)
    x = layers.LayerNormalization(epsilon=1e-6, name="stem_norm")(layers.Conv2D(8, 4, 4, name="stem")(x))
    for stage, n in enumerate((8, 12)):
        if stage:
            x = layers.LayerNormalization(epsilon=1e-6, name="down_norm")(x)
            x = layers.Conv2D(n, 2, 2, name="down")(x)
        for block in range(2):
            name = f"s{stage}b{block}"
            y = layers.DepthwiseConv2D(7, padding="same", name=f"{name}_dw")(x)
            y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm")(y)
            y = layers.Dense(4 * n, activation="gelu", name=f"{name}_expand")(y)
            y = layers.Dense(n, name=f"{name}_project")(y)
            x = layers.Add(name=f"{name}_add")([x, y])
    x = layers.LayerNormalization(epsilon=1e-6)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(start, layers.Dense(6, name="classes")(x))
