"""A Record to and from plain data, and the golden file of each schema version."""

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from records import FULL

from pytest_modelbench.record import SCHEMA, Caveat, Memory, from_dict, to_dict

GOLDEN = Path(__file__).parents[1] / "golden"


def test_a_record_survives_json():
    assert from_dict(json.loads(json.dumps(to_dict(FULL)))) == FULL


def test_the_golden_file_of_this_version_reads_back_equal():
    assert from_dict(json.loads((GOLDEN / f"record-v{SCHEMA}.json").read_text())) == FULL


@pytest.mark.parametrize("version", range(1, SCHEMA + 1))
def test_every_version_is_still_read(version):
    from_dict(json.loads((GOLDEN / f"record-v{version}.json").read_text()))


def test_a_newer_schema_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"schema 99 is newer than 1: upgrade"):
        from_dict(to_dict(FULL) | {"schema": 99})


def test_an_unknown_field_is_refused_not_dropped():
    with pytest.raises(ValueError, match="no field surprise"):
        from_dict(to_dict(FULL) | {"surprise": 1})


def test_an_unknown_caveat_is_refused():
    with pytest.raises(ValueError, match="unknown caveat 'tired'"):
        Caveat("tired")


def test_a_record_is_frozen():
    with pytest.raises(FrozenInstanceError):
        FULL.outcome = "failed"  # type: ignore[misc]


def test_the_key_does_not_depend_on_the_order_of_axes():
    turned = replace(FULL, axes=dict(reversed(FULL.axes.items())))
    assert turned.key == FULL.key
    assert turned.record_id == FULL.record_id


def test_the_id_tells_sessions_and_axes_apart():
    others = [replace(FULL, session="other"), replace(FULL, axes=FULL.axes | {"n": "9"})]
    assert len({record.record_id for record in [FULL, *others]}) == 3


def test_the_peak_is_the_devices_where_there_is_one():
    assert Memory(process_peak_bytes=1, device_reserved_peak_bytes=2).peak_bytes == 2
    assert Memory(process_peak_bytes=1, device_reserved_peak_bytes=2, device_process_bytes=3).peak_bytes == 3
    assert Memory(process_peak_bytes=1, device_process_bytes=0).peak_bytes == 0
    assert Memory(process_peak_bytes=1).peak_bytes == 1
    assert Memory().peak_bytes is None


@pytest.mark.parametrize(
    "unknown",
    [
        Memory(device_reserved_peak_bytes=0),
        Memory(device_reserved_peak_bytes=2, torch_holds=False),
        Memory(device_used_bytes=2),
        Memory(sources={"device_reserved_peak_bytes": "not read: torch.mps keeps no peaks"}),
    ],
    ids=["nothing-by-torch", "by-another-runtime", "not-by-process", "not-at-all"],
)
def test_the_peak_of_a_device_is_never_the_hosts(unknown):
    assert replace(unknown, process_peak_bytes=5_000_000_000).peak_bytes is None
