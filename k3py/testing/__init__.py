"""Fakes that ship with the code; only tests import them."""
