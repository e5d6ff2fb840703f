"""Bad input, as data: what people get wrong, and the one message that each mistake gets.

`catalogue.py` gathers the rows; `run.py` runs one; `test_catalogue.py` holds each to its promise;
`document.py` writes `docs/errors.md` from what the program really says.
"""
