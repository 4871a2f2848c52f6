"""The `polyglance` command. The only place that reads config.yaml and the environment, and wires
the other packages together."""
