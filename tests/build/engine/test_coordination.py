"""The coordinator with workers on paper: what it hands out, and what it makes of what they tell."""

from __future__ import annotations

import pickle
from collections import deque

import numpy as np
import pytest

from atlas.build.engine import Shard, WorkerContext
from atlas.build.engine.coordination import Coordinator, Event, Gone, Ready, Replied
from atlas.build.engine.serialized_network import deserialized, reply, serialized
from atlas.build.engine.shard_queue import TRIES
from atlas.core.errors import LayerError, ModelError
from featurevis_toy import INPUT, network
from hazards import Faulty, Full, Plain


class PaperWorkers:
    """Carries orders out at once, in this process; `ends` says which orders end a worker, by number."""

    def __init__(self, n: int, ends: tuple[int, ...] = ()) -> None:
        self.context, self.ends = WorkerContext(network()), ends
        self.events: deque[Event] = deque(Ready(f"w{i}") for i in range(n))
        self.given: list[str] = []
        self.refused: list[str] = []

    def begin(self, n_shards: int) -> None:
        """All are there."""

    def event(self) -> Event | None:
        """Return the next."""
        return self.events.popleft() if self.events else None

    def give(self, worker: str, order: object, title: str) -> None:
        """Carry it out, or end."""
        self.given.append(worker)
        if len(self.given) - 1 in self.ends:
            self.events += [Gone(worker, "lightning"), Ready(worker + "'")]
        else:
            self.events.append(Replied(worker, reply(self.context, pickle.dumps(order))))

    def refuse(self, worker: str, error: Exception) -> None:
        """Remember whom."""
        self.refused.append(worker)

    def close(self) -> None:
        """Close what is open."""
        self.context.close()


def shards(n: int) -> list[Shard]:
    """Return shards that make a piece each."""
    return [Shard(f"shard {i}", (str(i),), lambda i=i: Plain(f"key{i}")) for i in range(n)]  # type: ignore[misc]


def test_every_piece_comes_back_once() -> None:
    """From three workers, with what they tell of it."""
    with Coordinator(PaperWorkers(3), shard_size=16) as engine:
        pieces = list(engine.run(shards(10)))
    assert sorted(piece.key for piece in pieces) == sorted(f"key{i}" for i in range(10))
    assert {(p.data, p.meta["n"]) for p in pieces if p.key == "key7"} == {(b"key7 of toy", 4)}
    assert engine.given_up == []


def test_workers_stay_for_the_next_stage() -> None:
    """What waited at the end of one run is given orders by the next; an empty run asks for none."""
    workers = PaperWorkers(1)
    with Coordinator(workers, shard_size=16) as engine:
        assert [len(list(engine.run(shards(n)))) for n in (2, 0, 3)] == [2, 0, 3]
    assert workers.given == ["w0"] * 5


def test_a_lost_shard_is_made_by_another(caplog: pytest.LogCaptureFixture) -> None:
    """And nothing is missing."""
    with Coordinator(PaperWorkers(2, ends=(1,)), shard_size=16) as engine:
        assert len(list(engine.run(shards(5)))) == 5
    assert engine.given_up == []
    assert "lost its worker (lightning); made again" in caplog.text


def test_a_shard_that_ends_two_workers_is_given_up() -> None:
    """It is named with the reason, and all others are made."""
    with Coordinator(PaperWorkers(1, ends=(0, 1)), shard_size=16) as engine:
        pieces = list(engine.run(shards(4)))
    (told,) = engine.given_up
    assert told.endswith(" (lightning)")
    assert len(pieces) == 3
    assert told.split()[1] not in {piece.key[3:] for piece in pieces}


def test_a_worker_without_room_is_refused() -> None:
    """However often its disk is full, the shard is made by another, and no try of it is counted."""
    full = iter(range(TRIES + 1))
    with Coordinator(workers := PaperWorkers(5), shard_size=16) as engine:
        shard = Shard("unlucky", ("a",), lambda: Full() if next(full, None) is not None else Plain("key"))
        assert [piece.failed for piece in engine.run([shard, *shards(3)])] == [""] * 4
    assert len(workers.refused) == TRIES + 1
    assert not set(workers.refused) & set(workers.given[-1:])
    assert engine.given_up == []


def test_what_a_shard_raises_is_raised() -> None:
    """A user's error in its own words; another with the place in the worker, whatever its class."""
    for is_ours, kind, words in (
        (True, LayerError, "a layer: found that it is odd"),
        (False, Exception, "ab"),
    ):
        order = Faulty(is_ours)
        with (
            Coordinator(PaperWorkers(1), shard_size=16) as engine,
            pytest.raises(kind, match=words) as caught,
        ):
            list(engine.run([Shard("odd", (), lambda order=order: order)]))  # type: ignore[misc]
        notes = "".join(getattr(caught.value, "__notes__", []))
        assert ("hazards.py" in notes) is not is_ours


def test_a_network_travels_whole() -> None:
    """What a worker opens is the network that was sent; damage is an error."""
    one, sent = network(), serialized(network())
    other = deserialized(sent)
    assert (other.name, other.layers, other.input_shape) == (one.name, one.layers, one.input_shape)
    assert other.graph_def == one.graph_def
    spoilt = sent.data[:-9] + b"x" + sent.data[-8:]
    with pytest.raises(ModelError, match="damaged on its way"):
        deserialized(type(sent)(spoilt, sent.sha256))


def test_a_context_keeps_one_thing_open() -> None:
    """The same key finds it again; another key, and the end, close it."""
    closed: list[str] = []

    class Thing:
        def __init__(self, name: str) -> None:
            self.name = name

        def close(self) -> None:
            closed.append(self.name)

    with WorkerContext(network()) as context:
        first = context.kept("a", lambda: Thing("a"))
        assert context.kept("a", lambda: Thing("again")) is first
        assert closed == []
        context.kept("b", lambda: Thing("b"))
        assert closed == ["a"]
    assert closed == ["a", "b"]


def test_a_closed_context_holds_no_session() -> None:
    """The network's session is closed with it; the network opens another, which gives the same values."""
    net, images = network(), np.full((1, *INPUT, 3), 0.25, np.float32)
    with WorkerContext(net):
        before = net.activations(images, ["block"])["block"]
        session = vars(net)["_session"][0]
    with pytest.raises(RuntimeError, match="closed"):
        session.run(net.layer("block").tensor)
    assert "_session" not in vars(net)
    np.testing.assert_array_equal(net.activations(images, ["block"])["block"], before)
