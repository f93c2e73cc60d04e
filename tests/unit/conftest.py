"""What several files of unit tests share because it takes long to make."""

import pytest


@pytest.fixture(scope="session")
def exports_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def exports_cache(exports_folder):
    """A cache of our own, in which the files of one session find each other's exports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_MODELBENCH_CACHE", str(exports_folder))
        yield exports_folder


@pytest.fixture(scope="module")
def ranks_here():
    """Ranks can be put on the CPU: transformers puts them on the accelerator where torch sees one."""
    torch = pytest.importorskip("torch")
    if torch.accelerator.current_accelerator(check_available=True) is not None:
        pytest.skip("transformers would put the ranks on the accelerator")


@pytest.fixture(scope="module")
def whole():
    """The model that several ranks are held against, in one piece."""
    from ranks import opened

    model = opened("eager")
    yield model
    model.close()
