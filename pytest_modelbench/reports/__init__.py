"""Functions from Records to text or a file; a file is a report, found by its name."""
