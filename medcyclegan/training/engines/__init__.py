"""What is trained and by which losses; one file an engine, all run by ``training.loop``."""
