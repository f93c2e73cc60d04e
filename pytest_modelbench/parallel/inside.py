"""The inside of a rank's process: it reads its part of a model, and makes each call that the first rank makes.

Run as a file by `child.py`. When the first rank is gone, however it went, this process ends too, also from within a
collective that nobody will complete.
"""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from hashlib import sha256
from time import sleep
from types import TracebackType
from typing import Any

# Chosen here: what one rank is lost by is told before what the others make of it.
_AFTER_OTHERS_SECONDS = 1.0


def main() -> None:
    """Say that we are here, open what is asked for, then obey."""
    channel, lifeline = os.fdopen(os.dup(1), "wb"), os.dup(0)
    os.dup2(2, 1)  # what a library prints is no message
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    told: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lifeline, told), name="modelbench-lifeline", daemon=True).start()

    def say(*message: Any) -> None:
        with suppress(BrokenPipeError):  # the first rank is gone, and so are we in a moment
            pickle.dump(message, channel)
            channel.flush()

    def raised(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        from pytest_modelbench.memory import ran_out
        from pytest_modelbench.parallel.group import in_a_collective

        traceback.print_exception(kind, error, trace)
        if in_a_collective(trace):
            sleep(_AFTER_OTHERS_SECONDS)
        said = next(iter(str(error).strip().splitlines()), "")
        say("raised", f"{kind.__name__}: {said}", ran_out(error))
        os._exit(1)

    sys.excepthook = raised
    say("here", {})
    import torch  # noqa: F401  the long part of a start, beside what the first rank does
    import transformers  # noqa: F401

    _, seat, opening = told.get()
    held = ExitStack()  # not let go where something is raised: that could wait for the others, who are to be told
    rank = _Rank(seat, opening, held)
    say("opened", {})
    told.get()
    say("read", rank.joined())
    for answer in rank.obey(told):
        say(*answer)
    held.close()
    channel.close()
    os._exit(0)  # at once: nothing of ours is to be put away, and taking down torch takes its time


def _listen(lifeline: int, told: queue.SimpleQueue[tuple[Any, ...]]) -> None:
    """Take in what the first rank says; when it is gone, end."""
    with os.fdopen(lifeline, "rb") as words, suppress(EOFError, OSError, pickle.UnpicklingError):
        while True:
            told.put(pickle.load(words))
    os._exit(1)


class _Rank:
    """A rank with its part of the model."""

    def __init__(self, seat: Any, opening: Any, held: ExitStack) -> None:
        import torch

        from pytest_modelbench.memory import Peaks
        from pytest_modelbench.parallel.parts import opened

        if opening.threads is not None:
            torch.set_num_threads(opening.threads)
        self._seat, self._held = seat, held
        self.model = opened(seat, opening, held)
        self._peaks = Peaks(opening.device)
        self.calls, self._made, self._prompts = 0, sha256(), None
        #: The stream that is open.
        self._steps: Iterator[Any] = iter(())

    def joined(self) -> dict[str, Any]:
        """Take our seat and read our part; what that is."""
        import gc

        from pytest_modelbench.parallel import group
        from pytest_modelbench.parallel.parts import part_of

        group.join(self._seat)
        self._held.callback(group.leave)
        part = part_of(self.model)
        gc.collect()
        gc.freeze()  # as rounds do: a collection that looks at all of transformers would hold up the other ranks
        return part

    def obey(self, told: queue.SimpleQueue[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """Do as told until the end; what is to be answered."""
        while True:
            what, *message = told.get()
            if what == "end":
                return
            if what == "go":
                self._note(next(self._steps, None))
            elif what == "stop":
                self._steps = iter(())
            elif what == "forget":
                self._peaks.start()
            elif what == "state":
                yield "state", self._state()
            else:
                self._call(what, *message)

    def _call(self, what: str, prompts: Any, *arguments: Any) -> None:
        self._prompts = prompts = self._prompts if prompts is None else prompts
        self.calls, self._made = self.calls + 1, sha256()
        decoder = self.model.decoder
        if what == "generate":
            self._note(decoder.generate(prompts, *arguments).rows)
        elif what == "logits":
            decoder.logits(prompts, *arguments)
        elif what == "steps":
            self._steps = decoder.steps(prompts, *arguments)
        else:
            raise ValueError(f"a rank does not know {what!r}")

    def _note(self, tokens: Any) -> None:
        self._made.update(repr(tokens).encode())

    def _state(self) -> dict[str, Any]:
        """How many calls were made, what tokens the last one made, and the memory taken since `forget`."""
        from pytest_modelbench.parallel.parts import split_layers

        return {
            "calls": self.calls,
            "tokens": self._made.hexdigest(),
            "memory": self._peaks.read(),
            "layers_split": len(split_layers(self.model.module)),
        }


if __name__ == "__main__":
    main()
