"""In what order, from where, to where: sources, sinks, the graph and the command line."""
