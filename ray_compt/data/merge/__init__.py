"""Captions from files joined with the pictures of shards, into new shards: `compt data caption-merge`.

`files.py` reads the captions, `lookup.py` keeps them by picture on disk, `shard.py` writes one shard anew, `folder.py`
does so with all. A new kind of caption file is a function in `files.py` and a line in its table.
"""
