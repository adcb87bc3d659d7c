"""One input to one output, on disk or in memory, and batches of them."""
