"""Tasks: what a model is for. One row a task: the architectures it takes and the family that runs them.

A model's task is read off its configuration, never off its name, and no weights are read for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import UsageError


@dataclass(frozen=True)
class Task:
    """A row of the table."""

    name: str
    #: Endings of the architectures that do it, as transformers names them.
    endings: tuple[str, ...]
    #: The module in `models/` whose `open_family` gives the Model with this task's verbs.
    family: str
    #: transformers' class that reads such a model, and its table of classes by model type; empty where it has none.
    auto: str
    classes: str
    #: The verb that a bench of it measures, and what throughput counts.
    verb: str
    counts: str
    #: Keys of which the configuration has at least one, where the ending alone does not tell.
    keys: tuple[str, ...] = ()
    #: A key that the configuration must not have.
    without: str = ""

    def takes(self, architecture: str, config: Mapping[str, Any]) -> bool:
        """Whether this is the task of an architecture with such a configuration."""
        return (
            architecture.endswith(self.endings)
            and (not self.keys or any(config.get(key) for key in self.keys))
            and not config.get(self.without)
        )

    def why(self, architecture: str, config: Mapping[str, Any]) -> str:
        """What told it: `its architecture BertModel is *Model with vocab_size`."""
        ending = next(ending for ending in self.endings if architecture.endswith(ending))
        key = next((f" with {key}" for key in self.keys if config.get(key)), "")
        return f"its architecture {architecture} is *{ending}{key}"


def _row(name: str, endings: str, family: str, auto: str, classes: str, verb: str, counts: str, **told: Any) -> Task:
    table = "" if classes == "-" else f"MODEL_FOR_{classes}_MAPPING_NAMES" if classes else "MODEL_MAPPING_NAMES"
    reader = {"": "", "-": "AutoModel"}.get(auto, f"AutoModelFor{auto}")
    return Task(name, tuple(endings.split()), family, reader, table, verb, counts, **told)


#: Encoder-decoders say so of themselves; what hears or sees has these in its configuration.
_WRITES, _HEARS, _SEES = ("is_encoder_decoder",), ("num_mel_bins", "conv_dim", "audio_config"), ("vision_config",)

# fmt: off
#: The first row that takes an architecture has it.
TASKS = (
    _row("text-generation", "ForCausalLM LMHeadModel", "text",
         "CausalLM", "CAUSAL_LM", "generate", "tokens", without="is_encoder_decoder"),
    _row("speech-recognition", "ForConditionalGeneration", "speech",
         "SpeechSeq2Seq", "SPEECH_SEQ_2_SEQ", "transcribe", "audio_seconds", keys=_HEARS),
    _row("speech-recognition-ctc", "ForCTC", "sound",
         "CTC", "CTC", "transcribe", "audio_seconds"),
    _row("audio-classification", "ForAudioClassification ForSequenceClassification", "sound",
         "AudioClassification", "AUDIO_CLASSIFICATION", "classify", "audio_seconds", keys=("num_mel_bins", "conv_dim")),
    _row("image-to-text", "ForConditionalGeneration VisionEncoderDecoderModel", "captions",
         "ImageTextToText", "IMAGE_TEXT_TO_TEXT", "caption", "images", keys=_SEES),
    _row("visual-question-answering", "ForQuestionAnswering", "captions",
         "VisualQuestionAnswering", "VISUAL_QUESTION_ANSWERING", "answer", "images", keys=_SEES),
    _row("text2text-generation", "ForConditionalGeneration EncoderDecoderModel MarianMTModel", "text2text",
         "Seq2SeqLM", "SEQ_TO_SEQ_CAUSAL_LM", "generate", "tokens", keys=_WRITES),
    _row("image-text", "Model", "image_text",
         "-", "ZERO_SHOT_IMAGE_CLASSIFICATION", "match", "images", keys=_SEES),
    _row("image-classification", "ForImageClassification", "vision",
         "ImageClassification", "IMAGE_CLASSIFICATION", "classify", "images"),
    _row("object-detection", "ForObjectDetection", "vision",
         "ObjectDetection", "OBJECT_DETECTION", "detect", "images"),
    _row("image-segmentation", "ForSemanticSegmentation", "vision",
         "SemanticSegmentation", "SEMANTIC_SEGMENTATION", "segment", "images"),
    _row("fill-mask", "ForMaskedLM", "encoder",
         "MaskedLM", "MASKED_LM", "fill", "texts"),
    _row("text-classification", "ForSequenceClassification", "encoder",
         "SequenceClassification", "SEQUENCE_CLASSIFICATION", "classify", "texts"),
    _row("token-classification", "ForTokenClassification", "encoder",
         "TokenClassification", "TOKEN_CLASSIFICATION", "tag", "tokens"),
    _row("question-answering", "ForQuestionAnswering", "encoder",
         "QuestionAnswering", "QUESTION_ANSWERING", "answer", "texts"),
    _row("embedding", "Model OnnxGraph", "encoder",
         "-", "", "embed", "texts", keys=("vocab_size", "last_hidden_state"), without="is_encoder_decoder"),
    _row("voice-activity", "OnnxGraph", "voice",
         "", "-", "listen", "audio_seconds", keys=("speech_probs",)),
    _row("arrays", "OnnxGraph PlainCode", "plain",
         "", "-", "run", "items"),
    _row("arrays", "KerasFile SavedModelFolder TfliteFile", "tensorflow",
         "", "-", "run", "items"),
)
# fmt: on


def task_of(config: Mapping[str, Any], where: str) -> tuple[Task, str]:
    """The task of a model from its configuration, and why; `where` names the model in errors.

    Raises UsageError for an architecture that no row takes, naming it.
    """
    architectures = config.get("architectures") or []
    if not architectures:
        raise UsageError(
            f"cannot tell what {where} is for: its configuration names no architecture; "
            'add one to its config.json, such as "architectures": ["LlamaForCausalLM"]'
        )
    name = architectures[0]
    for task in TASKS:
        if task.takes(name, config):
            return task, task.why(name, config)
    kind = "an encoder-decoder " if config.get("is_encoder_decoder") else ""
    endings = dict.fromkeys(f"*{ending}" for task in TASKS for ending in task.endings)
    raise UsageError(
        f"{where} is {kind}{name}, which no task runs (they take {', '.join(endings)}); measure it as a torch module "
        "of your own, ./FILE.py#FUNCTION, or in a plain bench"
    )
