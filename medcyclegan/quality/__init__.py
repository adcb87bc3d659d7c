"""May a result be trusted: input checks, reference ranges, consistency, uncertainty."""
