"""Set before anything here imports torch; a value that is already set is kept."""

import os

# torch's threads spin while they wait for each other. Two of them on two cores that have other work took 10 to 20 times
# longer than one (measured: 0.8 to 2 tokens/s against 15), and a benchmark that depends on the neighbours says nothing.
os.environ.setdefault("OMP_NUM_THREADS", "1")
