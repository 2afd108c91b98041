"""A Flink cluster on this machine: for trials, and for the tests that need a real one."""
