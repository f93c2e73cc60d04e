"""Libraries that pytester's in-process runs use are imported first: it forgets what a run imported, and C extensions
(and pandas, which pyarrow brings in where it is installed) do not stand being imported twice."""

import os
from contextlib import suppress

import numpy  # noqa: F401
import pyarrow.parquet  # noqa: F401

with suppress(ImportError):
    import pandas  # noqa: F401

# the sessions that tests start are no job's: what they say belongs in no summary of ours
for variable in ("GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"):
    os.environ.pop(variable, None)
