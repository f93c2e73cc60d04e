"""Models on several ranks, for the tests of them."""

import psutil
from stand_in import settings

from pytest_modelbench.catalog import Catalog
from pytest_modelbench.device import Device
from pytest_modelbench.source import parse
from pytest_modelbench.variants import parse as parse_variant

CPU = Device("cpu", "cpu", "cpu")
TINY = "random:llama-tiny"
TEXTS = ["the of and", "one two three four five"]


def opened(variant, source=TINY, device=CPU):
    """A model run a variant's way, its weights read."""
    from pytest_modelbench.models import open_model

    model = open_model(parse(source), device, settings())
    try:
        model = parse_variant(variant, Catalog()).apply(model)
        model.prepare()
    except BaseException:
        model.close()
        raise
    return model


def other_ranks(model):
    """The processes of its other ranks."""
    return [other.child.process for other in model.elsewhere._others]


def alive(pid):
    """Whether a process runs; one that ended and was not asked for how is none."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
