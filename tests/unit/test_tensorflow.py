"""TensorFlow's models: one net in its three forms agrees, what ran is proved, and what cannot run says why."""

import os
import shutil
import subprocess
import sys
import zipfile

import numpy
import pytest
from stand_in import CPU, CUDA, settings

from pytest_modelbench.catalog import Catalog
from pytest_modelbench.errors import Fallback, Refused, Unavailable, UnknownName, Unsupported, UsageError
from pytest_modelbench.parity import compare, kept
from pytest_modelbench.ports import Port, made_inputs
from pytest_modelbench.source import parse
from pytest_modelbench.variants import parse as parse_variant

pytest.importorskip("tensorflow", reason='pip install "pytest-modelbench[tensorflow]"')
pytest.importorskip("ai_edge_litert", reason='pip install "pytest-modelbench[tensorflow]"')

#: Variant of the .keras file -> the largest difference from eager's numbers.
VARIANTS = {
    "keras": 1e-6,
    "keras:jit": 1e-5,
    "savedmodel": 1e-6,
    "tflite": 1e-5,
    "tflite:no-xnnpack": 1e-5,
    "tflite:fp16": 1e-2,
    "tflite:int8": 1e-1,
}


@pytest.fixture(scope="module", autouse=True)
def own_cache(exports_cache):
    pass


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    """A folder with nets of every kind that Keras writes."""
    from pytest_modelbench.tensorflow import library

    library()
    import keras

    folder = tmp_path_factory.mktemp("nets")
    keras.utils.set_random_seed(0)
    picture = keras.Input((12, 12, 3), name="picture")
    seen = keras.layers.Conv2D(8, 3, activation="relu")(picture)
    seen = keras.layers.Dense(64, activation="relu", name="hidden")(keras.layers.Flatten()(seen))
    logits = keras.layers.Dense(5)(seen)
    keras.Model(picture, logits).save(folder / "small.keras")
    keras.Model(picture, {"logits": logits, "seen": seen}).save(folder / "named.keras")
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    keras.Model([right, left], [left - right, left + right]).save(folder / "two.keras")
    keras.Model(left, keras.layers.Lambda(lambda value: value * 2)(left)).save(folder / "code.keras")
    ids = keras.Input((None,), dtype="int32", name="ids")
    keras.Model(ids, keras.layers.Embedding(3, 4)(ids)).save(folder / "ids.keras")
    words = keras.Input((), dtype="string", name="words")
    square = keras.Input((3, 3), name="square")
    keras.Model(square, keras.ops.linalg.det(square)).save(folder / "det.keras")
    keras.Model(words, keras.layers.StringLookup(vocabulary=["a", "b"])(words)).save(folder / "words.keras")
    return folder


@pytest.fixture
def opened():
    models = []

    def opened(text, variant="eager", device=CPU, **asked):
        from pytest_modelbench.models import open_model

        model = open_model(parse(str(text)), device, settings(**asked))
        models.append(model)
        return parse_variant(variant, Catalog()).apply(model)

    yield opened
    for model in models:
        while model.closers:  # all of `close` but its collection, which takes a second with TensorFlow loaded
            model.closers.pop()()


@pytest.fixture
def tflite(opened, nets):
    """The .tflite file of the small net, as the variant made it."""
    model = opened(nets / "small.keras", "tflite")
    return shutil.copy(model.exported_to / "model.tflite", nets / "small.tflite")


@pytest.fixture
def saved(opened, nets):
    """The SavedModel of the small net, as the variant made it."""
    model = opened(nets / "small.keras", "savedmodel")
    return shutil.copytree(model.exported_to, nets / "saved", dirs_exist_ok=True)


# -- what is read off a file


def test_a_keras_file(opened, nets):
    model = opened(nets / "small.keras")
    assert (model.facts.task, model.facts.details["task_chosen_by"]) == (
        "arrays",
        "its architecture KerasFile is *KerasFile",
    )
    assert not model.loaded
    model.prepare()
    facts = model.facts
    own = 3 * 3 * 3 * 8 + 8 + 800 * 64 + 64 + 64 * 5 + 5
    assert (facts.architecture, facts.parameters, facts.weight_bytes) == ("Functional", own, 4 * own)
    assert facts.details["inputs"] == "picture (any, 12, 12, 3) float32"
    assert facts.details["outputs"] == "output_0 (any, 5) float32"
    assert (facts.dtype, facts.details["keras_backend"]) == ("float32", "tensorflow")
    assert facts.details["digest"].startswith("sha256:")
    assert model.run(numpy.ones((3, 12, 12, 3))).shape == (3, 5)
    model.ran()
    assert "eager on CPU:0" in model.facts.ran_on


def test_threads_are_torchs(opened, nets):
    import tensorflow
    import torch

    ran_on = [
        opened(nets / "small.keras", variant).forward.ran_on for variant in ("eager", "tflite", "tflite:threads=2")
    ]
    set_here = tensorflow.config.threading.get_intra_op_parallelism_threads()
    own = torch.get_num_threads()
    assert [said.rpartition(", ")[2] for said in ran_on] == [f"{set_here} threads", f"{own} threads", "2 threads"]


def test_a_saved_model(opened, nets, saved):
    model, keras = opened(saved), opened(nets / "small.keras")
    inputs = model.made_inputs(4)
    assert inputs["picture"].shape == (4, 12, 12, 3)
    numpy.testing.assert_allclose(model.run(**inputs), keras.run(**inputs), atol=1e-5)
    keras.prepare()
    assert model.facts.parameters == keras.facts.parameters
    assert model.facts.weight_bytes == keras.facts.weight_bytes
    assert model.facts.details["outputs"] == "output_0 (any, 5) float32"
    model.ran()
    assert "signature serving_default on CPU:0" in model.facts.ran_on
    again = opened(f"{saved}?signature=serve")
    numpy.testing.assert_array_equal(again.run(**inputs), model.run(**inputs))


def test_a_tflite_file(opened, nets, tflite):
    model, keras = opened(tflite), opened(nets / "small.keras")
    inputs = model.made_inputs(4)
    numpy.testing.assert_allclose(model.run(**inputs), keras.run(**inputs), atol=1e-5)
    assert model.facts.weight_bytes == os.path.getsize(tflite)
    assert model.facts.details["inputs"] == "picture (any, 12, 12, 3) float32"
    model.ran()
    # the batch may have any size, so the shape to flatten to is worked out beside
    assert "XNNPACK: 2 parts of the graph, 4 other operations" in model.facts.ran_on


def test_inputs_in_their_order_and_outputs_by_name(opened, nets):
    model = opened(nets / "two.keras")
    right, left = numpy.ones((2, 4)), numpy.full((2, 4), 3)
    for given in (((right, left), {}), ((), {"left": left, "right": right})):
        made = model.run(*given[0], **given[1])
        assert list(made) == ["output_0", "output_1"]
        assert (made["output_0"] == 2).all()
        assert (made["output_1"] == 4).all()
    assert set(opened(nets / "named.keras").run(numpy.ones((1, 12, 12, 3)))) == {"logits", "seen"}


def test_made_inputs_fit_what_is_taken(opened, nets):
    ids = opened(nets / "ids.keras").made_inputs(3)["ids"]
    assert (ids.shape, ids.dtype) == ((3, 64), "int32")
    assert set(ids.ravel()) == {0, 1}
    with pytest.raises(Unsupported, match=r"words \(any\) string is of no numbers"):
        opened(nets / "words.keras").made_inputs()


def test_ports_that_are_not_of_a_batch():
    fixed, scalar, free = Port("a", (4, 2), "uint8"), Port("b", (), "float32"), Port("c", None, "float32")
    made = made_inputs([fixed, scalar])
    assert (made["a"].shape, made["b"].shape) == ((4, 2), ())
    assert made["a"].max() > 1
    with pytest.raises(UsageError, match=r"a \(4, 2\) uint8 takes 4 at a time, not 8"):
        made_inputs([fixed], 8)
    with pytest.raises(Unsupported, match=r"c \(of any shape\) float32 takes whatever it is given"):
        made_inputs([free])


def test_inputs_that_a_file_has_not(opened, nets):
    model = opened(nets / "two.keras")
    with pytest.raises(UnknownName, match=r"unknown input 'lefd' .* did you mean 'left'"):
        model.run(lefd=numpy.ones((1, 4)), right=numpy.ones((1, 4)))
    with pytest.raises(UsageError, match=r"was not given left \(any, 4\) float32"):
        model.run(right=numpy.ones((1, 4)))


# -- variants


CASES = [("small", variant) for variant in VARIANTS]
CASES += [(name, variant) for name in ("named", "two", "ids") for variant in ("keras", "savedmodel", "tflite")]


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_a_variant_gives_eagers_numbers(opened, nets, name, variant):
    model, eager = opened(nets / f"{name}.keras", variant), opened(nets / f"{name}.keras")
    for batch in (1, 3):
        found, expected = (kind.outputs(kind.encode(**kind.made_inputs(batch))) for kind in (model, eager))
        assert found.keys() == expected.keys()
        for key, array in expected.items():
            assert found[key].shape == array.shape
            assert numpy.abs(found[key] - array).max() <= VARIANTS[variant]
    model.ran()
    said = {"keras": "predict, a graph on CPU:0", "keras:jit": "compiled by XLA", "savedmodel": "signature serving"}
    assert said.get(variant, "ai-edge-litert") in model.facts.ran_on
    scores = compare(kept(model.witness.arrays()), kept(model.witness.repeat(eager)))
    assert scores["parity_cosine"].value > 0.99


def test_smaller_files_say_so(opened, nets):
    sizes = {}
    for variant in ("tflite", "tflite:fp16", "tflite:int8"):
        facts = opened(nets / "small.keras", variant).facts
        sizes[variant] = facts.weight_bytes
        assert facts.quantization == (variant.replace(":", "-") if ":" in variant else None)
    assert sizes["tflite"] > 1.8 * sizes["tflite:fp16"] > 3 * sizes["tflite:int8"]


@pytest.mark.parametrize(("name", "variant"), [("ids", "int8"), ("two", "fp16")])
def test_a_precision_that_no_weight_got_is_a_fallback(opened, nets, name, variant):
    with pytest.raises(Fallback, match=f"asked for weights of {variant}, float32 would run"):
        opened(nets / f"{name}.keras", f"tflite:{variant}")


def test_a_wrong_conversion_is_seen(opened, nets, monkeypatch):
    from pytest_modelbench.tensorflow import keras_net

    real = keras_net.export

    def other_weights(module, folder):
        import keras

        twin = keras.models.clone_model(module)
        twin.set_weights([-weight for weight in module.get_weights()])
        real(twin, folder)

    monkeypatch.setenv("PYTEST_MODELBENCH_CACHE", str(nets / "other"))
    monkeypatch.setattr(keras_net, "export", other_weights)
    eager = opened(nets / "small.keras")
    for variant in ("savedmodel", "tflite"):
        model = opened(nets / "small.keras", variant)
        model.run(**model.made_inputs(2))
        scores = compare(kept(model.witness.arrays()), kept(model.witness.repeat(eager)))
        assert scores["parity_cosine"].value < 0.9


def test_a_saved_model_is_converted_too(opened, saved):
    model, eager = opened(saved, "tflite"), opened(saved)
    inputs = eager.made_inputs(2)
    numpy.testing.assert_allclose(model.run(**inputs), eager.run(**inputs), atol=1e-5)


def test_exports_are_kept(opened, nets):
    opened(nets / "small.keras", "savedmodel")
    again = opened(nets / "small.keras", "savedmodel")
    assert again.facts.details["export_seconds"] is None


def test_functions_told_to_run_eagerly_are_a_fallback(opened, nets):
    import tensorflow

    model = opened(nets / "small.keras", "keras")
    tensorflow.config.run_functions_eagerly(True)
    try:
        model.run(**model.made_inputs(2))
        with pytest.raises(Fallback, match="asked for Keras's predict as a graph"):
            model.ran()
    finally:
        tensorflow.config.run_functions_eagerly(False)


def test_xnnpack_that_took_nothing_is_a_fallback(opened, nets, monkeypatch):
    model = opened(nets / "small.keras", "tflite:xnnpack")
    model.ran()
    monkeypatch.setattr(type(model.forward), "delegated", lambda self: "no delegate: 5 operations by its own kernels")
    with pytest.raises(Fallback, match="asked for XNNPACK, LiteRT's own kernels ran"):
        model.ran()


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ("onnx", "is not torch's: 'eager' runs it, and 'keras', 'savedmodel' and 'tflite'"),
        ("bf16", "cannot be read with dtype"),
        ("torchao-int8", "has no layers of torch's"),
        ("bnb-int8", "cannot be read with"),
    ],
)
def test_ways_of_torch_say_what_works(opened, nets, variant, said):
    with pytest.raises(Unavailable, match=said):
        opened(nets / "small.keras", variant).prepare()


@pytest.mark.parametrize("variant", ["keras", "savedmodel", "tflite"])
def test_torchs_models_say_what_works(opened, variant):
    with pytest.raises(Unsupported, match=f"variant '{variant}' is for TensorFlow's models .* use 'onnx'"):
        opened("random:bert-tiny", variant)


def test_files_that_are_it_already(opened, saved, tflite):
    with pytest.raises(Unsupported, match="is a SavedModel already: 'eager' runs it"):
        opened(saved, "savedmodel")
    with pytest.raises(Unsupported, match=r"runs \.keras files"):
        opened(saved, "keras")
    with pytest.raises(Unsupported, match=r"is a \.tflite file, which nothing turns back"):
        opened(tflite, "savedmodel")


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ("keras+tflite", "both decide the runtime"),
        ("compiled+savedmodel", "contradicts itself"),
        ("bnb-int8+tflite", "contradicts itself"),
    ],
)
def test_contradictions_are_told_before_anything_is_read(variant, said):
    with pytest.raises(UsageError, match=said):
        parse_variant(variant, Catalog())


def test_words_of_options(opened, nets):
    with pytest.raises(UnknownName, match="unknown word 'int4'"):
        opened(nets / "small.keras", "tflite:int4")
    with pytest.raises(UsageError, match="savedmodel has no options"):
        opened(nets / "small.keras", "savedmodel:fp16")


# -- what cannot be read


def test_another_device_is_told(opened, nets):
    with pytest.raises(Unsupported, match="run on the CPU here, not on cuda:0"):
        opened(nets / "small.keras", device=CUDA)


def test_truncated_files(opened, nets, saved, tflite, tmp_path):
    for file in ("small.keras", "small.tflite"):
        whole = (nets / file).read_bytes()
        (tmp_path / file).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UsageError, match=r"truncated"):
            opened(tmp_path / file).prepare()
    (tmp_path / "not.tflite").write_bytes(b"a text that is no net")
    with pytest.raises(UsageError, match=r"is no \.tflite file"):
        opened(tmp_path / "not.tflite")
    broken = shutil.copytree(saved, tmp_path / "saved")
    (broken / "saved_model.pb").write_bytes(b"\x00\x01 nothing")
    with pytest.raises(UsageError, match="TensorFlow cannot read"):
        opened(broken).prepare()
    shutil.rmtree(shutil.copytree(saved, tmp_path / "without") / "variables")
    with pytest.raises(UsageError, match="TensorFlow cannot read"):
        opened(tmp_path / "without").prepare()


def test_weights_that_are_missing_from_a_keras_file(opened, nets, tmp_path):
    with zipfile.ZipFile(nets / "small.keras") as whole, zipfile.ZipFile(tmp_path / "part.keras", "w") as part:
        for name in ("config.json", "metadata.json"):
            part.writestr(name, whole.read(name))
    with pytest.raises(UsageError, match=r"part\.keras"):
        opened(tmp_path / "part.keras").prepare()


def test_code_in_a_file_is_refused_unless_it_is_named(opened, nets):
    path = nets / "code.keras"
    with pytest.raises(Refused, match="--bench-trust-remote-code"):
        opened(path).prepare()
    model = opened(path, trust_remote_code=frozenset({str(path)}))
    assert (model.run(numpy.ones((2, 4))) == 2).all()


def test_a_class_that_nobody_registered(opened, tmp_path):
    import keras

    class Own(keras.layers.Layer):
        def call(self, value):
            return value + 1

    takes = keras.Input((4,))
    keras.Model(takes, Own()(takes)).save(tmp_path / "own.keras")
    with pytest.raises(UsageError, match=r"'Own'.*register_keras_serializable.*conftest\.py"):
        opened(tmp_path / "own.keras").prepare()
    keras.saving.register_keras_serializable(package="test")(Own)
    try:
        keras.Model(takes, Own()(takes)).save(tmp_path / "registered.keras")
        for variant in ("eager", "savedmodel"):
            model = opened(tmp_path / "registered.keras", variant)
            assert (model.run(numpy.ones((2, 4))) == 2).all()
    finally:
        keras.saving.get_custom_objects().clear()


def test_a_model_of_a_class_of_ones_own(opened, tmp_path):
    import keras

    class Single(keras.Model):
        def __init__(self, **named):
            super().__init__(**named)
            self.layer, self.drop = keras.layers.Dense(3), keras.layers.Dropout(0.5)

        def call(self, value, training=False):
            return self.drop(self.layer(value), training=training)

    class Pair(keras.Model):
        def __init__(self, **named):
            super().__init__(**named)
            self.layer = keras.layers.Dense(3)

        def call(self, one, other):
            return self.layer(one) + self.layer(other)

    rows = numpy.ones((2, 6), "float32")
    try:
        for kind, given in ((Single, (rows,)), (Pair, (rows, rows))):
            net = keras.saving.register_keras_serializable(package="test")(kind)()
            net(*given)
            net.save(tmp_path / f"{kind.__name__}.keras")
        eager = opened(tmp_path / "Single.keras")
        for variant in ("keras", "savedmodel", "tflite"):
            model = opened(tmp_path / "Single.keras", variant)
            numpy.testing.assert_allclose(model.run(rows[:1]), eager.run(rows[:1]), atol=1e-5)
            assert model.facts.details["inputs"] == "args_0 (any, 6) float32"
        with (
            pytest.warns(UserWarning, match="cannot be built automatically"),  # Keras's own, and right
            pytest.raises(UsageError, match=r"a Pair that is not run by args_0 \(any, 6\) float32"),
        ):
            opened(tmp_path / "Pair.keras").prepare()
    finally:
        keras.saving.get_custom_objects().clear()


def test_a_saved_model_without_a_signature(opened, tmp_path):
    import tensorflow

    tensorflow.saved_model.save(tensorflow.Module(), str(tmp_path / "none"))

    class Plain(tensorflow.Module):
        @tensorflow.function(input_signature=[tensorflow.TensorSpec([None, 2])])
        def twice(self, value):
            return 2 * value

    plain = Plain()
    with pytest.raises(UsageError, match=r"has no signature to serve: write it with model\.export"):
        opened(tmp_path / "none").prepare()
    both = {"one": plain.twice, "other": plain.twice}
    tensorflow.saved_model.save(plain, str(tmp_path / "several"), signatures=both)
    with pytest.raises(UsageError, match=r"several signatures, one, other: choose one with \?signature=NAME"):
        opened(tmp_path / "several").prepare()
    with pytest.raises(UnknownName, match="did you mean 'other'"):
        opened(f"{tmp_path}/several?signature=othr").prepare()
    model = opened(f"{tmp_path}/several?signature=other")
    assert (model.run(numpy.ones((3, 2))) == 2).all()


def test_operators_that_lite_lacks(opened, nets):
    with pytest.raises(Unsupported, match=r"cannot be converted to \.tflite: .*MatrixDeterminant.*'savedmodel' or"):
        opened(nets / "det.keras", "tflite")


def test_without_tensorflow_the_pip_line(opened, nets, monkeypatch):
    from pytest_modelbench import declare

    monkeypatch.setattr(declare, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match=r'needs tensorflow, keras: pip install "pytest-modelbench\[tensorflow\]"'):
        opened(nets / "small.keras")


def test_an_option_that_a_file_has_no_use_for(opened, nets):
    with pytest.raises(UsageError, match=r"has \?tokenizer, and a Keras model takes no \?options"):
        opened(f"{nets}/small.keras?tokenizer=hub:a")


# -- from the command line


def test_exports_from_the_command_line(nets, tmp_path, monkeypatch, capsys):
    from pytest_modelbench.__main__ import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # leases of our own: no waiting for other sessions
    shutil.copy(nets / "small.keras", tmp_path)
    for form, made in {"tflite": "small.tflite", "savedmodel": "small-savedmodel/saved_model.pb"}.items():
        assert main(["export", "./small.keras", "--to", form]) == 0
        out = capsys.readouterr().out
        assert f"{form}: {made.partition('/')[0]}, " in out
        assert "beside Keras: cosine 1" in out
        assert (tmp_path / made).is_file()
    assert main(["export", "./small.keras", "--to", "onnx"]) == 2
    assert "is a Keras model and is not torch's" in capsys.readouterr().err


# -- in processes of their own


def in_a_process(code, **variables):
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ | variables
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


COMMAND = "from pytest_modelbench.__main__ import main; main({!r})"


def test_keras_on_torch(nets):
    arguments = ["variants", f"{nets}/small.keras", "--only", "eager,keras,savedmodel"]
    said = in_a_process(COMMAND.format(arguments), KERAS_BACKEND="torch")
    lines = [line for line in said.splitlines() if "small.keras  " in line]
    assert [line.split()[2].rstrip(":") for line in lines] == ["runs", "runs", "skipped"]
    assert "start with KERAS_BACKEND=tensorflow, or use 'keras'" in lines[2]


def test_a_model_of_torchs_brings_in_no_tensorflow():
    arguments = ["variants", "random:bert-tiny", "--only", "eager,tflite"]
    code = COMMAND.format(arguments) + "; import sys; print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    assert in_a_process(code).splitlines()[-1] == "[]"


# -- a net that somebody trained


def test_three_forms_of_basic_pitch_agree(opened):
    pytest.importorskip("basic_pitch", reason="pip install --no-deps basic-pitch")
    forms = {form: opened(f"package:basic_pitch#{form}") for form in ("saved_model", "tflite", "onnx")}
    sound = 0.1 * numpy.sin(2 * numpy.pi * 440 * numpy.arange(43844) / 22050)[None, :, None]
    found = {form: model.run(sound.astype("float32")) for form, model in forms.items()}
    # ONNX's outputs have the graph's own names; TensorFlow's converter numbered them so
    names = {"note": 1, "onset": 2, "contour": 0}
    for name, number in names.items():
        others = [found["tflite"][name], found["onnx"][f"StatefulPartitionedCall:{number}"]]
        for other in others:
            numpy.testing.assert_allclose(other, found["saved_model"][name], atol=1e-4)
    # the note A4, of 88 from A0 on
    assert found["saved_model"]["note"][0].mean(0).argmax() == 48
    with pytest.raises(Unsupported, match="the library that wrote it is not here"):
        opened("package:basic_pitch#saved_model", "tflite")
