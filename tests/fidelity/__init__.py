"""The fidelity contract, row by row: an example for each cell of the published matrix."""
