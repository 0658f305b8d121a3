"""The demo company: a deterministic world of drops with planted faults, its ground truth, and a live feed."""
