#!/usr/bin/env bash
# Everything that needs a CUDA device, by parts: tests, benches, devices, gate, costs.
# Usage: PYTHON=python3 OUT=reports bash tests/gpu.sh [PART ...]; exit status 1 where a part failed
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
out=${OUT:-reports}
# whole, because tests start pytest in folders of their own
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
# In a bare checkout the package has no entry point: load the plugin by name, in the processes that tests start too.
"$python" -c 'import importlib.metadata as m; m.version("pytest-modelbench")' 2>/dev/null ||
    export PYTEST_PLUGINS=pytest_modelbench.plugin

benches() {
    "$python" -m pytest benches/ --device cuda --bench-store "parquet:$out/data" --bench-report "html:$out/cuda.html" "$@"
}

part() {
    echo "== $1"
    case $1 in
        tests) # only the files that have such tests: others import what a machine with a GPU need not have
            mapfile -t files < <(grep -rl --include='test_*.py' 'pytest.mark.gpu' tests | sort)
            "$python" -m pytest "${files[@]}" -m gpu -q -p no:cacheprovider ;;
        benches) benches -k "llama or rms_norm" ;;
        devices) benches -k bench_devices --device cpu,cuda ;;
        gate) # this code against itself: once as anyone would, once to see how often that raises an alarm
            benches -k "llama and eager" --bench-against="$PWD" && benches -k "llama and eager" --bench-calibrate --bench-pairs 10 ;;
        costs) "$python" -m benchmarks spins sampling streams ;;
        *) echo "unknown part $1: tests, benches, devices, gate or costs" && false ;;
    esac
}

status=0
[ $# -gt 0 ] || set -- tests benches devices gate costs
for name; do
    part "$name" || status=1
done
exit $status
