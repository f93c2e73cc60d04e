"""Libraries that pytester's in-process runs use are imported first: it forgets what a run imported, and C extensions
(and pandas, which pyarrow brings in where it is installed) do not stand being imported twice."""

import os
import signal
from contextlib import suppress

import numpy  # noqa: F401
import pyarrow.parquet  # noqa: F401

with suppress(ImportError):
    import pandas  # noqa: F401

# the sessions that tests start are no job's: what they say belongs in no summary of ours
for variable in ("GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"):
    os.environ.pop(variable, None)

# a shell's background job ignores Ctrl-C, and the sessions that tests start and interrupt would inherit that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
