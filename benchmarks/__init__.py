"""How fast and how truthful the plugin itself is, side by side with its peers: `python -m benchmarks`."""
