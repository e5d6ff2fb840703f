"""`python -m ray_compt` is `compt`."""

from ray_compt.cli.main import main

if __name__ == "__main__":
    main()
