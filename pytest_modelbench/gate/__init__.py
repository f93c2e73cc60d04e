"""The gate: Records against a baseline become Verdicts. What each is worth: docs/explanation/how-the-gate-decides.md."""
