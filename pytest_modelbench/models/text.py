"""Text: decoder-only language models, with the verbs `generate`, `stream`, `loglikelihood`, `rolling` and `choose`."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Unpack

from ..choice import Asked, Choice
from ..cost import Call
from ..errors import UsageError
from ..generation import Decoder, Generation, Limits, Prompts, Steps
from ..likelihood import Chosen, Likelihood
from ..model import Model
from ..parity import NOTHING, Witness
from . import scoring
from .torch_decoder import TorchDecoder
from .torch_forward import module_facts
from .work import Work

if TYPE_CHECKING:
    from ..device import Device
    from ..source import Source
    from ..tasks import Task
    from .checkpoint import Checkpoint


def open_family(source: Source, device: Device, checkpoint: Checkpoint, task: Task) -> TextModel:
    """The TextModel of a checkpoint, its weights not yet read."""

    def load(options: dict[str, Any]) -> Any:
        from transformers import AutoModelForCausalLM, GenerationConfig

        module = checkpoint.read_module(AutoModelForCausalLM, device.torch_name, options)
        # Greedy, whatever sampling the model's card prefers: only so do two runtimes make the same tokens.
        own = module.generation_config
        module.generation_config = GenerationConfig(
            do_sample=False, bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id
        )
        return module

    return TextModel(source, device, load, checkpoint.facts(source, task), read_tokenizer=checkpoint.read_tokenizer)


@dataclass(eq=False, kw_only=True)
class TextModel(Model):
    """A model that continues text."""

    read_tokenizer: Callable[[], Any]
    _decoder: Decoder | None = None
    _tokenizer: Any = None
    #: Ids that end a text; none for random weights.
    _ending: frozenset[int] = frozenset()
    #: Encoded prompts by (prompts, chat): rounds of one call do not time tokenization again.
    _encoded: dict[tuple[tuple[str, ...], bool], Prompts] = field(default_factory=dict)
    #: Tokens that it reads at once; None where its configuration sets no limit.
    longest: int | None = None
    #: The generations made, by size; emptied by who wants to know those of a while.
    calls: Counter[Call] = field(default_factory=Counter)
    #: What they compute and move; known once the weights were read.
    work: Work | None = None

    @property
    def decoder(self) -> Decoder:
        """How tokens are made: torch, eagerly, unless a variant set another."""
        if self._decoder is None:
            self._decoder = TorchDecoder(self.module)
            self.note(ran_on=self._decoder.ran_on)
        return self._decoder

    @decoder.setter
    def decoder(self, decoder: Decoder) -> None:
        if self._decoder is not None:
            raise UsageError(
                f"two variants say how {self.source.text!r} makes tokens: {type(self._decoder).__name__} and "
                f"{type(decoder).__name__}; keep one of them"
            )
        self._decoder = decoder

    def compile_step(self, **asked: Any) -> None:
        """Make tokens by torch with each step compiled; `asked` are arguments of `torch.compile`."""
        self.decoder = TorchDecoder(self.module, asked)

    def keep_cache(self) -> None:
        """Make tokens by torch, eagerly, in a cache whose size is set before the first one."""
        self.decoder = decoder = TorchDecoder(self.module, static=True)
        self.note(ran_on=decoder.ran_on)

    @property
    def decoder_chosen(self) -> bool:
        """Whether a variant already said how tokens are made."""
        return self._decoder is not None

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer, padding on the left as generation needs it."""
        if self._tokenizer is None:
            self._tokenizer = self.read_tokenizer()
            self._tokenizer.padding_side = "left"
            if self._tokenizer.pad_token_id is None:
                self._tokenizer.pad_token = self._tokenizer.eos_token
        return self._tokenizer

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        min_new_tokens: int | None = None,
        chat: bool | None = None,
        **asked: Unpack[Asked],
    ) -> Generation:
        """Continue a batch of prompts; texts and tokens come without the prompt.

        `chat` wraps each prompt as a user's turn in the model's chat template; None does so where there is one.
        Tokens are chosen greedily unless `do_sample`, `temperature`, `top_k`, `top_p`, `seed` or `num_beams` say how.
        Raises UsageError for no prompts, no tokens, a chat without a template, or a choice that cannot be meant.
        """
        decoder, choice = self.decoder, Choice.of(**asked)
        encoded, limits = self._ready(prompts, max_new_tokens, min_new_tokens, chat)
        decoded = decoder.generate(encoded, limits, choice)
        sequences, prompt_tokens = encoded.input_ids.shape
        # every beam is a sequence of its own, from the prompt on
        self.calls[Call(sequences * choice.beams, prompt_tokens, max(map(len, decoded.rows)))] += 1
        self._witness(encoded, limits, choice, decoded.rows)
        texts = tuple(self.tokenizer.batch_decode([list(row) for row in decoded.rows], skip_special_tokens=True))
        return Generation(texts, decoded.rows, encoded.tokens, limits.max_new_tokens, decoded.clock)

    def stream(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        min_new_tokens: int | None = None,
        chat: bool | None = None,
        **asked: Unpack[Asked],
    ) -> Steps:
        """The same tokens a step at a time, each as soon as the host has it: a token id for each sequence.

        A sequence that ended gives None while the others go on. Raises UsageError for beams: their tokens are known
        only at the end.
        """
        decoder, choice = self.decoder, Choice.of(**asked)
        encoded, limits = self._ready(prompts, max_new_tokens, min_new_tokens, chat)
        steps = decoder.steps(encoded, limits, choice)
        return Steps(self._noted(steps, encoded, limits, choice), limits.max_new_tokens)

    def _noted(
        self, steps: Iterator[tuple[int | None, ...]], encoded: Prompts, limits: Limits, choice: Choice
    ) -> Iterator[tuple[int | None, ...]]:
        made = []
        for tokens in steps:
            made.append(tokens)
            yield tokens
        if made:
            self.calls[Call(len(encoded.input_ids), encoded.input_ids.shape[1], len(made))] += 1
            rows = [tuple(token for token in row if token is not None) for row in zip(*made, strict=True)]
            self._witness(encoded, limits, choice, rows)

    def _witness(self, prompts: Prompts, limits: Limits, choice: Choice, rows: Sequence[Sequence[int]]) -> None:
        """Leave what parity compares, of the first call of a bench: tokens, and the logits of two steps."""
        if self.witness is not None:
            return

        def repeat(other: Any) -> Any:
            return other.compared(prompts, limits, choice, other.decoder.generate(prompts, limits, choice).rows)

        read = (prompts.input_ids, prompts.attention_mask, repr(limits), repr(choice))
        self.witness = Witness(read, lambda: self.compared(prompts, limits, choice, rows), repeat)

    def compared(
        self, prompts: Prompts, limits: Limits, choice: Choice, rows: Sequence[Sequence[int]]
    ) -> dict[str, Any]:
        """Tokens (sequences, steps) as they came, and logits (sequences, vocabulary) of the first and the second step.

        The first step reads the prompt, the second is what a compiler compiles. Logits are made anew, greedily; there
        are none where a decoder does not choose by our Chooser.
        """
        import numpy

        width = max(map(len, rows))
        tokens = numpy.array([[*row, *[NOTHING] * (width - len(row))] for row in rows], "int64")
        taps: list[Any] = []
        steps = self.decoder.steps(prompts, limits, Choice(tap=taps.append))
        for _ in zip(range(min(2, limits.max_new_tokens)), steps, strict=False):
            taps[-1:] = [logits.float().cpu().numpy().copy() for logits in taps[-1:]]
        getattr(steps, "close", lambda: None)()
        return {"tokens": tokens, **dict(zip(("logits", "next_logits"), taps, strict=False))}

    def loglikelihood(
        self, contexts: Sequence[str], continuations: Sequence[str], *, batch_size: int = 8
    ) -> list[Likelihood]:
        """How likely each continuation is after its context, token by token, read by what makes the variant's tokens.

        A space between the two belongs to the continuation. Texts are taken as they are: no chat template. Raises
        UsageError for lists of two lengths, or a continuation of no tokens or of more than the model reads.
        """
        rows = scoring.continuations(self.tokenizer, contexts, continuations, self.longest)
        return scoring.likelihoods(self.decoder, rows, batch_size)

    def rolling(
        self, texts: Sequence[str], *, window: int | None = None, stride: int | None = None, batch_size: int = 1
    ) -> list[Likelihood]:
        """How likely each text is, token by token, read in windows of `window` tokens that move on by `stride`.

        A token has at least `window - stride` tokens before it. Without them the window is what the model reads at
        once, and the stride is the window. Raises UsageError for a window that it cannot read, or a stride beyond it.
        """
        size = scoring.window_size(window, stride, self.longest)
        rows = scoring.windows(self.tokenizer, texts, size, stride or size)
        found = iter(scoring.likelihoods(self.decoder, [row for of_text in rows for row in of_text], batch_size))
        return [Likelihood.joined([next(found) for _ in of_text]) for of_text in rows]

    def choose(
        self, prompts: Sequence[str], choices: Sequence[str] | Sequence[Sequence[str]], *, batch_size: int = 8
    ) -> list[Chosen]:
        """Which of several texts is the likeliest after each prompt: multiple choice, as lm-evaluation-harness asks it.

        `choices` are the same texts for all prompts, or a list of texts for each.
        """
        each = scoring.choices_of_each(prompts, choices)
        contexts = [prompt for prompt, texts in zip(prompts, each, strict=True) for _ in texts]
        found = iter(self.loglikelihood(contexts, [text for texts in each for text in texts], batch_size=batch_size))
        return [Chosen(texts, tuple(next(found) for _ in texts)) for texts in each]

    def kv_bytes(self, calls: Mapping[Call, int]) -> tuple[int | None, str]:
        """The KV cache of the largest of some calls, and how that is known: read off the runtime's tensors, or not."""
        held = [self.decoder.kv_bytes.get((call.sequences, call.kept_tokens)) for call in calls]
        if calls and None not in held:
            return max(size for size in held if size is not None), self.decoder.kv_source
        if not calls or self.work is None or self.work.sizes is None:
            return None, "not known: no generation was seen, or its sizes are not"
        of = self.work.sizes.kv_bytes
        return int(max(of(call.sequences, call.kept_tokens) for call in calls)), (
            "2 · layers · heads · head size · tokens · bytes: the runtime's own tensors are not seen"
        )

    def encode(self, prompts: Sequence[str], *, chat: bool | None = None) -> Prompts:
        """Token ids of prompts, padded on the left; kept for the next call with the same ones."""
        if isinstance(prompts, str) or not prompts or not all(isinstance(prompt, str) for prompt in prompts):
            raise UsageError(f"prompts must be a list of at least one text, not {prompts!r}")
        templated = bool(self.tokenizer.chat_template) if chat is None else chat
        if templated and not self.tokenizer.chat_template:
            raise UsageError(f"{self.source.text!r} has no chat template; leave chat=True out")
        key = tuple(prompts), templated
        if key not in self._encoded:
            self._encoded[key] = self._encode(*key)
        return self._encoded[key]

    def _encode(self, prompts: tuple[str, ...], templated: bool) -> Prompts:
        texts = [self._templated(prompt) for prompt in prompts] if templated else list(prompts)
        # A template writes the special tokens itself.
        encoded = self.tokenizer(texts, padding=True, return_tensors="np", add_special_tokens=not templated)
        if not encoded["input_ids"].shape[1]:
            raise UsageError(f"every prompt for {self.source.text!r} is empty")
        return Prompts(encoded["input_ids"].astype("int64"), encoded["attention_mask"].astype("int64"))

    def _templated(self, prompt: str) -> str:
        turn = [{"role": "user", "content": prompt}]
        return str(self.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))

    def _ready(
        self, prompts: Sequence[str], max_new_tokens: int, min_new_tokens: int | None, chat: bool | None
    ) -> tuple[Prompts, Limits]:
        least = min_new_tokens or 0
        if max_new_tokens < 1 or not 0 <= least <= max_new_tokens:
            raise UsageError(f"max_new_tokens={max_new_tokens}, min_new_tokens={least}: at least 1, and min <= max")
        return self.encode(prompts, chat=chat), self._limits(max_new_tokens, least)

    def _limits(self, max_new_tokens: int, least: int) -> Limits:
        pad = self.tokenizer.pad_token_id
        return Limits(max_new_tokens, least, self._ending, pad if pad is not None else min(self._ending, default=0))

    def prepare(self) -> None:
        """Read the weights and the tokenizer now, so that no bench times it."""
        _ = self.decoder, self.tokenizer

    def describe(self, module: Any) -> dict[str, Any]:
        """Facts read off the loaded module, and the ids with which it ends a text."""
        end = module.generation_config.eos_token_id
        self._ending = frozenset([end] if isinstance(end, int) else end or [])
        self.longest = getattr(module.config.get_text_config(decoder=True), "max_position_embeddings", None)
        self.work = Work.of(module)
        return module_facts(module)

    def close(self) -> None:
        """Give back weights and sessions."""
        self._decoder = self.work = None
        self._encoded.clear()
        super().close()
        # Rounds run with collections frozen: without this, cycles made before them would keep the weights.
        gc.unfreeze()
        gc.collect()
