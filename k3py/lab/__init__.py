"""Several Raspberry Pis on one Linux machine, to try and to test with. Uses `base` only."""
