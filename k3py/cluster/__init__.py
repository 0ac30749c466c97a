"""A cluster's life: birth, joining, certificates, tokens."""
