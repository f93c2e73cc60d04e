"""Places that Records are appended to and read from; a file is a store, found by its name."""
