"""Each metric agrees with its reference library or a value computed by hand, and its items make up the score."""

import math
import os
import random
import shutil
import warnings
from pathlib import Path

import pytest

from pytest_modelbench.catalog import BUILT_IN, Catalog
from pytest_modelbench.errors import Unavailable, UsageError
from pytest_modelbench.scores import judge

CATALOG = Catalog()


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr("pytest_modelbench.scores.RESAMPLES", 100)
    monkeypatch.setattr("pytest_modelbench.scores.LEAST_RESAMPLES", 20)


def score(name, predictions, references=None, **options):
    (found,) = judge(CATALOG.metric(name), predictions, references, options).values()
    return found


def mean(values):
    return math.fsum(values) / len(values)


LABELS = [0, 1, 2, 0, 1, 2, 2, 2, 0, 1, 1, 2]
RIGHT = [0, 1, 1, 0, 2, 2, 2, 1, 0, 1, 0, 2]
SAID = ["the cat sat on the mat", "there is a dog in the garden", "hello world"]
TRUE = ["the cat sat on a mat", "a dog is in the garden", "hello there world"]


def test_each_metric_is_tested_here_or_beside():
    here = Path(__file__).read_text(encoding="utf-8")
    beside = {"exact_match", "contains", "perplexity", "bits_per_byte", "normalised_accuracy", "lm_eval"}
    assert {name for name in BUILT_IN["metric"] if f'"{name}' not in here} <= beside


# -- classification, beside scikit-learn


@pytest.fixture
def sklearn():
    return pytest.importorskip("sklearn.metrics")


def test_labels_of_the_whole(sklearn):
    assert score("accuracy", LABELS, RIGHT).value == sklearn.accuracy_score(RIGHT, LABELS)
    balanced = score("balanced_accuracy", LABELS, RIGHT)
    assert balanced.value == pytest.approx(sklearn.balanced_accuracy_score(RIGHT, LABELS))
    assert mean(balanced.items) == pytest.approx(balanced.value)
    for name in ("precision", "recall", "f1"):
        for average in ("macro", "micro", "weighted"):
            found = score(f"{name}:{average}", LABELS, RIGHT)
            assert found.value == pytest.approx(getattr(sklearn, f"{name}_score")(RIGHT, LABELS, average=average))
            assert found.items == tuple(float(a == b) for a, b in zip(LABELS, RIGHT, strict=True))
            assert found.low < found.value < found.high
    assert score("f1", LABELS, RIGHT).value == score("f1:macro", LABELS, RIGHT).value
    assert score("mcc", LABELS, RIGHT).value == pytest.approx(sklearn.matthews_corrcoef(RIGHT, LABELS))


@pytest.mark.parametrize("name", ["balanced_accuracy", "precision", "recall", "f1", "mcc"])
def test_labels_of_a_sample_are_judged_as_the_library_does(sklearn, name):
    draw = random.Random(0)
    function = {"mcc": "matthews_corrcoef", "balanced_accuracy": name}.get(name, f"{name}_score")
    function = getattr(sklearn, f"{name}_score" if name == "balanced_accuracy" else function)
    for average in ("macro", "micro", "weighted") if name in ("precision", "recall", "f1") else (None,):
        judged = CATALOG.metric(f"{name}:{average}" if average else name)(LABELS, RIGHT)
        for _ in range(20):
            at = draw.choices(range(len(RIGHT)), k=5)
            said, right = [LABELS[i] for i in at], [RIGHT[i] for i in at]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of classes that a sample lacks
                expected = function(right, said, **({"average": average, "zero_division": 0} if average else {}))
            assert judged.again(at) == pytest.approx(expected)


def test_labels_may_be_texts(sklearn):
    names = ["cat", "dog", "cow"]
    said, right = [names[at] for at in LABELS], [names[at] for at in RIGHT]
    assert score("f1:weighted", said, right).value == pytest.approx(score("f1:weighted", LABELS, RIGHT).value)
    with pytest.raises(UsageError, match="f1: item 1 compares 1 with 'dog'"):
        score("f1", ["cat", 1], ["cat", "dog"])
    with pytest.raises(UsageError, match="f1:macr is unknown; write f1: and one of macro, micro, weighted"):
        score("f1:macr", LABELS, RIGHT)


def test_several_right_labels():
    assert score("accuracy", [281, 4], [[281, 282], [1, 2]]).items == (1.0, 0.0)


def test_top_k(sklearn):
    draw = random.Random(1)
    rows = [[draw.random() for _ in range(6)] for _ in range(40)]
    right = [draw.randrange(6) for _ in range(40)]
    for k in (1, 3, 5):
        expected = sklearn.top_k_accuracy_score(right, rows, k=k, labels=range(6))
        assert score(f"top_k:{k}", rows, right).value == pytest.approx(expected)
    assert score("top_k", rows, right).value == score("top_k:5", rows, right).value
    assert score("top_k:1", [[0.1, 0.9]], [[0, 1]]).value == 1
    for right_one in (6, -1, True, "a"):
        with pytest.raises(UsageError, match=r"top_k: reference 0 is .*: give a class's place, 0 to 5"):
            score("top_k", rows[:1], [right_one])
    with pytest.raises(UsageError, match="top_k:none is no number"):
        score("top_k:none", rows, right)
    with pytest.raises(UsageError, match="give a row of scores"):
        score("top_k", [1], [1])


def test_auroc(sklearn):
    draw = random.Random(2)
    right = [draw.randrange(2) for _ in range(30)]
    rows = [0.4 * one + draw.random() for one in right]
    found = score("auroc", rows, right)
    assert found.value == pytest.approx(sklearn.roc_auc_score(right, rows))
    assert found.low < found.value < found.high
    three = [draw.randrange(3) for _ in range(30)]
    shares = []
    for one in three:
        weights = [draw.random() + (at == one) for at in range(3)]
        shares.append([weight / sum(weights) for weight in weights])
    expected = sklearn.roc_auc_score(three, shares, multi_class="ovr")
    assert score("auroc", shares, three).value == pytest.approx(expected)
    two = [[1 - share, share] for share in (one / 2 for one in rows)]
    assert score("auroc", two, right).value == pytest.approx(found.value)
    with pytest.raises(UsageError, match=r"auroc: .*sum"):
        score("auroc", [[0.9, 0.9], [0.2, 0.8]], [0, 1])
    with pytest.raises(UsageError, match="auroc: the references have no 0: no curve"):
        score("auroc", [0.1, 0.2], [1, 1])
    with pytest.raises(UsageError, match="auroc: "):
        score("auroc", [0.1, 0.2, 0.3], [0, 1, 2])


# -- regression


def test_numbers(sklearn):
    said, right = [2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0]
    assert score("mse", said, right).value == pytest.approx(sklearn.mean_squared_error(right, said))
    assert score("mae", said, right).value == pytest.approx(sklearn.mean_absolute_error(right, said))
    assert score("r2", said, right).value == pytest.approx(sklearn.r2_score(right, said))
    assert score("mae", said, right).items == (0.5, 0.5, 0.0, 1.0)
    with pytest.raises(UsageError, match="r2: the references do not vary"):
        score("r2", said, [1, 1, 1, 1])
    with pytest.raises(UsageError, match="mae: prediction 1 is str, not a number: 'x'"):
        score("mae", [1, "x"], [1, 2])


# -- texts


def test_token_f1_by_hand():
    # 5 words said, 4 right, 3 in common: 2·3/9; articles are no words; of several the best
    assert score("token_f1", ["It is Paris in France"], ["paris, France is!"]).value == pytest.approx(2 * 3 / 8)
    assert score("token_f1", ["a", "x", "the b"], ["an", "y", ["c", "B"]]).items == (1.0, 0.0, 1.0)


def test_bleu_and_chrf():
    sacrebleu = pytest.importorskip("sacrebleu")
    found = score("bleu", SAID, TRUE)
    assert found.value == pytest.approx(sacrebleu.corpus_bleu(SAID, [TRUE]).score)
    assert found.items[0] == pytest.approx(sacrebleu.sentence_bleu(SAID[0], [TRUE[0]]).score)
    assert 0 <= found.low <= found.high <= 100
    found = score("chrf", SAID, TRUE)
    assert found.value == pytest.approx(sacrebleu.corpus_chrf(SAID, [TRUE]).score)
    assert found.items[1] == pytest.approx(sacrebleu.sentence_chrf(SAID[1], [TRUE[1]]).score)
    several = [[TRUE[0], SAID[0]], [TRUE[1]], [TRUE[2]]]
    streams = [[TRUE[0], TRUE[1], TRUE[2]], [SAID[0], None, None]]
    assert score("bleu", SAID, several).value == pytest.approx(sacrebleu.corpus_bleu(SAID, streams).score)
    assert score("bleu", ["", "b c"], ["a b c d", "b c"]).items[0] == 0
    with pytest.raises(UsageError, match="bleu: reference 0 is 3: give a text, or a list of right texts"):
        score("bleu", ["a"], [3])


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_a_sample_is_judged_as_its_texts_are(name):
    sacrebleu = pytest.importorskip("sacrebleu")
    said, true = [*SAID, "ab", "", "é ü"], [*TRUE, "abc", "x", "é"]
    judged = CATALOG.metric(name)(said, true)
    for at in ([0, 0, 2], [3, 4], [1, 5, 5], range(6)):
        expected = getattr(sacrebleu, f"corpus_{name}")([said[i] for i in at], [[true[i] for i in at]]).score
        assert judged.again(at) == pytest.approx(expected)
    assert CATALOG.metric(name)(said[:1], [[true[1], true[0]]]).value == pytest.approx(
        getattr(sacrebleu, f"corpus_{name}")(said[:1], [[true[1]], [true[0]]]).score
    )


def test_rouge():
    scorer = pytest.importorskip("rouge_score.rouge_scorer")
    for kind in ("rouge1", "rouge2", "rougeL", "rougeLsum"):
        expected = [scorer.RougeScorer([kind]).score(r, s)[kind].fmeasure for s, r in zip(SAID, TRUE, strict=True)]
        found = score(f"rouge:{kind}", SAID, TRUE)
        assert found.items == pytest.approx(expected)
        assert found.value == pytest.approx(mean(expected))
    assert score("rouge", SAID[:1], [[TRUE[0], SAID[0]]]).value == 1
    with pytest.raises(UsageError, match="rouge:rouge9 is unknown"):
        score("rouge:rouge9", SAID, TRUE)


def test_meteor_without_synonyms_by_hand():
    pytest.importorskip("nltk")
    # 5 of 6 words are there, in two chunks: P = 1, R = 5/6, F = PR / (.9P + .1R), penalty .5·(2/5)³
    found = score("meteor:stems", ["the cat sat on mat"], ["the cat sat on a mat"])
    assert found.value == pytest.approx(5 / 6 / (0.9 + 0.1 * 5 / 6) * (1 - 0.5 * (2 / 5) ** 3))
    assert score("meteor:stems", ["dogs"], ["dog"]).value == pytest.approx(0.5), "one stem; one chunk of one word"


DEBIAN_WORDNET = Path(os.environ.get("MODELBENCH_DEBIAN", "/")) / "usr/share/wordnet"


@pytest.fixture
def wordnet(tmp_path, monkeypatch):
    """WordNet 3.0 as Debian ships it, in the folders that nltk looks in."""
    nltk = pytest.importorskip("nltk")
    if not (DEBIAN_WORDNET / "data.noun").exists():
        pytest.skip("no WordNet here: apt-get install wordnet-base")
    from nltk.corpus.reader import CorpusReader, WordNetCorpusReader
    from nltk.corpus.util import LazyCorpusLoader

    here = tmp_path / "corpora/wordnet"
    shutil.copytree(DEBIAN_WORDNET, here)
    # which Debian has elsewhere: the 45 files the words were written in, and keys of senses; synonyms ask for neither
    (here / "index.sense").touch()
    (here / "lexnames").write_text("".join(f"{number:02}\tfile{number}\t1\n" for number in range(45)))
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    languages = LazyCorpusLoader("omw-2.0", CorpusReader, r".*/wn-data-.*\.tab")  # absent, as after download of the one
    reader = LazyCorpusLoader("wordnet", WordNetCorpusReader, languages)
    monkeypatch.setattr(nltk.corpus, "wordnet", reader)
    yield
    for file in reader._data_file_map.values():  # which nltk leaves open
        file.close()


def test_meteor_with_synonyms_by_hand(wordnet):
    said, true = "the auto stands here", "the car stands here"
    # every word is there, in one chunk: P = R = F = 1, penalty .5·(1/4)³; without synonyms three of four, in two chunks
    assert score("meteor", [said], [true]).value == pytest.approx(1 - 0.5 * (1 / 4) ** 3)
    assert score("meteor:stems", [said], [true]).value == pytest.approx(0.75 * (1 - 0.5 * (2 / 3) ** 3))
    assert score("meteor", ["the cow stands here"], [true]).value == pytest.approx(0.75 * (1 - 0.5 * (2 / 3) ** 3))


def test_meteor_says_what_it_lacks(monkeypatch):
    nltk = pytest.importorskip("nltk")
    monkeypatch.setattr(nltk.data, "path", [])
    from nltk.corpus.util import LazyCorpusLoader

    if not isinstance(nltk.corpus.wordnet, LazyCorpusLoader):
        pytest.skip("WordNet was loaded before")
    with pytest.raises(Unavailable, match=r"needs WordNet, which is not here: .* or use meteor:stems"):
        score("meteor", SAID, TRUE)


# -- diversity, by hand


def test_words_by_hand():
    texts = ["a b a b", "a b c"]
    # bigrams ab ba ab | ab bc: three different of five
    found = score("distinct_n:2", texts)
    assert found.value == pytest.approx(3 / 5)
    assert found.items == pytest.approx((2 / 3, 1.0))
    assert score("distinct_n", texts).value == found.value
    assert score("distinct_n:1", [[1, 2, 1], [3]]).value == pytest.approx(3 / 4), "token ids are words too"
    # a 3/7, b 3/7, c 1/7
    expected = -sum(share * math.log2(share) for share in (3 / 7, 3 / 7, 1 / 7))
    assert score("entropy", texts).value == pytest.approx(expected)
    assert score("entropy", texts).items == pytest.approx((1.0, math.log2(3)))
    assert score("entropy", ["a a a"]).value == 0
    # four-grams of a b a b a b a: abab baba abab baba
    assert score("repetition", ["a b a b a b a", "a b"]).items == pytest.approx((0.5, 0.0))
    assert score("repetition:1", ["a a b"]).value == pytest.approx(1 / 3)
    assert score("repetition", ["a"]).direction == "lower"
    for name in ("distinct_n:9", "entropy"):
        with pytest.raises(UsageError, match=name[:8]):
            score(name, ["", " "])
    with pytest.raises(UsageError, match="entropy: prediction 0 is int"):
        score("entropy", [3])


# -- speech


def test_wer_and_cer():
    jiwer = pytest.importorskip("jiwer")
    for name in ("wer", "cer"):
        found = score(name, SAID, TRUE)
        assert found.value == pytest.approx(getattr(jiwer, name)(TRUE, SAID))
        assert mean(found.items) == pytest.approx(found.value)
        assert found.direction == "lower"
    torchmetrics = pytest.importorskip("torchmetrics.functional.text")
    assert score("wer", SAID, TRUE).value == pytest.approx(torchmetrics.word_error_rate(SAID, TRUE).item())
    assert score("cer", SAID, TRUE).value == pytest.approx(torchmetrics.char_error_rate(SAID, TRUE).item())


def test_wer_by_hand():
    pytest.importorskip("jiwer")
    # one word for another and one left out of four, three put in after one: 5 errors in 5 words
    found = score("wer", ["a x c", "b b b b"], ["a b c d", "b"])
    assert found.value == 1
    assert found.items == (2 / 2.5, 3 / 2.5)
    assert score("wer:normalised", ["Mister John's dog, he said."], ["mister john's dog he said"]).value == 0
    with pytest.raises(UsageError, match="wer: reference 1 says nothing"):
        score("wer:normalised", ["a", "b"], ["a", "..."])


# -- similarity


def test_cosine_by_hand():
    assert score("cosine", [[1, 0], [1, 1], [3, 4]], [[0, 2], [2, 2], [4, 3]]).items == pytest.approx((0, 1, 24 / 25))
    with pytest.raises(UsageError, match="item 0 is a vector of zeros"):
        score("cosine", [[0, 0]], [[1, 1]])
    with pytest.raises(UsageError, match=r"item 0 has shapes \(2,\) and \(3,\)"):
        score("cosine", [[0, 1]], [[1, 1, 1]])


def test_spearman():
    stats = pytest.importorskip("scipy.stats")
    said, right = [0.1, 0.9, 0.4, 0.4, 0.8], [1, 5, 2, 3, 3]
    assert score("spearman", said, right).value == pytest.approx(stats.spearmanr(said, right).statistic)
    with pytest.raises(UsageError, match="spearman: the references are all alike"):
        score("spearman", [1, 2], [3, 3])


def test_logit_kl():
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    ours = [torch.randn(n, 7, generator=generator) for n in (3, 5)]
    theirs = [torch.randn(n, 7, generator=generator) for n in (3, 5)]
    expected = torch.nn.functional.kl_div(
        torch.cat(ours).log_softmax(-1), torch.cat(theirs).log_softmax(-1), log_target=True, reduction="batchmean"
    )
    found = score("logit_kl", ours, theirs)
    assert found.value == pytest.approx(expected.item(), rel=1e-5)
    assert mean(found.items) == pytest.approx(found.value)
    assert score("logit_kl", [[0.0, -1e9]], [[0.0, -1e9]]).value == 0
    assert score("logit_kl", [torch.zeros(4).bfloat16()], [[0.0, 0, 0, 0]]).value == 0
    with pytest.raises(UsageError, match="give \\(tokens, vocabulary\\) twice"):
        score("logit_kl", ours, theirs[::-1])


def test_token_agreement_by_hand():
    found = score("token_agreement", [[1, 2, 3, 4], [5]], [[1, 2, 9, 4], [5, 6]])
    assert found.value == pytest.approx(4 / 6)
    assert mean(found.items) == pytest.approx(found.value)
    with pytest.raises(UsageError, match="no tokens to compare"):
        score("token_agreement", [[]], [[]])


# -- boxes


def test_iou_by_hand():
    numpy = pytest.importorskip("numpy")
    boxes = [(0, 0, 2, 2), (0, 0, 1, 1)], [(1, 1, 3, 3), (2, 2, 3, 3)]
    assert score("iou", *boxes).items == pytest.approx((1 / 7, 0.0))
    one, other = numpy.zeros((2, 2)), numpy.zeros((2, 2))
    one[0], other[:, 0] = 1, 1
    assert score("iou", [one, one * 0], [other, other * 0]).items == pytest.approx((1 / 3, 1.0))
    with pytest.raises(UsageError, match="ends before it begins"):
        score("iou", [(2, 0, 0, 2)], [(0, 0, 1, 1)])
    with pytest.raises(UsageError, match="give boxes of four numbers, or masks of one size"):
        score("iou", [(2, 0, 0)], [(0, 0, 1)])


def test_iou_agrees_with_pycocotools():
    mask = pytest.importorskip("pycocotools.mask")
    one, other = (10, 20, 50, 80), (30, 10, 70, 60)
    width_height = [[a, b, c - a, d - b] for a, b, c, d in (one, other)]
    expected = mask.iou(width_height[:1], width_height[1:], [0])[0][0]
    assert score("iou", [one], [other]).value == pytest.approx(expected)


@pytest.mark.parametrize("name", ["cosine", "iou", "logit_kl"])
def test_what_is_no_array_is_said(name):
    for value in ("a", [[1, 2], [3]]):
        with pytest.raises(UsageError, match=f"{name}: .* is no array of numbers"):
            score(name, [value], [[1, 2]])


def test_mean_ap_by_hand():
    pytest.importorskip("pycocotools")
    right = [{"boxes": [(0, 0, 100, 100)], "labels": [1]}, {"boxes": [(0, 0, 50, 50)], "labels": [1]}]
    same = [{**page, "scores": [0.9]} for page in right]
    assert score("mean_ap", same, right).value == pytest.approx(1.0)
    # IoU 0.64: right at 0.50, 0.55 and 0.60, and wrong at the other seven
    near = [
        {"boxes": [(0, 0, 80, 80)], "labels": [1], "scores": [0.9]},
        {"boxes": [(0, 0, 40, 40)], "labels": [1], "scores": [0.8]},
    ]
    assert score("mean_ap", near, right).value == pytest.approx(0.3)
    none = [{"boxes": [], "labels": [], "scores": []}] * 2
    assert score("mean_ap", none, right).value == 0
    # half is found and nothing wrong said: precision 1 up to a recall of 0.5, of COCO's 101 places 51
    assert score("mean_ap", [same[0], none[0]], right).value == pytest.approx(51 / 101)
    with pytest.raises(UsageError, match="the references hold no box"):
        score("mean_ap", none, none)
    with pytest.raises(UsageError, match="picture 0 has boxes, labels: give a dict of boxes, scores, labels"):
        score("mean_ap", right, right)
    with pytest.raises(UsageError, match="mean_ap: picture 0 has 1 boxes, 2 scores, 1 labels"):
        score("mean_ap", [{**right[0], "scores": [1, 2]}, same[1]], right)


# -- outside libraries

SCRIPT = """
import datasets
import evaluate

class Mine(evaluate.Metric):
    def _info(self):
        value = datasets.Value("int32")
        return evaluate.MetricInfo(
            description="", citation="", inputs_description="",
            features=datasets.Features({"predictions": value, "references": value}),
        )

    def _compute(self, predictions, references, shift=0):
        gaps = [abs(p - r) + shift for p, r in zip(predictions, references)]
        return {"gap": sum(gaps) / len(gaps), "gaps": gaps, "said": "something"}
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    pytest.importorskip("evaluate")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "mine.py").write_text(SCRIPT)
    return folder


@pytest.mark.filterwarnings("ignore")  # the library's own
def test_a_metric_of_evaluate_from_a_folder(mine):
    found = score("evaluate:./mine", [1, 2, 5], [1, 3, 3], key="gap", direction="lower", unit="steps")
    assert (found.value, found.unit, found.direction, found.items) == (1.0, "steps", "lower", ())
    items = score("evaluate:./mine", [1, 2, 5], [1, 3, 3], key="gaps", direction="lower", shift=1)
    assert (items.value, items.items) == (2.0, (1.0, 2.0, 3.0))
    assert items.low < 2 < items.high
    with pytest.raises(UsageError, match="does not say what is better: give direction="):
        score("evaluate:./mine", [1], [1], key="gap")
    with pytest.raises(UsageError, match="gives gap, gaps, said: say which, key=NAME"):
        score("evaluate:./mine", [1], [1], direction="lower")
    with pytest.raises(UsageError, match=r"metric .evaluate:\./mine.: "):
        score("evaluate:./mine", ["one"], [1], key="gap", direction="lower")


@pytest.mark.filterwarnings("ignore")
def test_a_metric_of_evaluate_that_needs_a_download(mine, monkeypatch):
    monkeypatch.setattr("evaluate.config.HF_EVALUATE_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(Unavailable, match=r"is no folder here, and the hub does not give it .* evaluate:FOLDER"):
        score("evaluate:accuracy", [1], [1])
    with pytest.raises(UsageError, match="evaluate needs the name of a metric"):
        score("evaluate", [1], [1])


def test_a_metric_of_torchmetrics(sklearn):
    pytest.importorskip("torchmetrics")
    found = score("torchmetrics:F1Score", LABELS, RIGHT, task="multiclass", num_classes=3, average="macro")
    assert found.value == pytest.approx(sklearn.f1_score(RIGHT, LABELS, average="macro"))
    assert found.direction == "higher"
    assert found.low < found.value < found.high
    assert score("torchmetrics:MeanSquaredError", [1.0, 2.0], [1.0, 4.0]).direction == "lower"
    texts = score("torchmetrics:WordErrorRate", SAID, TRUE)
    assert texts.value == pytest.approx(score("wer", SAID, TRUE).value)
    with pytest.raises(UsageError, match="torchmetrics has no class 'F1Scor'; did you mean 'F1Score'"):
        score("torchmetrics:F1Scor", LABELS, RIGHT)
    with pytest.raises(UsageError, match="metric 'torchmetrics:F1Score': "):
        score("torchmetrics:F1Score", LABELS, RIGHT)
    with pytest.raises(UsageError, match="gives no single number"):
        score("torchmetrics:F1Score", LABELS, RIGHT, task="multiclass", num_classes=3, average="none")
    with pytest.raises(UsageError, match="3 predictions and 2 references"):
        score("torchmetrics:WordErrorRate", SAID, TRUE[:2])


# -- checkpoints, small and of random weights


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A BERT of two layers as an encoder, a regression and a classifier, with a tokenizer of letters."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoints")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *sorted({word for text in SAID + TRUE for word in text.split()}),
    ]
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(words))
    tokenizer = transformers.BertTokenizerFast(str(vocabulary), model_max_length=32)
    shape = {
        "vocab_size": len(words),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    made = {
        "encoder": transformers.BertModel(transformers.BertConfig(**shape)),
        "regression": transformers.BertForSequenceClassification(transformers.BertConfig(**shape, num_labels=1)),
        "classifier": transformers.BertForSequenceClassification(
            transformers.BertConfig(
                **shape, id2label={0: "toxic", 1: "rude"}, problem_type="multi_label_classification"
            )
        ),
    }
    for name, model in made.items():
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return folder


def logits(folder, *texts):
    import torch
    import transformers

    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return [model(**tokenizer(*row, return_tensors="pt")).logits[0] for row in zip(*texts, strict=True)]


def test_bleurt_is_the_checkpoints_regression(checkpoints):
    found = score("bleurt", SAID, TRUE, model=str(checkpoints / "regression"))
    assert found.items == pytest.approx(
        [row[0].item() for row in logits(checkpoints / "regression", TRUE, SAID)], abs=1e-5
    )
    with pytest.raises(UsageError, match="has 2 labels: give a checkpoint of BLEURT"):
        score("bleurt", SAID, TRUE, model=str(checkpoints / "classifier"))


def test_toxicity_is_the_checkpoints_probability(checkpoints):
    found = score("toxicity", SAID, model=str(checkpoints / "classifier"))
    expected = [row[0].sigmoid().item() for row in logits(checkpoints / "classifier", SAID)]
    assert found.items == pytest.approx(expected, abs=1e-5)
    assert found.direction == "lower"
    with pytest.raises(UsageError, match=r"has no label .bad. \(it has: toxic, rude\)"):
        score("toxicity", SAID, model=str(checkpoints / "classifier"), label="bad")


def test_bertscore_with_a_local_model(checkpoints):
    bert_score = pytest.importorskip("bert_score")
    model = str(checkpoints / "encoder")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, _, expected = bert_score.score(SAID, TRUE, model_type=model, num_layers=2, device="cpu")
    found = score("bertscore", SAID, TRUE, model=model)
    assert found.items == pytest.approx(expected.tolist(), abs=1e-5)
    assert score("bertscore", SAID, SAID, model=model).value == pytest.approx(1, abs=1e-4)
    assert score("bertscore", SAID[:1], [[TRUE[0], SAID[0]]], model=model).value == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", ["bertscore", "bleurt", "toxicity"])
def test_a_checkpoint_that_needs_a_download_says_so(name, monkeypatch):
    pytest.importorskip("transformers")
    if name == "bertscore":
        pytest.importorskip("bert_score")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("transformers.utils.hub.is_offline_mode", lambda: True)
    with pytest.raises(
        Unavailable, match=rf"metric '{name}' needs the checkpoint 'nobody/nothing', .* give model=FOLDER"
    ):
        score(name, SAID, TRUE if name != "toxicity" else None, model="nobody/nothing")
