"""Dataflow: the check that needs no Google account, and what the workers' image needs to reach AWS."""
