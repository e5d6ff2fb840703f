"""The command line: parse, call another room, print. One file a command; `main.py` lists them.

May call every room, is called by none. Modules here import only the standard library and Typer at the top,
so that `compt --help` answers at once; everything heavier is imported inside the command's function.
"""
