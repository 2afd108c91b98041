"""How one thing becomes another: pure functions, then DoFns, then one public PTransform a module."""
