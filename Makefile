# 20,000 mutated files of each kind, read and written in processes with little memory.
# One mutant alone: python -m tests.fuzz.run dicom --seed 2026 --show 1234
SEED ?= 2026
COUNT ?= 20000

.PHONY: fuzz
fuzz:
	python -m tests.fuzz.run nifti --seed $(SEED) --count $(COUNT)
	python -m tests.fuzz.run itk --seed $(SEED) --count $(COUNT)
	python -m tests.fuzz.run dicom --seed $(SEED) --count $(COUNT)
	python -m tests.fuzz.run jpeg --seed $(SEED) --count 500
