"""Sides: where the other side's code lies, and that its modules come first."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_modelbench.errors import UsageError
from pytest_modelbench.gate.sides import against, base_root, dirty, import_path, itself, moved, project_root
from pytest_modelbench.inside import _foreign


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "tester@example.org")
    root = tmp_path / "project"
    root.mkdir()
    (root / "code.py").write_text("1")
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "one"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    return root


def test_a_ref_becomes_a_worktree_that_goes(repository):
    (repository / "code.py").write_text("2")
    base = against("main", repository)
    assert base.kind == "ref"
    assert base.said == f"main ({base.place[:7]})"
    with base_root(base, repository) as root:
        assert (root / "code.py").read_text() == "1"
    assert not root.exists()
    assert dirty(repository)
    assert project_root(repository) == repository


def test_what_a_killed_session_left_is_removed(repository, tmp_path):
    left, used = tmp_path / "tmp/modelbench-base-dead", tmp_path / "tmp/modelbench-base-live"
    for folder in (left, used):
        folder.mkdir()
        (folder / "in-use.lock").touch()
    code = (
        "import sys, time; from filelock import FileLock\n"
        f"with FileLock({str(used / 'in-use.lock')!r}): print(1, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with base_root(against("main", repository), repository):
            assert not left.exists()
            assert used.exists()
        holder.kill()


def test_a_folder_and_a_variant_are_used_as_they_are(repository, tmp_path):
    with base_root(against(str(tmp_path), repository), repository) as root:
        assert root == tmp_path
    base = against("variant:eager", repository)
    assert (base.kind, base.place) == ("variant", "eager")
    with base_root(base, repository) as root:
        assert root == repository
    assert itself(repository).place == str(repository)


@pytest.mark.parametrize("asked", ["nowhere", "--upload-pack=x", "variant:", "/no/such/folder"])
def test_what_is_not_there_is_refused(repository, asked):
    with pytest.raises(UsageError, match="--bench-against"):
        against(asked, repository)


def test_outside_of_git_only_folders_and_variants_are_known(tmp_path):
    with pytest.raises(UsageError, match="in no git repository; give a folder or variant:NAME"):
        against("main", tmp_path)
    with pytest.raises(UsageError, match="is in no git repository"):
        project_root(tmp_path)


def test_paths_move_with_their_side_but_not_the_environments(tmp_path):
    root, to = Path("/project"), tmp_path
    assert moved("/project/benches", root, to) == f"{to}/benches"
    assert moved("/project", root, to) == str(to)
    assert moved("/project2/x", root, to) == "/project2/x"
    assert moved("-k", root, to) == "-k"
    environment = sys.prefix + "/lib"
    assert moved(environment, Path(sys.prefix).parent, to) == environment


def test_a_sides_own_root_leads_its_path(tmp_path):
    """Before what an editable install adds, be it an entry or a finder: finders of installs ask the path first."""
    entries = ["", "/project/src", "/elsewhere"]
    assert import_path(entries, Path("/project"), tmp_path) == [str(tmp_path), f"{tmp_path}/src", "/elsewhere"]
    (tmp_path / "src").mkdir()
    assert import_path(entries, Path("/project"), tmp_path) == [f"{tmp_path}/src", "/elsewhere"]


def test_a_module_of_the_other_side_is_seen(tmp_path, monkeypatch):
    other = tmp_path / "other"
    own = other / "own"  # one side's folder may lie in the other's
    own.mkdir(parents=True)
    for folder, name in ((other, "of_other"), (own, "of_own")):
        (folder / f"{name}.py").touch()
        monkeypatch.syspath_prepend(folder)
        __import__(name)
    try:
        assert _foreign(str(own), str(other)) == ["of_other"]
        assert _foreign(str(other), str(own)) == ["of_own"]
    finally:
        del sys.modules["of_other"], sys.modules["of_own"]
    assert os.fspath(other) in sys.path
