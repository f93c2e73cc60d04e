"""The gate: Records against a baseline become Verdicts; what is tolerated. The manual: docs/reference/gate.md."""
