"""What runs have left, for people: tables, comparison, pictures (``srtplan results``)."""
