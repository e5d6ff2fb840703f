"""open_clip's own trainer, which comes in open_clip_torch's wheel, on a model that it does not know by name.

    python -m benchmarks.peers.open_clip_train FOLDER ARGUMENTS

FOLDER holds NAME.json, an open_clip configuration; ARGUMENTS are those of `python -m open_clip_train.main`. It needs
webdataset 0.2.86 (the extra `benchmarks`): later readers no longer give the file names that it looks for.
"""

from __future__ import annotations

import sys


def main() -> None:
    import open_clip
    import open_clip_train.main

    open_clip.add_model_config(sys.argv[1])
    open_clip_train.main.main(sys.argv[2:])


if __name__ == "__main__":
    main()
