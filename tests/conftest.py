"""Libraries that pytester's in-process runs use are imported first: it forgets what a run imported, and C extensions
(and pandas, which pyarrow brings in where it is installed) do not stand being imported twice."""

from contextlib import suppress

import numpy  # noqa: F401
import pyarrow.parquet  # noqa: F401

with suppress(ImportError):
    import pandas  # noqa: F401
