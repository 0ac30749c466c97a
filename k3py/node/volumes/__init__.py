"""The volumes a pod may mount, one type a file."""
