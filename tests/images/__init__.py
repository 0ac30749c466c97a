"""Small images that tests run, made from what this machine has; see k3py.lab.images."""
