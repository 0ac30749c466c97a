"""The everyday commands of kubectl, for machines that have none."""
