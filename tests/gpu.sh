#!/usr/bin/env bash
# Everything that needs a CUDA device, in one run: the gpu-marked tests, then the Llama benches on it.
# Usage: PYTHON=python3 bash tests/gpu.sh [folder for what is written]
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
out=${1:-reports}
# whole, because tests start pytest in folders of their own
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
# In a bare checkout the package has no entry point: load the plugin by name, in the processes that tests start too.
"$python" -c 'import importlib.metadata as m; m.version("pytest-modelbench")' 2>/dev/null ||
    export PYTEST_PLUGINS=pytest_modelbench.plugin

status=0
echo "== tests marked gpu"
# only the files that have such tests: others import what a machine with a GPU need not have
mapfile -t files < <(grep -rl --include='test_*.py' 'pytest.mark.gpu' tests | sort)
"$python" -m pytest "${files[@]}" -m gpu -q -p no:cacheprovider || status=1
echo "== benches on cuda"
"$python" -m pytest benches/ -k "llama or rms_norm" --device cuda \
    --bench-store "parquet:$out/data" --bench-report "html:$out/cuda.html" || status=1
exit $status
