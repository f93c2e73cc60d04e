"""The manual's bench files are run by test_examples.py, each by itself; by name they run as anywhere."""

collect_ignore_glob = ["bench_*.py"]
