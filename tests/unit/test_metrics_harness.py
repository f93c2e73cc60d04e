"""Tasks of lm-evaluation-harness on a small random Llama, offline, from files written here."""

import json
import os

import pytest
from stand_in import CPU, settings

from pytest_modelbench.catalog import Catalog
from pytest_modelbench.errors import UnknownName, UsageError
from pytest_modelbench.measure import Run
from pytest_modelbench.metrics import harness
from pytest_modelbench.source import parse

pytest.importorskip("lm_eval")
pytest.importorskip("datasets")
pytest.importorskip("transformers")

ROWS = [
    {"place": place, "choices": [" the water", "life", "the people of the city"], "right": at % 3}
    for at, place in enumerate(["world", "house", "day", "city", "water", "state", "place"])
]
TASK = """
task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
output_type: {output_type}
doc_to_text: "In the {{{{place}}}} there is"
doc_to_target: {target}
{more}
"""
CHOICE = "doc_to_choice: choices\nmetric_list:\n  - metric: acc\n  - metric: acc_norm"
ROLLING = "metric_list:\n  - metric: word_perplexity\n  - metric: bits_per_byte"
GENERATE = (
    'generation_kwargs:\n  until: [" "]\n  max_gen_toks: 4\nmetric_list:\n  - metric: exact_match\n'
    "    aggregation: mean\n    higher_is_better: true"
)


@pytest.fixture(scope="module")
def model():
    from pytest_modelbench.models import open_model

    model = open_model(parse("random:llama-tiny"), CPU, settings())
    yield model
    model.close()


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """A folder of tasks, over one file; the library's own caches stay in it too."""
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    for name, output_type, target, more in (
        ("tiny_choice", "multiple_choice", "right", CHOICE),
        ("tiny_rolling", "loglikelihood_rolling", '"{{place}} of{{choices[0]}}"', ROLLING),
        ("tiny_generate", "generate_until", '"{{place}}"', GENERATE),
    ):
        text = TASK.format(name=name, file=folder / "rows.jsonl", output_type=output_type, target=target, more=more)
        (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.fixture
def scored(model, tasks):
    """A Run, and its scores after `lm_eval:` a task of ours."""

    def score(name, **options):
        run = Run(Catalog().metric)
        value = run.score(f"lm_eval:{tasks / name}.yaml", model, **options)
        return value, run.scores

    return score


def test_multiple_choice_lands_with_its_standard_error(scored, model):
    value, scores = scored("tiny_choice")
    assert list(scores) == ["lm_eval_tiny_choice_acc", "lm_eval_tiny_choice_acc_norm"]
    chosen = model.choose(
        [f"In the {row['place']} there is" for row in ROWS], [[f" {text}" for text in row["choices"]] for row in ROWS]
    )
    right = [float(one.best == row["right"]) for one, row in zip(chosen, ROWS, strict=True)]
    normalised = [float(one.best_normalised == row["right"]) for one, row in zip(chosen, ROWS, strict=True)]
    accuracy = scores["lm_eval_tiny_choice_acc"]
    assert list(accuracy.items) == right
    assert list(scores["lm_eval_tiny_choice_acc_norm"].items) == normalised
    assert value == accuracy.value == pytest.approx(sum(right) / len(right))
    assert (accuracy.unit, accuracy.direction) == ("ratio", "higher")
    from pytest_modelbench.stats import standard_error

    assert accuracy.standard_error == pytest.approx(standard_error(right))


def test_rolling_lands_as_lm_eval_sums_it_up(scored, model):
    _, scores = scored("tiny_rolling")
    texts = [f"{row['place']} of{row['choices'][0]}" for row in ROWS]
    from pytest_modelbench.metrics.likelihood import bits_per_byte

    found = scores["lm_eval_tiny_rolling_bits_per_byte"]
    assert found.value == pytest.approx(bits_per_byte(model.rolling(texts), texts).value)
    assert (found.unit, found.direction, found.items) == ("bits/byte", "lower", ())
    assert scores["lm_eval_tiny_rolling_word_perplexity"].direction == "lower"


def test_generation_stops_where_the_task_says(scored, model):
    value, scores = scored("tiny_generate", limit=2)
    assert len(scores["lm_eval_tiny_generate_exact_match"].items) == 2
    assert 0 <= value <= 1
    asked = [("In the world", {"until": ["e"], "max_gen_toks": 6}), ("In the day", {"until": [], "max_gen_toks": 6})]
    stopped, whole = harness.generated(model, asked, batch_size=8)
    assert "e" not in stopped
    assert whole == model.generate(["In the day"], max_new_tokens=6, chat=False).texts[0]


def test_it_says_how_far_it_is(model, tasks):
    shares = []
    run = Run(Catalog().metric, tell=lambda phase, share: shares.append((phase, share)))
    run.score(f"lm_eval:{tasks / 'tiny_rolling.yaml'}", model, limit=4)
    assert [share for phase, share in shares if "lm_eval" in phase and share is not None][:4] == [0, 0.25, 0.5, 0.75]


def test_lm_evals_own_model_finds_texts_as_likely(model):
    """HFLM over the very module: token boundaries, truncation and sums are the harness's."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    theirs = HFLM(pretrained=model.module, tokenizer=model.tokenizer, batch_size=2, prefix_token_id=0)
    pairs = [
        ("the world", " of water"),
        ("a house ", "and people"),
        ("In the city\n", "life"),
        ("the " * 3000, " day"),
        ("", "a day of"),
    ]
    asked = [Instance("loglikelihood", {}, pair, at) for at, pair in enumerate(pairs)]
    found = harness.adapted(model, batch_size=2).loglikelihood(asked)
    for (total, greedy), (their_total, their_greedy) in zip(found, theirs.loglikelihood(asked), strict=True):
        assert total == pytest.approx(their_total, abs=1e-3)
        assert greedy == their_greedy


def test_a_long_context_leaves_room_for_the_answer(model):
    asked = [("the " * (model.longest + 10), {"until": [], "max_gen_toks": 4})]
    assert len(harness.generated(model, asked, batch_size=1)) == 1


def test_what_a_generation_here_does_not_know_is_refused(model):
    with pytest.raises(UsageError, match="asks for penalty"):
        harness.generated(model, [("a", {"penalty": 2})], batch_size=1)


def test_the_pool_is_allowed_again_afterwards(scored):
    scored("tiny_choice", limit=2)
    assert "DISABLE_MULTIPROC" not in os.environ


def test_a_task_by_name_in_a_folder_of_ones_own(model, tasks, monkeypatch):
    from lm_eval.tasks import TaskManager

    # all of lm-eval's own tasks take 17 s to list
    monkeypatch.setattr(harness, "_manager", lambda folder, _: TaskManager(include_path=folder, include_defaults=False))
    run = Run(Catalog().metric)
    run.score("lm_eval:tiny_choice", model, include_path=str(tasks), limit=2)
    assert "lm_eval_tiny_choice_acc" in run.scores
    with pytest.raises(UsageError, match="no task 'tiny_choise'; did you mean 'tiny_choice'"):
        run.score("lm_eval:tiny_choise", model, include_path=str(tasks))


def test_twice_is_refused(scored, model, tasks):
    run = Run(Catalog().metric)
    name = f"lm_eval:{tasks / 'tiny_choice.yaml'}"
    run.score(name, model, limit=1)
    with pytest.raises(UsageError, match="called twice"):
        run.score(name, model, limit=1)


@pytest.mark.parametrize(
    ("name", "says"),
    [("lm_eval:nothing.yaml", "is not there"), ("lm_eval:", "lm_eval needs a task"), ("lm_evil:x", "unknown")],
)
def test_names_that_are_none(model, name, says):
    with pytest.raises((UsageError, UnknownName), match=says):
        Run(Catalog().metric).score(name, model)


def test_it_takes_the_model_itself(tasks):
    with pytest.raises(UsageError, match="takes the model, not list"):
        Run(Catalog().metric).score("lm_eval:x", ["a text"])


def test_a_file_without_a_task(model, tmp_path):
    (tmp_path / "x.yaml").write_text("metric: acc\n")
    with pytest.raises(UsageError, match="has no line 'task: NAME'"):
        Run(Catalog().metric).score(f"lm_eval:{tmp_path / 'x.yaml'}", model)
