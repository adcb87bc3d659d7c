"""Signs of whether a model knows an input, and how sure it is of what it made of it."""
