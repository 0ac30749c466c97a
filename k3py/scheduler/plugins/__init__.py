"""The rules of placement, one file each. A new one is a new file and a line here."""
