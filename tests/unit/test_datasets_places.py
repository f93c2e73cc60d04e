"""Where data come from: folders, the hub, other machines, packages; and what is said when they are not there."""

import contextlib
import functools
import gzip
import http.server
import importlib.metadata
import json
import socket
import threading
import wave
from array import array
from pathlib import Path

import pytest

from pytest_modelbench.datasets import open_dataset
from pytest_modelbench.errors import Unavailable, UnknownName, UsageError
from pytest_modelbench.source import parse

CSV = b"question,answer\none?,1\ntwo?,2\n"


def opened(text, **options):
    return open_dataset(parse(text), **options)


@pytest.fixture(autouse=True)
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# -- folders, by the datasets library


@pytest.fixture
def library(tmp_path, monkeypatch):
    """The library with a cache of its own."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    return datasets


@pytest.fixture
def pictures(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    for at, label in enumerate(("cat", "dog")):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        Image.new("L", (3, 2), at).save(tmp_path / "pictures" / label / "a.png")
    return tmp_path / "pictures"


def test_a_folder_of_pictures_has_a_label_a_folder(library, pictures):
    data = opened("./pictures")
    assert [(picture.mode, picture.size) for picture in data.inputs] == [("RGB", (3, 2))] * 2
    assert data.references == (0, 1)
    assert (data.facts.split, data.facts.n) == ("train", 2)
    assert opened("./pictures?references=label_name").references == ("cat", "dog")
    streamed = opened("./pictures?stream=true")
    assert streamed.facts.digest == data.facts.digest
    assert streamed.inputs[1].getpixel((0, 0)) == (1, 1, 1)


def test_a_picture_is_pinned_by_its_file(library, pictures):
    before = opened("./pictures").facts
    Image = pytest.importorskip("PIL.Image")
    Image.new("L", (3, 2), 0).save(pictures / "cat" / "a.png", compress_level=0)
    after = opened("./pictures").facts
    assert after.digest != before.digest, "the same pixels, and another file"
    assert after.revision != before.revision


@pytest.fixture
def splits(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.csv").write_bytes(CSV)
    (tmp_path / "set" / "test.csv").write_bytes(b"question,answer\nthree?,3\n")
    return tmp_path / "set"


def test_a_folder_has_splits(library, splits):
    data = opened("./set#train?inputs=question&references=answer")
    assert (data.inputs, data.references, data.facts.split) == (("one?", "two?"), (1, 2), "train")
    assert opened("./set#train:1?inputs=question").inputs == ("one?",)
    assert opened("./set#test?inputs=question").inputs == ("three?",)
    assert opened("./set#train[1:]?inputs=question").inputs == ("two?",)
    assert opened("./set#train:9?inputs=question", limit=1).inputs == ("one?",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("./set?inputs=question", "does not say which split (it has: train, test); write #train"),
        ("./set#val?inputs=question", "Unknown split"),
        ("./set#train:0?inputs=question", "n='0' is not a whole number of at least 1"),
        ("./set#train?inputs=q", "has no column 'q' (it has: question, answer)"),
        ("./set#train?config=none&inputs=question", "BuilderConfig 'none' not found"),
        ("./hollow", "hollow"),
    ],
)
def test_a_folder_that_is_asked_for_something_else(library, splits, text, said):
    Path("hollow").mkdir()
    with pytest.raises(UsageError) as caught:
        opened(text)
    assert said in str(caught.value)


def test_what_the_library_saved(library, splits):
    kept = library.load_dataset(str(splits))
    kept.save_to_disk("kept")
    kept["test"].save_to_disk("one")
    assert opened("./kept#train?inputs=question").inputs == ("one?", "two?")
    assert opened("./one?inputs=question").inputs == ("three?",)
    with pytest.raises(UsageError, match="holds one split, test; leave #train out"):
        opened("./one#train?inputs=question")


def test_pictures_and_sounds_in_parquet_as_the_hub_has_them(library, pictures, sounds):
    """Files in a column, and in the schema what they are: how `push_to_hub` writes them. No torchcodec is needed."""
    import pyarrow
    from pyarrow import parquet

    files = [(sounds / "low" / name).read_bytes() for name in ("a.wav", "b.wav")]
    table = pyarrow.table(
        {
            "audio": [{"bytes": file, "path": "a.wav"} for file in files],
            "image": [{"bytes": (pictures / "dog" / "a.png").read_bytes(), "path": "a.png"}] * 2,
            "transcription": ["plus", "minus"],
        }
    )
    features = {
        "audio": {"_type": "Audio"},
        "image": {"_type": "Image"},
        "transcription": {"dtype": "string", "_type": "Value"},
    }
    told = {"huggingface": json.dumps({"info": {"features": features}})}
    Path("hublike/data").mkdir(parents=True)
    parquet.write_table(table.replace_schema_metadata(told), "hublike/data/train-00000-of-00001.parquet")
    data = opened("./hublike#train?inputs=audio&sampling_rate=4000")
    assert [len(sound["array"]) for sound in data.inputs] == [40, 40]
    assert data.references == ("plus", "minus")
    assert opened("./hublike?inputs=image").inputs[0].getpixel((0, 0)) == (1, 1, 1)


# -- sounds, without torchcodec


@pytest.fixture
def sounds(tmp_path):
    pytest.importorskip("soundfile")
    for name, value in (("low/a.wav", 8192), ("low/b.wav", -8192), ("high/c.wav", 16384)):
        path = tmp_path / "sounds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(array("h", [value, 0] * 80).tobytes())
    return tmp_path / "sounds"


def test_a_folder_of_sounds(sounds):
    data = opened("./sounds")
    assert data.references == ("high", "low", "low")
    assert [sound["sampling_rate"] for sound in data.inputs] == [8000] * 3
    assert data.inputs[1]["array"].tolist() == [0.125] * 80, "the mean of both channels"
    (sounds / "metadata.csv").write_text("file_name,transcription\nlow/b.wav,minus\nlow/a.wav,plus\n")
    told = opened("./sounds")
    assert told.references == ("minus", "plus")
    assert told.inputs[0]["array"][0] == -0.125
    (sounds / "metadata.csv").unlink()
    assert len(opened("./sounds#low")) == 2


def test_sounds_at_another_rate(sounds):
    pytest.importorskip("scipy")
    data = opened("./sounds?sampling_rate=16000")
    assert {(len(sound["array"]), sound["sampling_rate"]) for sound in data.inputs} == {(160, 16000)}
    assert data.facts.digest != opened("./sounds").facts.digest, "another rate is other data"


@pytest.mark.parametrize(
    ("metadata", "text", "said"),
    [
        ("name\nlow/a.wav\n", "./sounds", "metadata.csv has no column 'file_name' (it has: name)"),
        ("file_name\nlow/z.wav\n", "./sounds", "metadata.csv names z.wav, which is not there"),
        (None, "./sounds#none", "there is no sound"),
        (None, "./sounds?sampling_rate=fast", "sampling_rate='fast' is not a whole number"),
    ],
)
def test_sounds_that_are_not_there(sounds, metadata, text, said):
    if metadata:
        (sounds / "metadata.csv").write_text(metadata)
    with pytest.raises(UsageError) as caught:
        opened(text)
    assert said in str(caught.value)


# -- the hub


@pytest.fixture
def offline(library, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)


def test_a_hub_that_is_not_reached_says_what_to_do(offline):
    with pytest.raises(Unavailable) as caught:
        opened("hub:nyu-mll/glue/sst2@main#validation:16?inputs=sentence")
    assert "is not in the local cache and the hub cannot be reached" in str(caught.value)
    assert "hf download --repo-type dataset nyu-mll/glue" in str(caught.value)
    assert "unset HF_HUB_OFFLINE" in str(caught.value)


def test_a_hub_name_of_too_many_pieces(library):
    for text in ("hub:a/b/c/d", "hub:a/b/c?config=d"):
        with pytest.raises(UsageError, match=r"is not hub:name\[/config\]@revision"):
            opened(text)


def test_what_was_fetched_from_the_hub_names_its_commit(library, splits, monkeypatch):
    """The library is given a folder for the repository; its own record of where the files came from is as the hub's."""
    real, commit = library.load_dataset, "0123456789abcdef" * 2 + "01234567"

    def load(place, config, revision, split):
        assert (place, config, revision) == ("org/name", "plain", "main")
        found = real(str(splits), split=split)
        found.info.download_checksums = {f"hf://datasets/org/name@{commit}/train.csv": {}}
        return found

    monkeypatch.setattr(library, "load_dataset", load)
    data = opened("hub:org/name/plain@main#train:1?inputs=question&references=answer")
    assert (data.inputs, data.references) == (("one?",), (1,))
    assert (data.facts.revision, data.facts.split, data.facts.n) == (commit, "train", 1)


# -- other machines


def test_memory_is_a_place(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    files.pipe("/data/q.csv", CSV)
    (tmp_path / "q.csv").write_bytes(CSV)
    there, here = (opened(f"{place}?inputs=question&references=answer") for place in ("memory://data/q.csv", "q.csv"))
    assert there.inputs == here.inputs
    assert (there.facts.digest, there.facts.revision) == (here.facts.digest, here.facts.revision)
    with pytest.raises(UsageError, match="memory knows no such file"):
        opened("memory://data/none.csv")
    with pytest.raises(UsageError, match=r"cannot read \.zip"):
        opened("memory://data/q.zip")
    with pytest.raises(UsageError, match="a file has no parts"):
        opened("memory://data/q.csv#part")
    with pytest.raises(UnknownName, match="unknown dataset option 'token'"):
        opened("memory://data/q.csv?token=secret")


def test_a_remote_file_is_streamed_from_a_copy(tmp_path, monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setenv("PYTEST_MODELBENCH_CACHE", str(tmp_path / "cache"))
    fsspec.filesystem("memory").pipe("/data/s.csv", CSV)
    data = opened("memory://data/s.csv?inputs=question&stream=true")
    assert list(data.inputs) == ["one?", "two?"]
    assert data.facts.digest == opened("memory://data/s.csv?inputs=question").facts.digest
    assert len(list((tmp_path / "cache").rglob("s.csv"))) == 1


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def site(tmp_path):
    (tmp_path / "q.csv").write_bytes(CSV)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_site(site):
    pytest.importorskip("aiohttp")
    data = opened(f"{site}/q.csv?inputs=question&references=answer")
    assert (data.inputs, data.references) == (("one?", "two?"), (1, 2))
    assert data.facts.source == f"{site}/q.csv?inputs=question&references=answer"
    with pytest.raises(UsageError, match="http knows no such file"):
        opened(f"{site}/none.csv")


def test_a_site_that_is_not_reached():
    pytest.importorskip("aiohttp")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        with pytest.raises(Unavailable, match=r"cannot be read \(Client\w+: .* or use a copy on this machine"):
            opened(f"http://127.0.0.1:{taken.getsockname()[1]}/q.csv")


def test_a_cloud_whose_client_is_not_installed(monkeypatch):
    monkeypatch.setattr("pytest_modelbench.declare.find_spec", lambda name: None if name == "gcsfs" else name)
    with pytest.raises(Unavailable, match=r'needs gcsfs: pip install "pytest-modelbench\[gs\]"'):
        opened("gs://bucket/q.csv")


def test_no_password_gets_into_a_source():
    with pytest.raises(UsageError, match="names a user: leave that to fsspec's own configuration") as caught:
        parse("https://me:secret@example.org/q.csv")
    assert "secret" not in str(caught.value)


# -- S3, by a server that the test starts


@pytest.fixture
def bucket(monkeypatch):
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
        ("AWS_ACCESS_KEY_ID", "anyone"),
        ("AWS_SECRET_ACCESS_KEY", "anything"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("NO_PROXY", "127.0.0.1"),
    ):
        monkeypatch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem()
    files.makedirs("bench", exist_ok=True)  # another test may have made it: the server forgets nothing
    yield files
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_csv_and_parquet_come_over_s3(bucket, tmp_path):
    import pyarrow
    from pyarrow import parquet

    rows = [{"question": "one?", "answer": 1}, {"question": "two?", "answer": 2}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "q.parquet")
    (tmp_path / "q.csv").write_bytes(CSV)
    digests = set()
    for name in ("q.csv", "q.parquet"):
        bucket.pipe(f"bench/data/{name}", (tmp_path / name).read_bytes())
        there = opened(f"s3://bench/data/{name}?inputs=question&references=answer")
        here = opened(f"{name}?inputs=question&references=answer")
        assert (there.inputs, there.references) == (("one?", "two?"), (1, 2))
        assert there.facts.revision == here.facts.revision
        digests |= {there.facts.digest, here.facts.digest}
    assert len(digests) == 1, "the same data are the same wherever they lie"
    bucket.pipe("bench/data/q.csv", CSV.replace(b"two?,2", b"two?,3"))
    bucket.invalidate_cache()
    assert opened("s3://bench/data/q.csv?inputs=question&references=answer").facts.digest not in digests


def test_what_is_not_in_the_bucket(bucket):
    with pytest.raises(UsageError, match="s3 knows no such file"):
        opened("s3://bench/none.csv")
    with pytest.raises((UsageError, Unavailable), match=r"s3://nowhere/none\.csv"):
        opened("s3://nowhere/none.csv")


# -- packages


@pytest.mark.parametrize(
    ("source", "needs", "n", "references"),
    [
        ("package:sklearn#digits", "scikit-learn", 1797, (0, 1, 2, 3)),
        ("package:skimage#photos", "scikit-image", 3, ([281, 282, 285], [504, 967, 968], [657, 744, 812])),
        ("package:lm_eval#mmlu", "lm_eval", 282, ("C", "A", "A", "B")),
    ],
)
def test_what_python_packages_ship(source, needs, n, references):
    try:
        version = importlib.metadata.version(needs)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"needs {needs}")
    data = opened(source)
    assert (data.facts.n, data.facts.revision, data.facts.split) == (n, version, source.partition("#")[2])
    assert data.references[:4] == references


def test_digits_and_photos_are_pictures():
    pytest.importorskip("sklearn")
    assert opened("package:sklearn#digits", limit=1).inputs[0].shape == (8, 8)
    pytest.importorskip("skimage")
    assert opened("package:skimage#photos", limit=1).inputs[0].size == (451, 300)


def test_mmlu_is_asked_as_its_authors_do():
    pytest.importorskip("lm_eval")
    data = opened("package:lm_eval#mmlu?limit=1")
    assert data.inputs[0].startswith("Statement 1 | Every element of a group generates")
    assert data.inputs[0].endswith("\nA. True, True\nB. False, False\nC. True, False\nD. False, True\nAnswer:")
    apart = opened("package:lm_eval#mmlu?inputs=asked&references=answer")
    assert all(len(asked["choices"]) >= 4 and all(asked["choices"]) for asked in apart.inputs)
    assert all(
        0 <= answer < len(asked["choices"]) for asked, answer in zip(apart.inputs, apart.references, strict=True)
    )


def test_what_debian_packages_ship(tmp_path):
    """Files as the packages have them, unpacked in a folder."""
    words = tmp_path / "usr/share/wordnet/data.noun"
    words.parent.mkdir(parents=True)
    words.write_text(
        "  1 This software and database is being provided to you\n"
        '00021265 13 n 02 food 0 nutrient 0 001 @ 00021039 n 0000 | any substance that can be eaten; "it was good"  \n'
        "07846 18 n 01 person 0 000 | a human being; who is somebody  \n"
    )
    data = opened(f"package:wordnet-base#glosses?root={tmp_path}")
    assert data.inputs == ("any substance that can be eaten", "a human being; who is somebody")
    assert data.references == ("food", "person")
    law = tmp_path / "usr/share/state/us-constitution.gz"
    law.parent.mkdir(parents=True)
    law.write_bytes(gzip.compress(b"Title\n\n\nWe the People\nof\n\nArticle I\n"))
    assert opened(f"package:miscfiles#us-constitution?root={tmp_path}").inputs == (
        "Title\n\n\nWe the People\nof\n\nArticle I",
    )
    cut = opened(f"package:miscfiles#us-constitution?root={tmp_path}&sample_by=paragraph")
    assert cut.inputs == ("Title", "We the People\nof", "Article I")
    with pytest.raises(UsageError, match="sample_by='page' is none of line, paragraph, document"):
        opened(f"package:miscfiles#us-constitution?root={tmp_path}&sample_by=page")


def test_speech_of_a_debian_package(tmp_path, sounds):
    folder = tmp_path / "usr/share/pocketsphinx/test/data/librivox"
    folder.mkdir(parents=True)
    (folder / "transcription").write_text("<s> he was not </s> (b)\n<s> and so </s> (a)\n")
    for name in "ab":
        (folder / f"{name}.wav").write_bytes((sounds / "low" / f"{name}.wav").read_bytes())
    data = opened(f"package:pocketsphinx-testdata#librivox?root={tmp_path}")
    assert data.references == ("he was not", "and so")
    assert data.inputs[0]["array"][0] == -0.125


@pytest.mark.parametrize(
    "text", ["wordnet-base#glosses", "miscfiles#us-constitution", "pocketsphinx-testdata#librivox"]
)
def test_a_debian_package_that_is_not_installed(tmp_path, text):
    package = text.partition("#")[0]
    with pytest.raises(Unavailable, match=rf"needs the Debian package {package}.* apt install {package}, or unpack"):
        opened(f"package:{text}?root={tmp_path}")


@pytest.mark.parametrize("package", ["wordnet-base#glosses", "miscfiles#us-constitution"])
def test_the_real_packages_of_debian(package):
    """Where they are installed: their sizes as they have been for years."""
    data = None
    with contextlib.suppress(Unavailable):
        data = opened(f"package:{package}")
    if data is None:
        pytest.skip(f"needs {package}")
    assert len(data) == {"wordnet-base#glosses": 82115, "miscfiles#us-constitution": 1}[package]


def test_the_digest_is_what_another_program_finds(tmp_path):
    """Canonical JSON, hashed: anybody can compute it."""
    from hashlib import sha256

    (tmp_path / "q.csv").write_bytes(CSV)
    content = {"inputs": ["one?", "two?"], "references": [1, 2]}
    text = json.dumps(content, separators=(",", ":"), sort_keys=True)
    digest = opened("q.csv?inputs=question&references=answer").facts.digest
    assert digest == sha256(text.encode()).hexdigest()
