"""How large a run is, how long it takes and how it is best laid out: formulas, held against published measurements."""
