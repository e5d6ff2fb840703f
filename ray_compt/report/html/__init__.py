"""The report of one or several runs: a self-contained HTML file with plots, from facts to text.

`facts.py` says what a report knows, `read.py` takes it from a stage's files, `figures/` draws, `examples.py` looks at
pictures, `page.py` puts all in one file. Where runs lie and what their ledgers say: `chain/report.py`. `document.py`
makes the file, and other rooms' pages too. Must not import train, chain or cli.
"""
