"""Figures of a study, drawn for print: vector PDF, millimetre sizes, colour-blind-safe colours."""
