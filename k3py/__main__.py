"""`python -m k3py`."""

from k3py.cli.main import main

if __name__ == "__main__":
    main()
