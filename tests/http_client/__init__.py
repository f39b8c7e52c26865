"""Both HTTP clients of the data path, over real sockets: one suite, on both event loops."""
