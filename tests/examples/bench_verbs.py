"""The three verbs that time, on plain functions."""

WORDS = ["how", "fast", "is", "it", "and", "is", "it", "still", "good"]


def is_short(words):
    return [int(len(word) <= 2) for word in words]


def spell(text):
    yield from text


def bench_repeat(measure):
    run = measure(sorted, WORDS)
    run.count(words=len(WORDS))


def bench_each(measure):
    batches = [WORDS[:4], WORDS[4:8], WORDS[8:]]
    run = measure.each(is_short, batches)
    run.count(words=[len(batch) for batch in batches])
    assert run.score("accuracy", run.flat, [0, 0, 1, 1, 0, 1, 1, 0, 0]) == 1


def bench_stream(measure):
    run = measure.stream(spell, "to the end")
    run.count(letters=len(run.output))
