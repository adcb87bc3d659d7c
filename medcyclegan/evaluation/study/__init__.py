"""A study: many patients, one or several methods, scored, compared, drawn and reported."""
