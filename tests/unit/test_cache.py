import pytest

from pytest_modelbench import cache


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTEST_MODELBENCH_CACHE", str(tmp_path / "cache"))


def test_made_once():
    calls = []

    def make(place):
        calls.append(place)
        (place / "file").write_text("made")

    first = cache.made_once("kind", "key", make)
    assert cache.made_once("kind", "key", make) == first
    assert (first / "file").read_text() == "made"
    assert len(calls) == 1


def test_a_making_that_fails_leaves_nothing():
    def make(place):
        (place / "half").write_text("x")
        raise RuntimeError("no space")

    with pytest.raises(RuntimeError):
        cache.made_once("kind", "key", make)
    assert [path.name for path in (cache.folder() / "kind").iterdir() if path.is_dir()] == []
    assert cache.made_once("kind", "key", lambda place: None).is_dir()


def test_the_key_depends_on_every_part_and_not_on_the_order_of_a_dict():
    assert cache.key("a", {"x": 1, "y": 2}) == cache.key("a", {"y": 2, "x": 1})
    assert cache.key("a", {"x": 1}) != cache.key("a", {"x": 2})


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("PYTEST_MODELBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "pytest-modelbench"
